"""What every plot over time has: its axes with their units, what happened when, and the values under the pointer.

Sizes are in the picture's own pixels; on a narrow screen the page makes the text larger and the picture smaller, so
there is room for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.report.markup import hint, label, tag
from loadtests.report.numbers import short, tick
from loadtests.report.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.run import Curve

WIDTH, HEIGHT = 480, 262
LEFT, RIGHT, TOP, BOTTOM = 60.0, 468.0, 30.0, 216.0
STRIPS = 160  # places along the time at which the values are told
MINUTES_FROM = 600.0  # seconds from which on the axis counts in minutes
MINUTE = 60.0
GAP = 2.5  # times the usual step without a point: nothing was measured
FEW = 3  # steps
CROWDED = 24  # from so many on, what happened is marked at the top alone


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its points as (seconds, value) in order, and which of the page's styles it has."""

    name: str
    points: list[tuple[float, float]]
    style: int

    @classmethod
    def of(cls, curve: Curve, style: int, name: str = "") -> Series:
        """Return a curve's line, without what is no number."""
        pairs = zip(curve.at, curve.values, strict=False)
        points = sorted(pair for pair in pairs if all(map(math.isfinite, pair)))
        return cls(name or curve.name, points, style)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment: a kind of `opening`, `cut`, `deploy`, and a sentence."""

    at: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot's axes: what it shows, in which unit, over how many seconds."""

    name: str
    unit: str
    seconds: float
    y: Scale
    marks: Sequence[Mark] = ()
    x: Scale = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", Scale.time(self.seconds / self._each, LEFT, RIGHT))

    @property
    def _each(self) -> float:
        return MINUTE if self.seconds > MINUTES_FROM else 1.0

    def place(self, at: float, value: float) -> tuple[float, float]:
        """Return where a value at a moment stands."""
        return self.x.at(at / self._each), self.y.at(value)

    def drawn(self, inside: Sequence[str], series: Sequence[Series]) -> str:
        """Return the whole picture around what is inside of it."""
        return tag(
            "svg",
            *self._axes(),
            *self._happened(),
            *inside,
            *self._strips(series),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=self._told(series),
        )

    def _axes(self) -> list[str]:
        kind = ", logarithmic" if self.y.logarithmic else ""
        parts = [label(4, 16, f"{self.unit}{kind}", class_="unit")]
        for value in self.y.ticks:
            y = self.y.at(value)
            base = "base" if value == self.y.least else "grid"
            parts += [
                tag("line", class_=base, x1=LEFT, x2=RIGHT, y1=y, y2=y),
                label(LEFT - 8, y + 5, tick(value), "end"),
            ]
        for value in self.x.ticks:
            x = self.x.at(value)
            parts += [
                tag("line", class_="base", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 4),
                label(x, BOTTOM + 20, tick(value), "middle"),
            ]
        unit = "minutes" if self._each == MINUTE else "seconds"
        return [*parts, label(RIGHT, HEIGHT - 6, f"{unit} since the run began", "end", "unit")]

    def _happened(self) -> list[str]:
        parts = []
        foot = BOTTOM if len(self.marks) < CROWDED else TOP
        for mark in self.marks:
            x = self.x.at(mark.at / self._each)
            line = tag("line", x1=x, x2=x, y1=TOP - 8, y2=foot)
            parts.append(tag("g", hint(mark.words), line, class_=f"mark {mark.kind}"))
        return parts

    def _strips(self, series: Sequence[Series]) -> list[str]:
        """Return what tells the values at a moment to who rests there; of a strip's values the least and the most."""
        width = (RIGHT - LEFT) / STRIPS
        found: dict[int, dict[str, list[float]]] = {}
        for one in series:
            for at, value in one.points:
                number = min(STRIPS - 1, int((self.x.at(at / self._each) - LEFT) / width))
                found.setdefault(number, {}).setdefault(one.name, []).append(value)
        parts = []
        for number, values in sorted(found.items()):
            at = (number + 0.5) / STRIPS * self.seconds
            lines = [f"about {short(at)} s", *(f"{name} {_range(each)}" for name, each in values.items())]
            strip = tag(
                "rect",
                hint("\n".join(lines)),
                x=LEFT + number * width,
                y=TOP,
                width=width,
                height=BOTTOM - TOP,
            )
            parts.append(strip)
        return [tag("g", *parts, class_="strips")] if parts else []

    def _told(self, series: Sequence[Series]) -> str:
        """Return the picture in words, for who cannot see it."""
        ranges = [f"{one.name} {_range([value for _, value in one.points])}" for one in series if one.points]
        return f"{self.name}, {self.unit}: {'; '.join(ranges) or 'nothing was measured'}."


def stretches(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the points in stretches within which was measured without a gap.

    A gap is more than two and a half times the usual step, which three quarters of the steps reach. Few points tell
    of no usual step: theirs is a second, the longest at which anything of a run is sampled.
    """
    steps = sorted(after[0] - before[0] for before, after in pairwise(points))
    usual = steps[len(steps) // 4] if len(steps) >= FEW else 1.0
    parts: list[list[tuple[float, float]]] = []
    for point in points:
        if not parts or point[0] - parts[-1][-1][0] > GAP * usual:
            parts.append([])
        parts[-1].append(point)
    return parts


def _range(values: Sequence[float]) -> str:
    least, most = short(min(values)), short(max(values))
    return least if least == most else f"{least} … {most}"
