"""From values to places on a plot, with round numbers along the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

ROUND = (1.0, 2.0, 5.0)  # of a decade
WIDE = 30.0  # from this ratio of greatest to least on, only a logarithmic axis shows both


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `least` at `low` to `most` at `high` (px), with the values at which it has a line."""

    least: float
    most: float
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def linear(cls, most: float, low: float, high: float, lines: int = 5) -> Scale:
        """Return the axis from zero to at least `most`."""
        step = _step(most / lines) if most > 0 else 1.0
        steps = max(1, math.ceil(most / step - 1e-9))
        return cls(0.0, steps * step, low, high, tuple(number * step for number in range(steps + 1)))

    @classmethod
    def time(cls, seconds: float, low: float, high: float, lines: int = 6) -> Scale:
        """Return the axis of so many seconds exactly."""
        step = _step(seconds / lines) if seconds > 0 else 1.0
        ticks = tuple(number * step for number in range(int(seconds / step + 1e-9) + 1))
        return cls(0.0, seconds or 1.0, low, high, ticks)

    @classmethod
    def decades(cls, least: float, most: float, low: float, high: float) -> Scale:
        """Return the logarithmic axis on which both have room; both are above zero."""
        first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
        last = max(last, first + 1)
        return cls(
            10.0**first, 10.0**last, low, high, tuple(10.0**each for each in range(first, last + 1)), True
        )

    def at(self, value: float) -> float:
        """Return the place of a value, within the axis."""
        if self.logarithmic:
            value = max(value, self.least)
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return self.low + min(max(share, 0.0), 1.0) * (self.high - self.low)


def fitting(values: list[float], low: float, high: float) -> Scale:
    """Return an axis from zero, or, where that would hide the small ones, a logarithmic one."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) / min(positive) > WIDE:
        return Scale.decades(min(positive), max(positive), low, high)
    return Scale.linear(max(values, default=1.0), low, high)


def _step(least: float) -> float:
    """Return the smallest round number that is at least that."""
    decade = 10.0 ** math.floor(math.log10(least))
    found: float = next(
        decade * 10**power * each
        for power in count()
        for each in ROUND
        if decade * 10**power * each >= least * (1 - 1e-9)
    )
    return found
