"""Bars from zero, a row each: how often, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.report.frame import WIDTH
from loadtests.report.markup import hint, label, tag
from loadtests.report.numbers import short, tick
from loadtests.report.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT, RIGHT = 12.0, 468.0
ROW, HEAD, FOOT = 44.0, 8.0, 46.0
BAR = 12.0  # high
TEXT_ROOM = 110.0  # right of the longest bar, for its number


@dataclass(frozen=True, slots=True)
class Bar:
    """A count and its name."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Span:
    """Values of one row: the least, the middle nine tenths (`low` to `high`), the median, the most."""

    name: str
    least: float
    low: float
    middle: float
    high: float
    most: float
    note: str


def counts(name: str, unit: str, bars: Sequence[Bar]) -> str:
    """Return a bar for each count."""
    scale = Scale.linear(max((bar.value for bar in bars), default=1.0), LEFT, RIGHT - TEXT_ROOM, lines=4)
    rows = []
    for number, bar in enumerate(bars):
        y, end = HEAD + number * ROW, scale.at(bar.value)
        shape = tag("rect", class_="bar", x=LEFT, y=y + 22, width=max(end - LEFT, 1.0), height=BAR)
        value = label(end + 8, y + 33, short(bar.value), class_="value")
        rows.append(
            tag("g", hint(f"{bar.name}: {bar.value:,g} {unit}"), label(LEFT, y + 15, bar.name), shape, value)
        )
    told = "; ".join(f"{bar.name} {bar.value:,g}" for bar in bars)
    return _picture(rows, scale, unit, f"{name}: {told}.")


def spans(name: str, unit: str, rows: Sequence[Span]) -> str:
    """Return a row for each: a line from the least to the most, a box for the middle, a dot for the median."""
    scale = Scale.linear(max((row.most for row in rows), default=1.0), LEFT, RIGHT, lines=5)
    drawn = []
    for number, row in enumerate(rows):
        y = HEAD + number * ROW
        middle = y + 28
        least, low, median, high, most = map(scale.at, (row.least, row.low, row.middle, row.high, row.most))
        values = (row.least, row.low, row.middle, row.high, row.most)
        first, five, half, ninety_five, last = map(short, values)
        words = f"{row.name}\nfirst {first} {unit}\n5 % {five}\nhalf {half}\n95 % {ninety_five}\nlast {last} {unit}"
        drawn.append(
            tag(
                "g",
                hint(words),
                tag("rect", class_="strip", x=LEFT, y=y, width=RIGHT - LEFT, height=ROW),
                label(LEFT, y + 14, row.name),
                label(RIGHT, y + 14, row.note, "end", "value"),
                tag("line", class_="whisker", x1=least, x2=most, y1=middle, y2=middle),
                *(
                    tag("line", class_="whisker", x1=x, x2=x, y1=middle - 6, y2=middle + 6)
                    for x in (least, most)
                ),
                tag("rect", class_="box", x=low, y=middle - 5, width=max(high - low, 1.5), height=10),
                tag("circle", class_="median", cx=median, cy=middle, r=4),
            )
        )
    told = "; ".join(f"{row.name}: {short(row.least)} to {short(row.most)}" for row in rows)
    return _picture(drawn, scale, unit, f"{name}, {unit}: {told}.")


def _picture(rows: Sequence[str], scale: Scale, unit: str, told: str) -> str:
    foot = HEAD + len(rows) * ROW + 2
    axis = []
    for value in scale.ticks:
        x = scale.at(value)
        axis += [
            tag("line", class_="base" if value == scale.least else "grid", x1=x, x2=x, y1=HEAD + 16, y2=foot),
            label(x, foot + 18, tick(value), "middle" if value else "start"),
        ]
    return tag(
        "svg",
        *axis,
        label(RIGHT, foot + FOOT - 10, unit, "end", "unit"),
        *rows,
        viewBox=f"0 0 {WIDTH} {foot + FOOT:.0f}",
        role="img",
        aria_label=told,
    )
