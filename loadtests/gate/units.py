"""Units over time: intervals summed up by a sweep line, n log n, and numbers that hold from a moment on.

Times are Unix seconds of the server's clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Span(NamedTuple):
    """Units from `start` to just before `end`."""

    start: float
    end: float
    units: int


class Peak(NamedTuple):
    """The moment at which the most was above what is allowed: `units` there, and what is `allowed` there."""

    at: float
    units: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Steps:
    """A number that holds from each moment on until the next one; the first holds before that too."""

    at: Sequence[float]
    values: Sequence[int]

    def value(self, at: float) -> int:
        """Return the number at a moment."""
        return self.values[max(0, bisect_right(self.at, at) - 1)]


class Running:
    """How many units of a fixed set of spans there are at any time, in log n."""

    def __init__(self, spans: Iterable[Span]) -> None:
        known = list(spans)
        self._starts, self._started = _summed((span.start, span.units) for span in known)
        self._ends, self._ended = _summed((span.end, span.units) for span in known)

    def touching(self, first: float, last: float) -> int:
        """Return the units of all spans that have a moment between two, these included."""
        started = self._started[bisect_right(self._starts, last)]
        return started - self._ended[bisect_left(self._ends, first)]


def peak(spans: Sequence[Span], allowed: Steps) -> Peak | None:
    """Return where the sum of the spans is furthest above what is allowed; None where it never is above."""
    changes = [(span.start, span.units) for span in spans]
    changes += [(span.end, -span.units) for span in spans if span.end != inf]
    changes.sort()  # at one moment what ends comes first
    total, least, worst = 0, min(allowed.values), None
    for at, units in changes:
        total += units
        if units > 0 and total > least:
            limit = allowed.value(at)
            if total - limit > (worst.units - worst.allowed if worst else 0):
                worst = Peak(at, total, limit)
    return worst


def _summed(changes: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    ordered = sorted(changes)
    return [at for at, _ in ordered], [0, *accumulate(units for _, units in ordered)]
