"""The figures of a run by name: those that can be held against the same figures of another run."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests.distribution import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.run import Process, Run

MS = 1000.0
MIB = 1 << 20
PERCENTILES = (0.5, 0.95, 0.99)
GENERATOR, SERVER = "generator", "server"
ORDER = (SERVER, "redis", "ledger", "sandbox", GENERATOR)  # in which parts of the system are told
TAKEN = "taken/s"


class Better(StrEnum):
    """Which way a figure should go."""

    LESS = "less"
    MORE = "more"
    NEITHER = "neither"


class Figure(Struct, frozen=True, kw_only=True):
    """One number of a run; `resolution` is the share of itself that it is true to."""

    name: str
    unit: str
    value: float
    better: Better = Better.LESS
    resolution: float = 0.0


def figures(run: Run) -> list[Figure]:
    """Return all figures of a run, each name once; what was not measured is left out."""
    return [*_sold(run), *_latencies(run), *_reached(run), *_costs(run), *_wrong(run)]


def process(run: Run, name: str) -> Process | None:
    """Return what a part of the system used, None where nobody looked."""
    return next((each for each in run.processes if each.name == name), None)


def rank(part: str) -> tuple[int, str]:
    """Return where a part of the system stands among the others: the server first."""
    name = part.lower()
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def refused(run: Run) -> list[tuple[str, str, int]]:
    """Return command, code and how often it was refused so, the most frequent first."""
    rows = [
        (command, code, count) for command, codes in run.refusals.items() for code, count in codes.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _sold(run: Run) -> Iterator[Figure]:
    counts = {"units sold": run.units_sold, "reservations": run.reservations, "orders": run.orders}
    for name, count in counts.items():
        yield Figure(name=name, unit="", value=count, better=Better.MORE)
    for curve in run.curves:
        if curve.name == TAKEN and curve.values:
            yield Figure(
                name="most taken in a second", unit="/s", value=max(curve.values), better=Better.MORE
            )
    if run.seconds > 0:
        rate = run.messages / run.seconds
        yield Figure(name="messages to viewers", unit="/s", value=rate, better=Better.NEITHER)


def _latencies(run: Run) -> Iterator[Figure]:
    for name, seen in run.latencies.items():
        for share in PERCENTILES if seen.count else ():
            value = MS * seen.quantile(share)
            yield Figure(name=f"{name} p{100 * share:g}", unit="ms", value=value, resolution=WIDTH)


def _reached(run: Run) -> Iterator[Figure]:
    openings = [opening for opening in run.openings if opening.delays.count]
    if openings:
        skew = MS * max(opening.skew for opening in openings)
        last = MS * max(opening.delays.most for opening in openings)
        yield Figure(name="skew of the worst drop", unit="ms", value=skew)
        yield Figure(name="opening to the last viewer", unit="ms", value=last)


def _costs(run: Run) -> Iterator[Figure]:
    for each in run.processes:
        yield Figure(name=f"CPU of {each.name}", unit="s", value=each.cpu_seconds)
        yield Figure(name=f"memory of {each.name}", unit="MiB", value=each.peak_memory / MIB)
        if each.written:
            written = each.written / MIB
            yield Figure(name=f"written by {each.name}", unit="MiB", value=written, better=Better.NEITHER)
    for name in (SERVER, GENERATOR):
        used = process(run, name)
        if used is not None and run.messages:
            micros = 1e6 * used.cpu_seconds / run.messages
            yield Figure(name=f"CPU of {name} per message to a viewer", unit="µs", value=micros)


def _wrong(run: Run) -> Iterator[Figure]:
    total = sum(count for _, _, count in refused(run))
    yield Figure(name="refusals", unit="", value=total, better=Better.NEITHER)
    for command, code, count in refused(run):
        yield Figure(name=f"refused: {command}, {code}", unit="", value=count, better=Better.NEITHER)
    yield Figure(name="unexpected failures", unit="", value=sum(each.occurrences for each in run.failures))
    yield Figure(name="broken promises", unit="", value=len(run.findings))
