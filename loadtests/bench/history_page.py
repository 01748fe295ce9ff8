"""The history of the goals as a page: a small plot for each, its bound as a line, a point for each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.meanings import MEANINGS
from loadtests.bench.record import place
from loadtests.report.document import document
from loadtests.report.markup import hint, label, tag, text
from loadtests.report.numbers import tick
from loadtests.report.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.bench.record import Judged, Record

WIDTH, HEIGHT = 480, 210
LEFT, RIGHT, TOP, BOTTOM = 60.0, 460.0, 30.0, 168.0
SIZE = 4.0  # of a point, px
DATE = 10  # characters of a moment that are its date


@dataclass(frozen=True, slots=True)
class Measured:
    """A goal as one run measured it: when, by which version, and what."""

    at: str
    livedrop: str
    goal: Judged


def page(records: Sequence[Record]) -> str:
    """Return the page of the newest record's machine and sizes; runs of others are counted."""
    title = "Livedrop's goals over time"
    if not records:
        return document(
            title, tag("section", tag("h1", text(title)), tag("p", "No run is kept."), class_="card")
        )
    newest = records[-1]
    same = [each for each in records if place(each) == place(newest) and each.sizes == newest.sizes]
    drawn = _by_part(same)
    latest = [found[-1].goal for goals in drawn.values() for found in goals.values()]
    parts = []
    for part, goals in drawn.items():
        figures = [
            tag("figure", tag("h3", text(name)), _plot(found), class_="card") for name, found in goals.items()
        ]
        heading = MEANINGS[part].title if part in MEANINGS else part
        parts += [tag("h2", text(heading)), tag("div", *figures, class_="plots")]
    counts = f"Runs: {len(same)}; left out, of other machines or sizes: {len(records) - len(same)}."
    return document(title, _head(title, newest, latest, counts), *parts)


def _head(title: str, newest: Record, latest: Sequence[Judged], counts: str) -> str:
    """Return what is reached now: of each goal, by the newest run that measured it."""
    missed = [goal for goal in latest if not goal.reached]
    where = f"{newest.machine.cpu}, {newest.machine.cores} cores; newest run {newest.at}"
    return tag(
        "section",
        tag("p", text(where), class_="eyebrow"),
        tag("h1", text(title)),
        tag("p", text(f"{len(latest) - len(missed)} of {len(latest)} goals are reached. {counts}")),
        tag("ul", *(tag("li", text(f"✗ {goal.name}: {goal.shown}, {goal.verdict}")) for goal in missed)),
        tag(
            "p",
            "Each point is a run, in order: a dot where the goal was reached, a cross where it was missed; the line "
            "through it is the spread within the run. Dashed: the goal. A figure is a ratio within one run wherever it "
            "can be, because machines drift.",
            class_="note",
        ),
        class_=f"card verdict {'failed' if missed else 'passed'}",
    )


def _by_part(records: Sequence[Record]) -> dict[str, dict[str, list[Measured]]]:
    """Return part -> goal -> what the runs measured, the oldest first."""
    found: dict[str, dict[str, list[Measured]]] = {}
    for record in records:
        for (part, name), goal in record.goals.items():
            if goal.measured is not None:
                measured = Measured(record.at, record.livedrop, goal)
                found.setdefault(part, {}).setdefault(name, []).append(measured)
    return found


def _plot(found: Sequence[Measured]) -> str:
    newest = found[-1].goal
    tops = [each.goal.measured.most for each in found if each.goal.measured]
    scale = Scale.linear(max(*tops, newest.limit) * 1.02, BOTTOM, TOP, lines=4)
    axis = [label(4, 16, newest.unit, class_="unit")]
    for value in scale.ticks:
        y, kind = scale.at(value), "base" if value == scale.least else "grid"
        axis += [
            tag("line", class_=kind, x1=LEFT, x2=RIGHT, y1=y, y2=y),
            label(LEFT - 8, y + 5, tick(value), "end"),
        ]
    limit = scale.at(newest.limit)
    bound = tag(
        "g",
        hint(f"the goal: {newest.bound}"),
        tag("line", class_="goal", x1=LEFT, x2=RIGHT, y1=limit, y2=limit),
    )
    step = (RIGHT - LEFT) / (len(found) + 1)
    places = [LEFT + step * (number + 1) for number in range(len(found))]
    middles = [each.goal.measured.middle if each.goal.measured else 0.0 for each in found]
    path = " ".join(f"{x:.1f},{scale.at(value):.1f}" for x, value in zip(places, middles, strict=True))
    told = f"{newest.name}: {newest.shown}, goal {newest.bound}, {newest.verdict}; {len(found)} runs."
    return tag(
        "svg",
        *axis,
        bound,
        tag("polyline", class_="line s0", points=path) if len(found) > 1 else "",
        *(part for x, each in zip(places, found, strict=True) for part in _point(x, scale, each)),
        *_dates(found, places),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=told,
    ) + tag("p", text(f"{newest.shown}; goal {newest.bound}: {newest.verdict}."), class_="note")


def _point(x: float, scale: Scale, each: Measured) -> Iterator[str]:
    goal, measured = each.goal, each.goal.measured
    if measured is None:
        return
    y, size = scale.at(measured.middle), SIZE
    words = hint(f"{each.at}, Livedrop {each.livedrop}\n{goal.shown}, goal {goal.bound}\n{goal.verdict}")
    spread = tag("line", class_="spread", x1=x, x2=x, y1=scale.at(measured.least), y2=scale.at(measured.most))
    cross = f"M{x - size:.1f} {y - size:.1f}l{2 * size} {2 * size}M{x - size:.1f} {y + size:.1f}l{2 * size} -{2 * size}"
    mark = (
        tag("circle", class_="point s0", cx=x, cy=y, r=size)
        if goal.reached
        else tag("path", class_="missed", d=cross)
    )
    yield tag(
        "g", words, spread, mark, tag("rect", class_="strip", x=x - 8, y=TOP, width=16, height=BOTTOM - TOP)
    )


def _dates(found: Sequence[Measured], places: Sequence[float]) -> list[str]:
    """Return the dates of the oldest run and of the newest."""
    if len(found) == 1:
        return [label(places[0], BOTTOM + 20, found[0].at[:DATE], "middle")]
    ends = ((LEFT, found[0], "start"), (RIGHT, found[-1], "end"))
    count = label((LEFT + RIGHT) / 2, HEIGHT - 4, f"{len(found)} runs, in order", "middle", "unit")
    return [*(label(x, BOTTOM + 20, each.at[:DATE], anchor) for x, each, anchor in ends), count]
