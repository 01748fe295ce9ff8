"""Stranded units: off the shelf though nobody has them any more, left held after the run, or in no book at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.case import LATE_SECONDS, NO_LOOKS
from loadtests.gate.finding import clock, count, finding
from loadtests.gate.units import Running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.gate.books import DropView
    from loadtests.gate.case import Case, Own, Samples
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield a finding for units that were off the shelf for nobody, stay held after the run, or are in no book."""
    if case.alone:
        apart = case.books.drops.keys() <= case.samples.keys()
        for name, samples in case.samples.items():
            if name or not apart:
                yield from _during(case, name, samples)
    for drop in case.books.drops.values():
        yield from _afterwards(case, drop)
        yield from _in_no_book(case, drop)


def _during(case: Case, name: str, samples: Samples) -> Iterator[Finding]:
    """Hold every look against the units that viewers may have had by then, at most."""
    running = Running(case.possible(own.take) for own in _owns(case, name))
    seconds, lines = 0.0, []
    for place, at in enumerate(samples.at):
        out = samples.held[place] + samples.sold[place]
        most = running.touching(samples.since[place] - case.error, at + case.error)
        if out > most:
            until = samples.at[place + 1] if place + 1 < len(samples.at) else at
            seconds += (out - most) * (until - at)
            lines.append(
                f"{clock(at)}: {out} of {name or 'all drops'} were held or sold, viewers had {most} at most"
            )
    if lines:
        yield finding(
            "stranded",
            f"{name or 'All drops'}: units were off the shelf for {seconds:,.1f} unit-seconds, in {len(lines):,} of "
            f"{len(samples.at):,} looks, though their time had been over for {LATE_SECONDS:g} s.",
            lines,
        )


def _afterwards(case: Case, drop: DropView) -> Iterator[Finding]:
    if not drop.held:
        return
    over = [own for own in case.takes.get(drop.id, ()) if own.take.end != "paid"]
    last = max((own.take.expires_at for own in over), default=0.0)
    late = f", {case.books.settled_at - last:,.1f} s after the last reservation was due" if last else ""
    yield finding(
        "stranded",
        f"{drop.id}: {count(drop.held, 'unit')} stayed held after the run{late}.",
        [
            f"{own}, due at {clock(own.take.expires_at)}"
            for own in sorted(over, key=lambda own: -own.take.expires_at)
        ],
    )


def _in_no_book(case: Case, drop: DropView) -> Iterator[Finding]:
    """Hold that the four numbers add up, in the end and in every look."""
    told = [
        f"{clock(case.books.settled_at)}: {drop.available} + {drop.held} + {drop.sold} of {drop.quantity}"
    ]
    lines = told if drop.available + drop.held + drop.sold != drop.quantity else []
    missing = drop.quantity - drop.available - drop.held - drop.sold
    samples, offered = case.samples.get(drop.id, NO_LOOKS), case.offered(drop)
    for place, at in enumerate(samples.at):
        known = samples.available[place] + samples.held[place] + samples.sold[place]
        least, most = offered.value(samples.since[place] - case.error), offered.value(at + case.error)
        if not least <= known <= most:
            missing = missing or most - known
            lines.append(f"{clock(at)}: available + held + sold is {known}, offered were {most}")
    if lines:
        yield finding(
            "stranded",
            f"{drop.id}: {count(abs(missing), 'unit')} {'too many' if missing < 0 else 'missing'}: available + held + "
            f"sold is not what was offered, {count(len(lines), 'time')}.",
            lines,
        )


def _owns(case: Case, name: str) -> Sequence[Own]:
    return case.takes.get(name, ()) if name else case.every_take
