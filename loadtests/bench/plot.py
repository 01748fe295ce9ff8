"""The latency of reservations as a picture: a panel for each way, a line for each percentile, one scale for all.

Plain SVG without fonts or scripts of its own; its colours follow the reader's choice of a light or a dark page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from loadtests.bench.latency import PERCENTILES

if TYPE_CHECKING:
    from loadtests.bench.latency import Curve, Load

WIDTH, HEIGHT = 860, 430
TOP, BOTTOM, LEFT, RIGHT = 96, 84, 64, 20
GAP = 76  # right of each panel, for the names of its lines
INSET = 44  # from a panel's edge to its first load
NAME_HEIGHT = 15  # two names stand at least so far apart
STEPS = (1, 2, 5)  # of a decade, at which there is a line
CLASSES = dict(zip(PERCENTILES, ("low", "mid", "high"), strict=True))

STYLE = """
  .page { fill: #ffffff; } text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a; }
  .title { font-size: 17px; font-weight: 600; fill: #1f2328; } .name { font-weight: 600; fill: #1f2328; }
  .grid { stroke: #e3e6ea; } .whole { stroke: #c4cad1; } .small { font-size: 11.5px; }
  .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; } .spread { stroke-width: 1.25; opacity: .55; }
  .low { stroke: #0b3d91; } .mid { stroke: #2f7de1; } .high { stroke: #d9730d; }
  circle.low { fill: #0b3d91; } circle.mid { fill: #2f7de1; } circle.high { fill: #d9730d; }
  text.low { fill: #0b3d91; stroke: none; } text.mid { fill: #2468bd; stroke: none; }
  text.high { fill: #a85505; stroke: none; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #9ba4ae; } .title, .name { fill: #e6edf3; }
    .grid { stroke: #21272f; } .whole { stroke: #3b434d; }
    .low { stroke: #a9c8ff; } .mid { stroke: #4e95ff; } .high { stroke: #f0a04b; }
    circle.low { fill: #a9c8ff; } circle.mid { fill: #4e95ff; } circle.high { fill: #f0a04b; }
    text.low { fill: #a9c8ff; } text.mid { fill: #79b0ff; } text.high { fill: #f0a04b; }
  }
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """Milliseconds on a logarithmic axis, whole steps of 1, 2 and 5 at its ends."""

    least: float
    most: float

    @classmethod
    def over(cls, values: list[float]) -> Scale:
        """Return the scale on which all of them have room."""
        return cls(max(step for step in _steps() if step <= min(values)), min(_at_least(max(values))))

    @property
    def steps(self) -> list[float]:
        """Where there is a line."""
        return [step for step in _steps() if self.least <= step <= self.most]

    def y(self, value: float) -> float:
        """Return how far down the picture a value stands."""
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def picture(curves: list[Curve], note: str) -> str:
    """Return the SVG; `note` says under the panels how it was measured."""
    found = [load.at(each) for curve in curves for load in curve.loads for each in PERCENTILES]
    scale = Scale.over([value for figure in found for value in (figure.least, figure.most)])
    width = (WIDTH - LEFT - RIGHT) / len(curves)
    panels = [_panel(curve, scale, LEFT + number * width, width - GAP) for number, curve in enumerate(curves)]
    title = "How long a reservation takes, by load"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{title}</title>',
        f'<desc id="d">{escape(" ".join(_told(curve) for curve in curves))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        _text(LEFT - 44, 34, title, "title"),
        _text(
            LEFT - 44,
            54,
            "milliseconds from the moment a viewer was meant to ask, by share of what there is room for; logarithmic",
            "small",
        ),
        *(_text(LEFT - 10, scale.y(step) + 4, f"{step:g}", "small", "end") for step in scale.steps),
        *panels,
        _text(LEFT - 44, HEIGHT - 14, note, "small"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(curve: Curve, scale: Scale, left: float, width: float) -> str:
    places = [
        left + INSET + number * (width - 2 * INSET) / (len(curve.loads) - 1)
        for number in range(len(curve.loads))
    ]
    parts = [_text(left, TOP - 16, curve.name, "name")]
    for step in scale.steps:
        whole = "whole" if math.log10(step).is_integer() else "grid"
        y = scale.y(step)
        parts.append(
            f'<line class="{whole}" x1="{left:.1f}" x2="{left + width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    for x, load in zip(places, curve.loads, strict=True):
        parts.append(_text(x, HEIGHT - BOTTOM + 20, f"{load.share:.0%}", "name", "middle"))
        parts.append(_text(x, HEIGHT - BOTTOM + 37, f"{load.rate:,.0f}/s", "small", "middle"))
    for percentile in PERCENTILES:
        parts += _line(curve.loads, places, scale, percentile)
    return "\n".join([*parts, *_names(curve.loads[-1], scale, places[-1] + 12)])


def _line(loads: list[Load], places: list[float], scale: Scale, percentile: float) -> list[str]:
    figures, name = [load.at(percentile) for load in loads], CLASSES[percentile]
    points = [(x, scale.y(figure.middle)) for x, figure in zip(places, figures, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        *(
            f'<line class="spread {name}" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{scale.y(figure.least):.1f}" y2="{scale.y(figure.most):.1f}"/>'
            for x, figure in zip(places, figures, strict=True)
        ),
        f'<polyline class="line {name}" points="{path}"/>',
        *(f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points),
    ]


def _names(last: Load, scale: Scale, x: float) -> list[str]:
    """Name each line at its end, moved up where it would cover the one below."""
    names, floor = [], math.inf
    for percentile in PERCENTILES:
        value = last.at(percentile).middle
        floor = min(scale.y(value) + 4, floor - NAME_HEIGHT)
        names.append(_text(x, floor, f"p{percentile:g} {_short(value)} ms", f"small {CLASSES[percentile]}"))
    return names


def _told(curve: Curve) -> str:
    """Return the figures as a sentence, for who cannot see them."""
    loads = "; ".join(
        f"at {load.share:.0%} ({load.rate:,.0f}/s) "
        + ", ".join(f"p{each:g} {_short(load.at(each).middle)} ms" for each in PERCENTILES)
        for load in curve.loads
    )
    return f"{curve.name}: {loads}."


def _text(x: float, y: float, words: str, name: str, anchor: str = "start") -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(value: float) -> str:
    """Return a number with two digits that count."""
    return f"{value:.2g}" if value < 1 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004


def _steps() -> list[float]:
    return [step * 10.0**decade for decade in range(-4, 6) for step in STEPS]


def _at_least(value: float) -> list[float]:
    return [step for step in _steps() if step >= value]
