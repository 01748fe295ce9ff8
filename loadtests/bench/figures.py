"""The figures of a part by name, each with its median and spread: what is kept of a run, beside its goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loadtests.bench.goals import KIB, MS
from loadtests.bench.latency import PERCENTILES
from loadtests.bench.meter import Figure
from loadtests.report.figures import figures as figures_of_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadtests.bench.fanout import Fanout
    from loadtests.bench.growth import Growth
    from loadtests.bench.hanging import Hanging
    from loadtests.bench.inbound import Inbound
    from loadtests.bench.latency import Curve
    from loadtests.bench.memory import Weight
    from loadtests.bench.meter import Way
    from loadtests.bench.mix import Mixed
    from loadtests.bench.paying import Checkouts
    from loadtests.bench.returning import Returning
    from loadtests.bench.sweep import Sweep
    from loadtests.run import Run


class Named(NamedTuple):
    """A figure with its name and unit."""

    name: str
    unit: str
    figure: Figure


def of_ways(ways: Iterable[Way]) -> list[Named]:
    """Return what each way did in a second, and what CPU each process spent on a unit."""
    return [named for way in ways for named in _of_way(way)]


def of_growth(measured: Growth) -> list[Named]:
    """Return the cost in each show, by the script and by the server's way, and what a hold weighs."""
    named = [
        Named(f"{show.name}, {how}: {each.name}", each.unit, each.figure)
        for show in measured.shows
        for how, way in (("by the script", show.script), ("by the server's way", show.ours))
        for each in _costs(way)
    ]
    for weight in measured.weights:
        name = f"Redis's memory per hold, {weight.in_each_call} in a call"
        named.append(Named(name, "bytes", Figure.of([weight.each])))
    return named


def of_latency(curves: list[Curve]) -> list[Named]:
    """Return the percentiles at each load, and what was offered."""
    named = []
    for curve in curves:
        for load in curve.loads:
            name = f"{curve.name} at {load.share:.0%}"
            named.append(Named(f"{name}: offered", "/s", Figure.of(load.offered)))
            named += [Named(f"{name}: p{each:g}", "ms", load.at(each)) for each in PERCENTILES]
    return named


def of_fanout(measured: Fanout) -> list[Named]:
    """Return what a delivery costs, and what a viewer costs to let in and weighs."""
    named = []
    for teller in measured.tellers:
        weight = Figure.of([teller.weight / KIB])
        named += [
            Named(f"{teller.name}: CPU per delivery", "µs", teller.telling.cost()),
            Named(f"{teller.name}: CPU to let a viewer in", "µs", teller.arrival.cost()),
            Named(f"{teller.name}: memory of a viewer", "KiB", weight),
        ]
    return named


def of_mix(measured: list[Mixed]) -> list[Named]:
    """Return what a message costs for each viewer."""
    return [
        Named(f"{each.teller.name}: CPU per message", "µs", each.teller.telling.cost()) for each in measured
    ]


def of_memory(weights: list[Weight], few: Way, many: Way) -> list[Named]:
    """Return what a viewer weighs and costs, among few and among many."""
    named = []
    for weight in weights:
        name = f"of {weight.viewers:,} viewers"
        named += [
            Named(f"memory {name}, each", "KiB", Figure.of([weight.each / KIB])),
            Named(f"CPU to let in {name}, each", "µs", Figure.of([weight.arrival])),
        ]
    return [
        *named,
        Named("CPU per delivery to a tenth of the crowd", "µs", few.cost()),
        Named("CPU per delivery to all of it", "µs", many.cost()),
    ]


def of_inbound(measured: Inbound) -> list[Named]:
    """Return what a message from a viewer costs."""
    return of_ways(filter(None, (measured.ours, measured.picows, measured.naive, measured.reserve)))


def of_sweep(measured: Sweep) -> list[Named]:
    """Return how long it takes until the last of a crowd knows, and what a reservation waits meanwhile."""
    seconds = {
        "ours: to the last viewer": measured.ours,
        "ours: CPU": measured.ours_cpu,
        "the raw loop: to the last viewer": measured.raw,
        "the raw loop: CPU": measured.raw_cpu,
        "ours, while others reserve: to the last viewer": measured.while_reserving,
        "a reservation meanwhile": [wait for waits in measured.waits for wait in waits],
    }
    return [
        Named(name, "ms", Figure.of([MS * each for each in every]))
        for name, every in seconds.items()
        if every
    ]


def of_returning(measured: Returning) -> list[Named]:
    """Return what coming costs, and coming back."""
    return [
        *of_ways([measured.arrival, measured.back]),
        Named("until all are back", "s", Figure.of([measured.seconds])),
    ]


def of_paying(measured: Checkouts) -> list[Named]:
    """Return what each way to pay did, and how long a buyer waited."""
    named = of_ways(each.way for each in measured.ways)
    return named + [
        Named(f"{each.way.name}: p{percentile}", "ms", each.at(percentile))
        for each in measured.ways
        for percentile in (50, 99)
    ]


def of_hanging(measured: Hanging) -> list[Named]:
    """Return how long reservations took, without hanging checkouts and beside them."""
    loads = (("alone", measured.alone), (f"beside {measured.count} hanging checkouts", measured.beside))
    return [Named(f"{name}: p{each:g}", "ms", load.at(each)) for name, load in loads for each in PERCENTILES]


def of_load(run: Run) -> list[Named]:
    """Return the figures of a run of the load test."""
    return [Named(each.name, each.unit, Figure.of([each.value])) for each in figures_of_run(run)]


def _of_way(way: Way) -> Iterator[Named]:
    yield Named(f"{way.name}: rate", "/s", way.rate)
    for each in _costs(way):
        yield Named(f"{way.name}: {each.name}", each.unit, each.figure)


def _costs(way: Way) -> Iterator[Named]:
    for process in way.processes:
        yield Named(f"CPU of {process}", "µs", way.cost(process))
