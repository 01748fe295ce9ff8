"""From what many processes and viewers wrote down to the figures of one run.

Moments of viewers are on the server's clock; the run's begin is on this machine's. What the processes estimated of the
difference brings them together.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from loadtests.distribution import Distribution
from loadtests.run import Curve, Opening, Run
from loadtests.seen import Account, Failure, Seen
from loadtests.stagehand import StageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T", bound=Struct)

BEGAN = "began"
PERCENTILES = {"p50": 0.5, "p99": 0.99}


class Glimpse(Struct):
    """What the live table needs of a `Seen`; the rest of it is skipped."""

    viewers: int
    latencies: dict[str, Distribution]
    refusals: dict[str, dict[str, int]]
    failures: list[Failure]


class IncompleteError(StageError):
    """A run left nothing, or something unreadable, where its figures should be; the sentence says what."""


def began_in(folder: Path) -> float:
    """Return the run's begin, Unix seconds of this machine's clock; 0.0 where it has not begun."""
    try:
        return float((folder / BEGAN).read_text())
    except FileNotFoundError:
        return 0.0
    except ValueError:
        raise IncompleteError(f"{folder / BEGAN} is no moment.") from None


def seen_in(folder: Path) -> list[Seen]:
    """Return what each process measured. Raises IncompleteError."""
    return [_decoded(path, path.read_bytes(), Seen) for path in sorted(folder.glob("seen-*.json"))]


def live_in(folder: Path) -> list[Glimpse]:
    """Return what each process has measured so far: those that have begun and not ended. Raises IncompleteError."""
    found = []
    for path in sorted(folder.glob("live-*.json")):
        try:
            found.append(_decoded(path, path.read_bytes(), Glimpse))
        except FileNotFoundError:  # its process has just ended
            continue
    return found


def accounts_in(folder: Path) -> Iterator[Account]:
    """Yield what each viewer remembers, one at a time: there may be many. Raises IncompleteError."""
    decoder = msgspec.json.Decoder(Account)
    for path in sorted(folder.glob("accounts-*.ndjson")):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise IncompleteError(f"{path}, line {number}: {error}") from None


def merge_into(run: Run, began: float, seen: Sequence[Seen], accounts: Iterable[Account]) -> None:
    """Fill in the figures and curves of a run from what its processes and its viewers wrote down."""
    clocks = [one for one in seen if one.viewers] or seen  # who plays no viewer has asked nobody for the time
    ahead = median(one.clock_offset_ms for one in clocks) / 1000  # this machine's clock, of the server's
    shift = began - ahead  # the begin, on the server's clock
    run.messages = sum(one.messages for one in seen)
    run.latencies = together(one.latencies for one in seen)
    run.refusals = refusals(seen)
    run.failures = failures(seen)
    run.openings = _openings(seen, shift)
    run.clock_error_ms = max(one.clock_error_ms for one in clocks)
    run.curves += _percentiles(seen)
    run.curves.append(_count(run, accounts, shift))


def together(each: Iterable[dict[str, Distribution]]) -> dict[str, Distribution]:
    """Return the sums of distributions by name."""
    summed: dict[str, Distribution] = {}
    for one in each:
        for name, distribution in one.items():
            summed.setdefault(name, Distribution()).merge(distribution)
    return summed


def refusals(seen: Iterable[Seen]) -> dict[str, dict[str, int]]:
    """Return the refusals of all processes by command, by code."""
    summed: dict[str, Counter[str]] = {}
    for one in seen:
        for command, codes in one.refusals.items():
            summed.setdefault(command, Counter()).update(codes)
    return {command: dict(codes.most_common()) for command, codes in sorted(summed.items())}


def failures(seen: Iterable[Seen]) -> list[Failure]:
    """Return the failures of all processes, the most frequent first."""
    summed: Counter[tuple[str, str]] = Counter()
    for one in seen:
        for failure in one.failures:
            summed[failure.name, failure.error] += failure.occurrences
    return [Failure(name, error, times) for (name, error), times in summed.most_common()]


def _openings(seen: Sequence[Seen], shift: float) -> list[Opening]:
    found: dict[str, Opening] = {}
    for arrived in (each for one in seen for each in one.openings):
        blank = Opening(drop=arrived.drop, at=arrived.opened_at - shift, viewers=0, delays=Distribution())
        opening = found.setdefault(arrived.drop, blank)
        opening.delays.merge(arrived.delays)
        opening.viewers = opening.delays.count
    return sorted(found.values(), key=lambda opening: opening.at)


def _percentiles(seen: Sequence[Seen]) -> list[Curve]:
    """Return how each latency went over time: a point per second in which something was measured."""
    seconds: dict[str, dict[int, Distribution]] = {}
    for name, second, distribution in (
        (name, second, distribution)
        for one in seen
        for name, by_second in one.per_second.items()
        for second, distribution in by_second.items()
    ):
        seconds.setdefault(name, {}).setdefault(second, Distribution()).merge(distribution)
    return [
        Curve(
            name=f"{name} {percentile}",
            unit="ms",
            at=[second + 0.5 for second in sorted(by_second)],
            values=[by_second[second].quantile(share) * 1000 for second in sorted(by_second)],
        )
        for name, by_second in sorted(seconds.items())
        for percentile, share in PERCENTILES.items()
    ]


def _count(run: Run, accounts: Iterable[Account], shift: float) -> Curve:
    """Count what the viewers remember to have taken and bought; return the units taken per second."""
    taken: Counter[int] = Counter()
    orders: set[str] = set()
    for take in (take for account in accounts for take in account.takes if take.held_at):
        run.reservations += 1
        taken[max(0, int(take.held_at - shift))] += take.quantity
        if take.order:
            orders.add(take.order)
            run.units_sold += take.quantity
    run.orders = len(orders)
    last = max(taken, default=0)
    return Curve(
        name="taken/s",
        unit="/s",
        at=[second + 0.5 for second in range(last + 2)],
        values=[float(taken[second]) for second in range(last + 2)],
    )


def _decoded(path: Path, content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise IncompleteError(f"{path}: {error}") from None
