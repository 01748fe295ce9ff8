"""The tables: one for each part, and the goals at the end."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from loadtests.bench.goals import KIB, MS
from loadtests.bench.ground import OURS, REDIS
from loadtests.bench.meter import Figure
from loadtests.bench.tellers import RAW

if TYPE_CHECKING:
    from loadtests.bench.fanout import Fanout
    from loadtests.bench.goals import Goal
    from loadtests.bench.inbound import Inbound
    from loadtests.bench.memory import Weight
    from loadtests.bench.meter import Way
    from loadtests.bench.mix import Mixed
    from loadtests.bench.returning import Returning
    from loadtests.bench.sweep import Sweep

MISSING = "not installed"


def rates(title: str, ways: list[Way], *processes: str) -> Table:
    """Return what each way did in a second, and what it cost these processes."""
    table = _table(title, "way", "per second", *(f"CPU µs of {process}" for process in processes))
    for way in ways:
        costs = (shown(way.cost(each)) if each in way.processes else "" for each in processes)
        table.add_row(way.name, f"{way.per_second:,.0f}", *costs)
    return table


def fanout(measured: Fanout, viewers: int) -> Table:
    """Return what a delivery costs; and what a viewer costs to let in, and weighs."""
    title = f"One event of {measured.event_bytes} bytes to {viewers:,} idle viewers"
    table = _table(title, "way", "CPU µs per delivery", "of ours", "CPU µs to let in", "KiB per viewer")
    ours = measured.tellers[0].telling
    for teller in measured.tellers:
        ratio = "" if teller.telling is ours else f"{teller.telling.costs_of(ours).middle:.2f}"
        cost, arrival = shown(teller.telling.cost()), f"{teller.arrival.cost().middle:.0f}"
        table.add_row(teller.name, cost, ratio, arrival, f"{teller.weight / KIB:.1f}")
    for name in measured.missing:
        table.add_row(name, MISSING)
    return table


def mix(measured: list[Mixed], seconds: float) -> Table:
    """Return what a message of the show costs for each viewer, and what of it each viewer got."""
    title = f"A live show's mix for {seconds:g} s, {measured[0].published} messages; for each viewer"
    names = ("CPU µs per message said", "per message received", "received of said", "in reads")
    table = _table(title, "way", *names)
    for mixed in measured:
        cost, said = mixed.teller.telling.cost(), mixed.published
        received, reads = median(mixed.received), median(mixed.reads)
        each = f"{cost.middle * said / received:.2f}" if received else ""
        table.add_row(mixed.teller.name, shown(cost, 2), each, f"{received:.0f} of {said}", f"{reads:.0f}")
    return table


def memory(weights: list[Weight]) -> Table:
    """Return what an idle viewer weighs among few and among many."""
    table = _table(
        "Memory of idle viewers, each time on a fresh server", "viewers", "KiB each", "CPU µs to let in"
    )
    for weight in weights:
        table.add_row(f"{weight.viewers:,}", f"{weight.each / KIB:.2f}", f"{weight.arrival:.0f}")
    return table


def inbound(measured: Inbound, talkers: int) -> Table:
    """Return what a message from a viewer costs."""
    title = f"Messages from viewers, {talkers} connections with one under way each"
    table = _table(title, "way", "per second", "CPU µs each", "CPU µs of Redis")
    ways = [measured.ours, measured.picows, measured.naive, measured.reserve]
    for way in filter(None, ways):
        redis = shown(way.cost(REDIS)) if way is measured.reserve else ""
        table.add_row(way.name, f"{way.per_second:,.0f}", shown(way.cost()), redis)
    if measured.picows is None:
        table.add_row("picows", MISSING)
    return table


def sweep(measured: Sweep, crowd: int) -> Table:
    """Return how long it takes until the last of a crowd knows."""
    names = ("ms to the last viewer", "CPU ms", "reservation waits, ms")
    table = _table(f"A drop opens before {crowd:,} viewers", "way", *names)
    table.add_row("ours", shown(_ms(measured.ours)), shown(_ms(measured.ours_cpu)))
    if any(measured.inside):
        table.add_row("  of it inside the server's delivery", shown(_ms(measured.inside)))
    table.add_row(RAW, shown(_ms(measured.raw)), shown(_ms(measured.raw_cpu)))
    waits = _ms([wait for waits in measured.waits for wait in waits])
    table.add_row("ours, while others reserve", shown(_ms(measured.while_reserving)), "", shown(waits))
    return table


def returning(measured: Returning) -> Table:
    """Return what coming costs, and coming back."""
    title = f"{measured.viewers:,} viewers come, are dropped, and come back at {measured.events} events"
    table = _table(title, "way", "per second", "CPU µs each", "at their place", "events lost or twice")
    arrival, back = measured.arrival, measured.back
    table.add_row(arrival.name, f"{arrival.per_second:,.0f}", f"{arrival.micros(OURS):.0f}")
    outcome = (f"{measured.recovered:,}", f"{measured.broken:,}")
    table.add_row(back.name, f"{back.per_second:,.0f}", f"{back.micros(OURS):.0f}", *outcome)
    return table


def goals(reached: list[Goal]) -> Table:
    """Return the goals with what was measured."""
    table = _table("Against the goals", "figure", "measured", "goal", "reached")
    for goal in reached:
        verdict = "[green]yes[/]" if goal.reached else "[yellow]not yet[/]"
        table.add_row(goal.name, goal.shown, goal.bound, verdict if goal.measured else "")
    return table


def shown(figure: Figure | None, digits: int = 1) -> str:
    """Return a median with the spread of its blocks."""
    if figure is None:
        return ""
    if figure.least == figure.most:
        return f"{figure.middle:,.{digits}f}"
    return f"{figure.middle:,.{digits}f} ({figure.least:,.{digits}f} … {figure.most:,.{digits}f})"


def _ms(seconds: list[float]) -> Figure | None:
    return Figure.of([MS * each for each in seconds]) if seconds else None


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title)
    for name in others:
        table.add_column(name, justify="right")
    return table
