"""Lines and stacked areas over time: a gap where nothing was measured, and no line told by its colour alone."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.report.frame import BOTTOM, TOP, Frame, Series, stretches
from loadtests.report.markup import tag, text
from loadtests.report.scale import Scale, fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtests.report.frame import Mark

    Point = tuple[float, float]

STYLES = 6
MARKERS = 12  # on a line of many points; fewer points have one each
EVERY_POINT = 25
MOST_POINTS = 480  # of a line: one for each pixel; more are thinned to the least and the most
SIZE = 3.6  # of a marker, from its middle
HATCHES = ("plain", "stripes", "dots")


def lines(name: str, unit: str, seconds: float, series: Sequence[Series], marks: Sequence[Mark] = ()) -> str:
    """Return a plot of lines, from zero or, where small values would vanish, on a logarithmic axis."""
    values = [value for one in series for _, value in one.points]
    return _lines(Frame(name, unit, seconds, fitting(values, BOTTOM, TOP), marks), series, joined=True)


def steady(name: str, unit: str, seconds: float, series: Sequence[Series], marks: Sequence[Mark] = ()) -> str:
    """Return a plot of lines on an axis from zero, whatever the values: for what is to be compared by height."""
    return _lines(
        Frame(name, unit, seconds, Scale.linear(_most(series), BOTTOM, TOP), marks), series, joined=True
    )


def points(name: str, unit: str, seconds: float, series: Sequence[Series]) -> str:
    """Return a plot of single values: nothing is between them."""
    return _lines(Frame(name, unit, seconds, Scale.linear(_most(series), BOTTOM, TOP)), series, joined=False)


def columns(name: str, unit: str, seconds: float, one: Series, marks: Sequence[Mark] = ()) -> str:
    """Return a plot of counts, each a column over the stretch of time in the middle of which its point is."""
    frame = Frame(name, unit, seconds, Scale.linear(_most([one]), BOTTOM, TOP), marks)
    moments = [at for at, _ in one.points]
    half = min((after - before for before, after in pairwise(moments)), default=1.0) / 2
    parts = []
    for stretch in stretches(one.points):
        sides = [(at + side, value) for at, value in _thin(stretch) for side in (-half, half)]
        corners = [(sides[0][0], 0.0), *sides, (sides[-1][0], 0.0)]
        parts.append(tag("polygon", class_="column", points=_path([frame.place(*each) for each in corners])))
    return frame.drawn(parts, [one])


def stacked(  # noqa: PLR0913  a plot, and how its points came about
    name: str,
    unit: str,
    seconds: float,
    series: Sequence[Series],
    marks: Sequence[Mark] = (),
    *,
    sampled: bool = True,
) -> str:
    """Return areas on top of each other, the first at the bottom; all series have the same moments.

    A count stays until the next one: no slope is drawn that nobody saw. `sampled`: the points come at regular times,
    so where they do not is a gap; else there is a point wherever something changed.
    """
    moments = [at for at, _ in series[0].points]
    tops = [[0.0] * len(moments)]
    for one in series:
        tops.append([below + value for below, (_, value) in zip(tops[-1], one.points, strict=True)])
    frame = Frame(name, unit, seconds, Scale.linear(max(tops[-1], default=1.0), BOTTOM, TOP), marks)
    parts, split = [], stretches if sampled else _whole
    for one, (below, above) in zip(series, pairwise(tops), strict=True):
        lower, upper = (split(list(zip(moments, each, strict=True))) for each in (below, above))
        for under, over in zip(lower, upper, strict=True):
            edge, floor = (_steps([frame.place(*point) for point in _thin(each)]) for each in (over, under))
            corners = _path([*edge, *reversed(floor)])
            parts += [
                tag("polygon", class_=f"area a{one.style}", points=corners),
                tag("polygon", class_=f"over {HATCHES[one.style % len(HATCHES)]}", points=corners),
                tag("polyline", class_=f"edge a{one.style}", points=_path(edge)),
            ]
    return frame.drawn(parts, series)


def legend(names: Sequence[tuple[str, int]]) -> str:
    """Return the lines' names, each behind a piece of its line."""
    items = []
    for name, style in names:
        sample = tag(
            "svg",
            tag("line", class_=f"line s{style}", x1=1, x2=33, y1=8, y2=8),
            _marker(17, 8, style),
            viewBox="0 0 34 16",
            aria_hidden="true",
        )
        items.append(tag("li", sample, text(name)))
    return tag("ul", *items, class_="legend")


def stack_legend(names: Sequence[tuple[str, int]]) -> str:
    """Return the areas' names, each behind a piece of its area."""
    items = []
    for name, style in names:
        box = {"x": 1.0, "y": 1.0, "width": 32.0, "height": 14.0}
        sample = tag(
            "svg",
            tag("rect", class_=f"area a{style}", **box),
            tag("rect", class_=f"over {HATCHES[style % len(HATCHES)]}", **box),
            viewBox="0 0 34 16",
            aria_hidden="true",
        )
        items.append(tag("li", sample, text(name)))
    return tag("ul", *items, class_="legend")


def hatches() -> str:
    """Return the patterns of the areas, once for a page: a picture of no size that the others refer to."""
    stripes = tag("path", d="M-2 2l4 -4M0 8l8 -8M6 10l4 -4", class_="hatch")
    dots = tag("circle", cx=3, cy=3, r=1.1, class_="hatch-dot")
    kept = tag(
        "defs",
        tag("pattern", stripes, id="stripes", width=8, height=8, patternUnits="userSpaceOnUse"),
        tag("pattern", dots, id="dots", width=6, height=6, patternUnits="userSpaceOnUse"),
    )
    return tag("svg", kept, width=0, height=0, class_="defs", aria_hidden="true")


def _lines(frame: Frame, series: Sequence[Series], *, joined: bool) -> str:
    parts = []
    for one in series:
        every = max(1, len(one.points) // MARKERS) if joined and len(one.points) > EVERY_POINT else 1
        told_apart = len(series) > 1 or not joined
        marked = set(one.points[every // 2 :: every] if told_apart else ())
        for stretch in stretches(one.points) if joined else []:
            if len(stretch) == 1:
                marked.add(stretch[0])
                continue
            path = _path([frame.place(*point) for point in _thin(stretch)])
            parts.append(tag("polyline", class_=f"line s{one.style}", points=path))
        parts += [_marker(*frame.place(*point), one.style) for point in sorted(marked)]
    return frame.drawn(parts, series)


def _most(series: Sequence[Series]) -> float:
    return max((value for one in series for _, value in one.points), default=1.0)


def _thin(stretch: Sequence[Point]) -> list[Point]:
    """Return the points, or of too many the least and the most of each piece, in order: no peak gets lost."""
    if len(stretch) <= MOST_POINTS:
        return list(stretch)
    return list(_extremes(stretch, 2 * len(stretch) // MOST_POINTS + 1))


def _extremes(stretch: Sequence[Point], size: int) -> Iterator[Point]:
    yield stretch[0]
    for first in range(0, len(stretch), size):
        piece = stretch[first : first + size]
        yield from sorted({min(piece, key=_value), max(piece, key=_value)})
    yield stretch[-1]


def _whole(points: Sequence[Point]) -> list[list[Point]]:
    return [list(points)] if points else []


def _steps(places: Sequence[Point]) -> list[Point]:
    """Return the corners of a line that keeps its height until the next place."""
    corners = [corner for (_, y), (x, after) in pairwise(places) for corner in ((x, y), (x, after))]
    return [*places[:1], *corners]


def _value(point: Point) -> float:
    return point[1]


def _path(places: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _marker(x: float, y: float, style: int) -> str:
    """Return the shape of a style at a place: circle, square, triangle, diamond, cross, triangle on its head."""
    return _SHAPES[style % STYLES](x, y, f"point s{style}")


def _polygon(corners: Sequence[Point]) -> Callable[[float, float, str], str]:
    def drawn(x: float, y: float, name: str) -> str:
        places = _path([(x + right * SIZE, y + down * SIZE) for right, down in corners])
        return tag("polygon", class_=name, points=places)

    return drawn


def _circle(x: float, y: float, name: str) -> str:
    return tag("circle", class_=name, cx=x, cy=y, r=SIZE)


def _cross(x: float, y: float, name: str) -> str:
    size = SIZE * 0.9
    left, right, top, bottom = (f"{each:.1f}" for each in (x - size, x + size, y - size, y + size))
    d = f"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"
    return tag("path", class_=f"{name} open", d=d)


_SHAPES = (
    _circle,
    _polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
    _polygon([(0, -1.2), (1.1, 0.9), (-1.1, 0.9)]),
    _polygon([(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)]),
    _cross,
    _polygon([(0, 1.2), (1.1, -0.9), (-1.1, -0.9)]),
)
