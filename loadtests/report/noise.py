"""What figures differ by though nothing has changed: as far as earlier runs can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Student's t, both sides together 1 %, by degrees of freedom from 1; beyond the last it would be a little less.
T_99 = (63.66, 9.92, 5.84, 4.60, 4.03, 3.71, 3.50, 3.36, 3.25, 3.17)


@dataclass(frozen=True, slots=True)
class Noise:
    """The earlier values of a figure: median and spread, and how far from the median chance alone takes the next.

    In 99 of 100 cases no farther than `band`: Student's t of the values' deviation, and never less than what the
    figure can be read to. Two values tell so little that their band is wide; one tells nothing, its band is None.
    """

    runs: int
    middle: float
    least: float
    most: float
    band: float | None

    @classmethod
    def of(cls, values: Sequence[float], resolution: float = 0.0) -> Noise:
        """Return the noise of at least one value; `resolution` is the share of itself that a figure is true to."""
        runs, middle = len(values), median(values)
        band = None
        if runs > 1:
            reach = T_99[min(runs - 1, len(T_99)) - 1] * math.sqrt(1 + 1 / runs)
            band = max(reach * stdev(values), resolution * abs(middle))
        return cls(runs, middle, min(values), max(values), band)

    def explains(self, value: float) -> bool | None:
        """Return whether chance may have made a value; None: nobody can tell."""
        return None if self.band is None else abs(value - self.middle) <= self.band
