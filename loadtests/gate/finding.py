"""A finding's sentence and its evidence: so many lines are listed, the rest is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from loadtests.run import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_LINES = 20

T = TypeVar("T")


def finding(kind: str, sentence: str, found: Sequence[T] = (), line: Callable[[T], str] = str) -> Finding:
    """Return a finding with a line for each of the first things that were found; one more counts those left out."""
    more = len(found) - MOST_LINES
    rest = [f"… and {more:,} more"] if more > 0 else []
    return Finding(kind=kind, sentence=sentence, evidence=[*map(line, found[:MOST_LINES]), *rest])


def clock(at: float) -> str:
    """Return a moment (Unix seconds) as the time of day, UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]


def count(number: int, noun: str) -> str:
    """Return how many there are of what a regular noun names."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
