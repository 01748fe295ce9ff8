"""The plots of a run: which curves stand together, and what is said of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.report import bars, lines
from loadtests.report.figures import MS, TAKEN, rank, refused
from loadtests.report.frame import Mark, Series
from loadtests.report.numbers import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.run import Curve, Opening, Run

STOCK = ("available", "held", "sold")
PERCENTILE = re.compile(r"(?P<name>.+) (?P<percentile>p[\d.]+)")
# Curves of which each part of the system has one: the plot's title, their names, and how to read it.
PARTS = (
    ("CPU", re.compile(r"(?P<part>.+) CPU"), "All processes of a part together."),
    (
        "Busiest process",
        re.compile(r"busiest (?P<part>.+) process"),
        "At 1 a process that does one thing at a time can do no more.",
    ),
    (
        "Fullest tenth of a second",
        re.compile(r"fullest (?P<part>.+) moment"),
        "Of the fullest process of a part: at 1 all that came in it had to wait.",
    ),
    ("Memory", re.compile(r"(?P<part>.+) memory"), "All processes of a part together."),
)
MAIN = ("reserve", "checkout", "order")  # latencies that everybody looks for
ROWS = 14  # drops that have a row each; more become points over time
FEW_DROPS = 6  # whose stock is shown one by one
MOST_BARS = 12


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with its title, its legend (markup) and how to read it; `aside`: for who asks for more."""

    title: str
    picture: str
    legend: str = ""
    note: str = ""
    aside: bool = False


def plots(run: Run) -> list[Plot]:
    """Return all plots of which the run has something to show."""
    marks, left = _marks(run), {curve.name: curve for curve in run.curves if curve.values}
    return [
        *_taken(run, left, marks),
        *_stock(run, left, marks),
        *_latencies(run, left, marks),
        *_skew(run),
        *(plot for each in PARTS for plot in _used(run, left, marks, *each)),
        *_refusals(run),
        *_others(run, left, marks),
    ]


def _marks(run: Run) -> list[Mark]:
    openings = [
        Mark(each.at, "opening", f"{_short_id(each.drop)} opened at {short(each.at)} s")
        for each in run.openings
    ]
    planned = [
        Mark(sale.at, "opening", f"a drop of {sale.quantity:,} units was to open at {short(sale.at)} s")
        for sale in run.plan.sales
    ]
    cuts = [
        Mark(cut.at, "cut", f"{cut.share:.0%} of the viewers were cut off at {short(cut.at)} s")
        for cut in run.plan.cuts
    ]
    deploys = [
        Mark(at, "deploy", f"the server was replaced from {short(at)} s on") for at in run.plan.deploys
    ]
    return [*(openings or planned), *cuts, *deploys]


def _taken(run: Run, left: dict[str, Curve], marks: Sequence[Mark]) -> Iterator[Plot]:
    curve = left.pop(TAKEN, None)
    if curve is not None:
        picture = lines.columns("Taken", "units per second", run.seconds, Series.of(curve, 0), marks)
        yield Plot("Taken per second", picture, note=_happened(marks))


def _stock(run: Run, left: dict[str, Curve], marks: Sequence[Mark]) -> Iterator[Plot]:
    """Yield all drops together, and each of them where they are few."""
    whole = [left.pop(name) for name in STOCK if name in left]
    drops: dict[str, list[Curve]] = {}
    for name in list(left):
        kind, _, drop = name.partition(" ")
        if kind in STOCK:
            drops.setdefault(drop, []).append(left.pop(name))
    if whole:
        each = f" {len(drops)} drops; the numbers of each are in run.json." if len(drops) > FEW_DROPS else ""
        yield _stack("Available, held, sold", run, whole, marks, each)
    for drop, curves in drops.items() if len(drops) <= FEW_DROPS else ():
        yield _stack(f"Available, held, sold: {_short_id(drop)}", run, curves, marks, sampled=False)


def _stack(  # noqa: PLR0913  a plot, and how its curves came about
    title: str,
    run: Run,
    curves: Sequence[Curve],
    marks: Sequence[Mark],
    more: str = "",
    *,
    sampled: bool = True,
) -> Plot:
    # Sold at the bottom, held on it, available on top: what is gone grows from below.
    kinds = [(curve.name.partition(" ")[0], curve) for curve in curves]
    series = [Series.of(curve, STOCK.index(kind), kind) for kind, curve in reversed(kinds)]
    names, same = [(each.name, each.style) for each in reversed(series)], _same_moments(series)
    if same:
        picture = lines.stacked(title, "units", run.seconds, series, marks, sampled=sampled)
        legend = lines.stack_legend(names)
    else:
        picture, legend = lines.steady(title, "units", run.seconds, series, marks), lines.legend(names)
    note = "On top of each other they are all units that are offered." if same else ""
    return Plot(title, picture, legend, f"{note}{more}".strip())


def _same_moments(series: Sequence[Series]) -> bool:
    first, *others = ([at for at, _ in each.points] for each in series)
    return all(each == first for each in others)


def _latencies(run: Run, left: dict[str, Curve], marks: Sequence[Mark]) -> Iterator[Plot]:
    groups: dict[str, list[tuple[str, Curve]]] = {}
    for name in list(left):
        found = PERCENTILE.fullmatch(name)
        if found is not None:
            groups.setdefault(found["name"], []).append((found["percentile"], left.pop(name)))
    for name in sorted(groups, key=lambda each: (MAIN.index(each) if each in MAIN else len(MAIN), each)):
        curves = sorted(groups[name], key=lambda each: float(each[0][1:]))
        series = [Series.of(curve, number, percentile) for number, (percentile, curve) in enumerate(curves)]
        picture = lines.lines(f"Latency of {name}", curves[0][1].unit, run.seconds, series, marks)
        seen = run.latencies.get(name)
        note = f"{seen.count:,} measured, each from the moment it was meant to begin." if seen else ""
        legend = lines.legend([(each.name, each.style) for each in series])
        yield Plot(f"Latency: {name}", picture, legend, note, aside=name not in MAIN)


def _skew(run: Run) -> Iterator[Plot]:
    found = [opening for opening in run.openings if opening.delays.count]
    error = f"One clock was held against the other to ± {short(run.clock_error_ms)} ms."
    if found and len(found) <= ROWS:
        note = f"From the first viewer (left end) to the last; the box: the middle nine tenths; the dot: half. {error}"
        picture = bars.spans(
            "From the opening to the viewers", "ms after the opening", [_span(each) for each in found]
        )
        yield Plot("Opening to viewers, drop by drop", picture, note=note)
    elif found:
        series = [
            Series("skew", [(each.at, MS * each.skew) for each in found], 0),
            Series("last viewer", [(each.at, MS * each.delays.most) for each in found], 1),
        ]
        picture = lines.points("From the opening to the viewers", "ms", run.seconds, series)
        legend = lines.legend([(each.name, each.style) for each in series])
        note = f"A drop each; skew: from its first viewer to its last. {error}"
        yield Plot("Opening to viewers, drop by drop", picture, legend, note)


def _span(opening: Opening) -> bars.Span:
    delays = opening.delays
    low, middle, high = (MS * delays.quantile(share) for share in (0.05, 0.5, 0.95))
    name = f"{_short_id(opening.drop)} at {short(opening.at)} s, {opening.viewers:,} viewers"
    note = f"skew {short(MS * opening.skew)} ms"
    return bars.Span(name, MS * delays.least, low, middle, high, MS * delays.most, note)


def _used(  # noqa: PLR0913, PLR0917  what a plot of all parts is made of
    run: Run, left: dict[str, Curve], marks: Sequence[Mark], title: str, named: re.Pattern[str], note: str
) -> Iterator[Plot]:
    found = [(match["part"], left.pop(name)) for name in list(left) if (match := named.fullmatch(name))]
    found.sort(key=lambda each: rank(each[0]))
    if found:
        series = [Series.of(curve, number % lines.STYLES, part) for number, (part, curve) in enumerate(found)]
        picture = lines.steady(title, found[0][1].unit, run.seconds, series, marks)
        yield Plot(title, picture, lines.legend([(each.name, each.style) for each in series]), note)


def _refusals(run: Run) -> Iterator[Plot]:
    rows = refused(run)
    if rows:
        found = [bars.Bar(f"{command}: {code}", count) for command, code, count in rows[:MOST_BARS]]
        rest = rows[MOST_BARS:]
        if rest:
            found.append(bars.Bar(f"{len(rest)} other kinds", sum(count for _, _, count in rest)))
        yield Plot("Refusals by code", bars.counts("Refusals", "times", found))


def _others(run: Run, left: dict[str, Curve], marks: Sequence[Mark]) -> Iterator[Plot]:
    """Yield a plot for each curve that belongs to no other: nothing that was measured is left out."""
    for curve in left.values():
        picture = lines.lines(curve.name, curve.unit, run.seconds, [Series.of(curve, 0)], marks)
        yield Plot(curve.name, picture)


def _happened(marks: Sequence[Mark]) -> str:
    kinds = {mark.kind for mark in marks}
    words = {
        "opening": "a drop opens",
        "cut": "viewers are cut off (dashed)",
        "deploy": "the server is replaced (dotted)",
    }
    said = [sentence for kind, sentence in words.items() if kind in kinds]
    upright = f"Upright lines, here and below: {', '.join(said)}. " if said else ""
    return f"{upright}A gap: nothing was measured then."


def _short_id(drop: str) -> str:
    return drop.rpartition("_")[2] or drop
