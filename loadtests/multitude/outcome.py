"""What was planned, what came out, and which promises that breaks: no sockets, no clock.

`broken` holds the run against what must be so on every machine: no gap, no duplicate, the last value everywhere,
nobody closed but who stalled, everybody back. `slow` holds it against figures, which a busy machine can spoil; so
they are medians of rounds that took turns, and belong to this program and to no test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from loadtests.audience.wire import Stock
    from loadtests.multitude.figures import Census, Deliveries
    from loadtests.multitude.witness import Book

LAST_VALUE_MS = 250.0  # the contract's: from the last change of a burst to every viewer
P99_RATIO = 1.10  # with stalled viewers over without
GROWTH_RATIO = 0.10  # of the server's memory while some stall, over what it was when they began
RETURN_SECONDS = 10.0
OTHERS_MS = 500.0  # p99 of an event to those who stay, while all others return
STALLED_ENDS = frozenset({3008, 3012, 1006})  # too slow, no pong, or cut off where no close frame went out


@dataclass(frozen=True, slots=True)
class Plan:
    """How many viewers, and what they go through."""

    viewers: int = 10_000
    stalled: int = 200  # who do not read, beside them in every other round
    others: int = 500  # who stay while all viewers are dropped
    events: int = 100  # per round
    changes: int = 5_000  # of the stock, per round
    repetitions: int = 3  # pairs of a round without stalled viewers and one with them
    event_bytes: int = 4_096
    nap_events: int = 50  # enough to fall behind, and less than the server keeps for one viewer
    flood_events: int = 1_000  # small ones, without a pause
    flood_bytes: int = 400
    pause_seconds: float = 0.05  # between an event's arrival everywhere and the next
    arrival_seconds: float = 10.0
    return_seconds: float = 8.0  # over which the dropped come back
    return_events_every: float = 0.5  # seconds
    return_changes: int = 20  # of the stock, beside each of these events
    return_event_bytes: int = (
        1_024  # what somebody missed must fit their buffer, or they are shown the picture
    )


@dataclass(frozen=True, slots=True)
class Expected:
    """What everybody must have in the end: the log up to here, and these numbers."""

    offset: int
    stock: Stock


@dataclass(frozen=True, slots=True)
class Round:
    """One round of events and stock changes, without or with sleepers beside the viewers."""

    expected: Expected
    viewers: Census
    sleepers: Census | None  # once they read again; those who are not here were closed
    deliveries: Deliveries
    last_value_ms: float  # from the last change to the last viewer
    burst_seconds: float
    cpu_micros: float  # of the server per event and viewer
    audience_micros: float  # of the audience's own process, likewise
    resident_before: int
    resident_peak: int

    @property
    def stalling(self) -> bool:
        """Whether there were sleepers."""
        return self.sleepers is not None


@dataclass(frozen=True, slots=True)
class Nap:
    """Viewers who stopped reading for a moment, and how they stand after reading on."""

    expected: Expected
    sleepers: Census


@dataclass(frozen=True, slots=True)
class Flood:
    """Small events as fast as they can be written, beside viewers who do not read."""

    expected: Expected
    viewers: Census
    sleepers: Census
    seconds: float  # until all viewers had everything
    resident_before: int
    resident_peak: int


@dataclass(frozen=True, slots=True)
class Storm:
    """All viewers dropped at once and returning to their places, while others stay."""

    expected: Expected
    viewers: Census
    others: Census
    recovered: int
    pictures: int
    refused: Counter[str]  # connections that had to be tried again, by reason
    seconds: float  # from the cut until the last was welcomed
    before: Deliveries  # to the others
    during: Deliveries


@dataclass(slots=True)
class Outcome:
    """A whole run."""

    plan: Plan
    rounds: list[Round] = field(default_factory=list)
    nap: Nap | None = None
    flood: Flood | None = None
    storm: Storm | None = None
    book: Book | None = None
    stopped: str = ""  # why it did not go on, if it did not

    def of(self, *, stalling: bool) -> list[Round]:
        """Return the rounds with stalled viewers, or those without."""
        return [each for each in self.rounds if each.stalling is stalling]

    @property
    def p99_ratio(self) -> float:
        """The median event's p99 with stalled viewers over that without: the median of neighbouring rounds."""
        pairs = zip(self.of(stalling=True), self.of(stalling=False), strict=True)
        return median(one.deliveries.typical_ms / other.deliveries.typical_ms for one, other in pairs)

    @property
    def last_value_ms(self) -> float:
        """From the last change of a burst to the last viewer: the median round's."""
        return median(each.last_value_ms for each in self.rounds)

    @property
    def growth_ratio(self) -> float:
        """How much the server's memory grew while some stalled: the worst case's."""
        cases: list[Round | Flood] = [*self.of(stalling=True)]
        if self.flood is not None:
            cases.append(self.flood)
        return max((each.resident_peak - each.resident_before) / each.resident_before for each in cases)


def broken(outcome: Outcome) -> list[str]:
    """Return the broken promises of every machine, as sentences; none where all were kept."""
    return [
        *([outcome.stopped] if outcome.stopped else ()),
        *(_wrong_in(outcome.book) if outcome.book else ()),
        *(sentence for number, each in enumerate(outcome.rounds, 1) for sentence in _of_round(number, each)),
        *(_of_sleepers("after a nap", outcome.nap.sleepers, outcome.nap.expected) if outcome.nap else ()),
        *(_of_flood(outcome.flood) if outcome.flood else ()),
        *(_of_storm(outcome.storm) if outcome.storm else ()),
    ]


def slow(outcome: Outcome) -> list[str]:
    """Return the figures that were not reached, as sentences."""
    found: list[str] = []
    if outcome.stopped:
        return found
    if outcome.last_value_ms > LAST_VALUE_MS:
        found.append(
            f"the last value took {outcome.last_value_ms:.0f} ms to the last viewer, the bound is {LAST_VALUE_MS:.0f}"
        )
    if outcome.p99_ratio > P99_RATIO:
        found.append(
            f"p99 with stalled viewers is {outcome.p99_ratio:.2f} times that without, not ≤ {P99_RATIO:.2f}"
        )
    if outcome.growth_ratio > GROWTH_RATIO:
        found.append(
            f"memory grew by {outcome.growth_ratio:.0%} while viewers stalled, not ≤ {GROWTH_RATIO:.0%}"
        )
    if outcome.storm and outcome.storm.during.p99_ms > OTHERS_MS:
        took = outcome.storm.during.p99_ms
        found.append(
            f"p99 to those who stayed was {took:.0f} ms while all others returned, not ≤ {OTHERS_MS:.0f}"
        )
    if outcome.storm and outcome.storm.seconds > RETURN_SECONDS:
        found.append(f"all were back after {outcome.storm.seconds:.1f} s, not {RETURN_SECONDS:.0f}")
    return found


def missing(who: str, census: Census, expected: Expected, *, whole: bool = True) -> list[str]:
    """Return what a group lacks, as sentences; unless it must be `whole`, those who were closed do not matter."""
    found = []
    if whole and census.here < census.size:
        found.append(f"{who}: {census.here} of {census.size} are here; closed: {dict(census.closes)}")
    if census.here and (census.lowest, census.highest) != (expected.offset, expected.offset):
        found.append(f"{who}: at events {census.lowest} to {census.highest}, the log is at {expected.offset}")
    if census.stocks.keys() - {expected.stock}:
        without = census.here - census.stocks[expected.stock]
        found.append(f"{who}: {without} have not got the last numbers, {expected.stock}")
    return found


def _wrong_in(book: Book) -> list[str]:
    counts = {
        "gaps": book.gaps,
        "duplicates": book.duplicates,
        "live numbers that went back": book.stale,
        "other wrong messages": book.wrong,
    }
    found = [f"{count} {what}" for what, count in counts.items() if count]
    return [*found, *book.examples] if found else []


def _of_round(number: int, each: Round) -> list[str]:
    found = missing(f"round {number}, viewers", each.viewers, each.expected)
    if each.sleepers is not None:
        found += _of_sleepers(f"round {number}, stalled", each.sleepers, each.expected)
    return found


def _of_sleepers(who: str, census: Census, expected: Expected) -> list[str]:
    """Return what is wrong with those who have slept: they may be closed, and if they are not, lack nothing."""
    found = missing(who, census, expected, whole=False)
    if census.closes.keys() - STALLED_ENDS:
        found.append(f"{who}: closed with {dict(census.closes)}")
    return found


def _of_flood(flood: Flood) -> list[str]:
    found = missing("flooded viewers", flood.viewers, flood.expected)
    return found + _of_sleepers("flooded, stalled", flood.sleepers, flood.expected)


def _of_storm(storm: Storm) -> list[str]:
    found = missing("returned viewers", storm.viewers, storm.expected)
    found += missing("others", storm.others, storm.expected)
    if storm.recovered < storm.viewers.size or storm.pictures:
        found.append(
            f"{storm.recovered} of {storm.viewers.size} picked their place up, {storm.pictures} started over"
        )
    return found
