"""Plots do not mislead: an axis begins at zero or says so, gaps stay gaps, peaks survive, colours are not alone."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from loadtests.report import bars, lines
from loadtests.report.frame import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Mark, Series, stretches
from loadtests.report.numbers import change, short, tick
from loadtests.report.plots import plots
from loadtests.report.scale import Scale, fitting
from loadtests.report.style import STYLE
from loadtests.run import Curve
from tests.loadtests.report.made import run


def steady(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return list(points)


def elements(picture: str, name: str) -> list[ET.Element]:
    """Return the elements of a picture whose class begins so."""
    root = ET.fromstring(picture)  # noqa: S314  it is ours
    return [each for each in root.iter() if each.get("class", "").startswith(name)]


def test_where_nothing_was_measured_there_is_no_line() -> None:
    """A pause much longer than the usual step splits a line; the same pause all along is the usual step."""
    every_half = [(number * 0.5, 1.0) for number in range(10)]
    later = [(20 + number * 0.5, 1.0) for number in range(10)]
    assert stretches([*every_half, *later]) == [every_half, later]
    assert len(stretches([(number * 30.0, 1.0) for number in range(10)])) == 1
    assert stretches(steady((3.0, 1.0), (30.0, 1.0))) == [[(3.0, 1.0)], [(30.0, 1.0)]]
    assert stretches([]) == []


def test_a_gap_is_drawn_as_a_gap() -> None:
    """Two stretches are two lines; a single point between pauses is a marker, for a line it cannot be."""
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, 1.0), (4.0, 1.0), (10.0, 5.0), (20.0, 1.0), (21.0, 1.0)]
    picture = lines.lines("a plot", "ms", 30, [Series("p50", points, 0)])
    assert len(elements(picture, "line s0")) == 2
    assert len(elements(picture, "point s0")) == 1


def test_counts_are_steps_between_their_points() -> None:
    """Stock stays as it is until it is seen to change: the areas' edges are upright or level, never a slope."""
    series = [Series(name, [(0.0, 1.0), (1.0, 7.0), (2.0, 3.0)], n) for n, name in enumerate(("a", "b"))]
    for edge in elements(lines.stacked("stock", "units", 3, series), "edge"):
        corners = [tuple(map(float, each.split(","))) for each in edge.attrib["points"].split()]
        assert all(one[0] == two[0] or one[1] == two[1] for one, two in pairwise(corners))


def test_a_column_stands_where_it_was_counted() -> None:
    """What was taken within a second is a column as wide as that second, from zero, and none of it is outside."""
    picture = lines.columns(
        "taken", "units per second", 10, Series("taken", [(0.5, 0.0), (1.5, 8.0), (2.5, 4.0)], 0)
    )
    (column,) = elements(picture, "column")
    corners = [tuple(map(float, each.split(","))) for each in column.attrib["points"].split()]
    scale, times = Scale.linear(8, BOTTOM, 30.0), Scale.time(10, LEFT, RIGHT)
    expected = [(1.0, 0.0), (1.0, 8.0), (2.0, 8.0), (2.0, 4.0), (3.0, 4.0), (3.0, 0.0)]
    for at, value in expected:
        assert pytest.approx((times.at(at), scale.at(value)), abs=0.1) in corners


def test_stacked_areas_end_at_their_sum() -> None:
    """The upper edge of the uppermost area is the sum of all, on an axis that begins at zero."""
    series = [Series(name, [(0.0, 20.0), (1.0, 20.0)], n) for n, name in enumerate(("a", "b", "c"))]
    *_, top = elements(lines.stacked("stock", "units", 1, series), "edge")
    scale = Scale.linear(60, BOTTOM, 30.0)
    assert float(top.attrib["points"].split(",")[-1]) == pytest.approx(scale.at(60), abs=0.1)
    assert scale.least == 0


def test_no_peak_is_thinned_away() -> None:
    """Of ten thousand points the one that stands out is drawn."""
    points = [(float(number), 1.0) for number in range(10_000)]
    points[7777] = (7777.0, 100.0)
    (line,) = elements(lines.steady("a plot", "cores", 10_000, [Series("server", points, 0)]), "line s0")
    heights = [float(each.split(",")[1]) for each in line.attrib["points"].split()]
    assert min(heights) == pytest.approx(30, abs=0.1)
    assert len(heights) < 1100


def test_lines_are_told_apart_without_colours() -> None:
    """Six lines have six shapes of markers and six dashes, in the plot and in its legend."""
    series = [Series(f"line {n}", [(1.0, 1.0 + n), (2.0, 2.0 + n)], n) for n in range(lines.STYLES)]
    for drawn in (
        lines.lines("a plot", "ms", 3, series),
        lines.legend([(each.name, each.style) for each in series]),
    ):
        shapes = set()
        for n in range(lines.STYLES):
            mark = elements(drawn, f"point s{n}")[0]
            corners = [tuple(map(float, each.split(","))) for each in mark.get("points", "").split()]
            heights = [round(y - min(y for _, y in corners), 1) for _, y in corners]
            shapes.add((mark.tag, tuple(heights)))
        assert len(shapes) == lines.STYLES
    dashes = re.findall(r"\.line\.s\d \{ stroke-dasharray: ([\d ]+)", STYLE)
    assert len(set(dashes)) == lines.STYLES - 1  # the first is whole


def test_an_axis_begins_at_zero_or_says_that_it_does_not() -> None:
    """Values of one size stand on an axis from zero; where that would hide the small ones it says `logarithmic`."""
    assert fitting([50.0, 100.0], 0, 1).least == 0
    wide = fitting([0.5, 900.0], 0, 1)
    assert (wide.logarithmic, wide.least, wide.most) == (True, 0.1, 1000)
    assert "ms, logarithmic" in lines.lines("a", "ms", 3, [Series("p50", [(1.0, 0.5), (2.0, 900.0)], 0)])
    assert "logarithmic" not in lines.steady("a", "MiB", 3, [Series("s", [(1.0, 0.5), (2.0, 900.0)], 0)])


def test_bars_begin_at_zero_and_are_as_long_as_their_counts() -> None:
    """A count twice as large has a bar twice as long."""
    picture = bars.counts("refusals", "times", [bars.Bar("a", 400), bars.Bar("b", 200)])
    widths = [float(each.attrib["width"]) for each in elements(picture, "bar")]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)


def test_nothing_of_a_picture_is_outside() -> None:
    """Every text and line of every plot is within its picture, also what happened before and after the run."""
    for plot in plots(run()):
        root = ET.fromstring(plot.picture)  # noqa: S314  it is ours
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        assert (width, height <= HEIGHT) == (WIDTH, True)
        for element in root.iter():
            for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height)):
                assert 0 <= float(element.get(name, "0")) <= most, element.attrib
    late = lines.steady("a", "ms", 5, [Series("s", [(1.0, 1.0), (9.0, 1.0)], 0)], [Mark(99.0, "cut", "late")])
    (mark,) = elements(late, "mark")
    assert float(mark[1].attrib["x1"]) == RIGHT


def test_values_are_told_to_who_rests_on_them() -> None:
    """At each moment a title has every line's value there; of many values the least and the most."""
    series = [
        Series("p50", [(1.0, 3.0), (1.01, 5.0)], 0),
        Series("p99", [(1.0, 30.0)], 1),
    ]
    picture = lines.lines("a plot", "ms", 60, series)
    titles = [each.text or "" for each in ET.fromstring(picture).iter() if each.tag == "title"]  # noqa: S314
    assert any(re.search(r"p50 3 … 5\np99 30", title) for title in titles)


def test_what_is_no_number_is_not_drawn() -> None:
    """An infinite value, or a curve that ends early, makes no line to nowhere."""
    curve = Curve(name="odd", unit="ms", at=[1.0, 2.0, 3.0, 4.0], values=[1.0, math.inf, 2.0])
    assert Series.of(curve, 0).points == [(1.0, 1.0), (3.0, 2.0)]


def test_curves_that_nobody_expected_are_shown() -> None:
    """A curve of another kind has a plot of its own; those of a few drops have one each."""
    more = [Curve(name="queue", unit="viewers", at=[1.0, 2.0], values=[3.0, 4.0])]
    more += [
        Curve(name=f"{kind} dr_abc_2", unit="units", at=[0.0, 9.0], values=[5.0, 5.0])
        for kind in ("available", "held", "sold")
    ]
    titles = [plot.title for plot in plots(run(curves=[*run().curves, *more]))]
    assert titles.count("queue") == titles.count("Available, held, sold: 2") == 1


@pytest.mark.parametrize("most", [0.0, 0.003, 0.9, 1.0, 7.0, 499.0, 500.0, 123_456.0])
def test_axes_have_round_numbers(most: float) -> None:
    """An axis has room for its greatest value, few lines, and numbers of one digit that counts."""
    scale = Scale.linear(most, BOTTOM, 30.0)
    assert scale.most >= most
    assert 2 <= len(scale.ticks) <= 7
    assert all(len(f"{step:.2e}".split("e")[0].rstrip("0.")) <= 2 for step in scale.ticks[1:2])
    time = Scale.time(most, LEFT, RIGHT)
    assert time.at(most) == pytest.approx(RIGHT if most else LEFT)


def test_numbers_have_the_digits_that_count() -> None:
    """Numbers are as long as they need to be, and a difference of nothing has no sign."""
    assert [short(each) for each in (0.0123, 1.234, 45.67, 1234.5, 3.0, math.inf)] == [
        "0.012",
        "1.23",
        "45.7",
        "1,234",
        "3",
        "?",
    ]
    assert [tick(each) for each in (0.5, 2000, 15_000, 2e6)] == ["0.5", "2,000", "15k", "2M"]
    assert [change(each) for each in (0.123, -0.04, 0.0, None)] == ["+12 %", "\u22124.0 %", "0 %", "\u2013"]
