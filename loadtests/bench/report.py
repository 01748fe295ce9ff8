"""The tables: one for each part, and the goals at the end."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from loadtests.bench import postgres
from loadtests.bench.goals import KIB, MS
from loadtests.bench.ground import OURS, PEER, REDIS
from loadtests.bench.latency import PERCENTILES
from loadtests.bench.meter import Figure
from loadtests.bench.taking import CALLER
from loadtests.bench.tellers import RAW
from loadtests.report.figures import figures
from loadtests.report.numbers import short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.bench.batches import Batch
    from loadtests.bench.fanout import Fanout
    from loadtests.bench.goals import Goal
    from loadtests.bench.growth import Growth
    from loadtests.bench.hanging import Hanging
    from loadtests.bench.inbound import Inbound
    from loadtests.bench.latency import Curve
    from loadtests.bench.memory import Weight
    from loadtests.bench.meter import Way
    from loadtests.bench.mix import Mixed
    from loadtests.bench.paying import Checkouts
    from loadtests.bench.returning import Returning
    from loadtests.bench.stock import Stock
    from loadtests.bench.sweep import Sweep
    from loadtests.report.noise import Noise
    from loadtests.run import Run

MISSING = "not installed"


def buying(ways: list[Way], buyers: int) -> Table:
    """Return what each way did in a second, and what it cost the servers and Redis."""
    names = ("per second", "in each call", *(f"CPU µs of {process}" for process in (OURS, PEER, REDIS)))
    table = _table(f"Reservations over {buyers:,} websockets", "way", *names)
    for way in ways:
        costs = (shown(way.cost(each)) if each in way.processes else "" for each in (OURS, PEER, REDIS))
        table.add_row(way.name, f"{way.per_second:,.0f}", _many(way.per_call), *costs)
    return table


def stock(measured: Stock) -> Table:
    """Return what each way did in a second and what it cost: the store, and who calls it."""
    names = ("per second", "of ours", "in each call", "CPU µs of the store", "of the caller")
    table = _table("Reservations through one store", "way", *names)
    for way in measured.ways:
        ratio = "" if way is measured.ours else f"{way.faster_than(measured.ours).middle:.2f}"
        costs = [shown(way.cost(each)) if each in way.processes else "" for each in (way.first, CALLER)]
        table.add_row(way.name, f"{way.per_second:,.0f}", ratio, _many(way.per_call), *costs)
    if not measured.postgres:
        table.caption = postgres.MISSING
    return table


def batches(measured: list[Batch]) -> Table:
    """Return rate and cost at each number of reservations at once, medians."""
    names = (
        "per second",
        "in each call",
        "CPU µs of Redis",
        "of Python",
        "the script alone",
        "CPU µs of Redis",
    )
    table = _table("From one reservation at a time to many", "at once", *names)
    for batch in measured:
        ours, script = batch.ours, batch.script
        redis, python, alone = (
            f"{way.micros(name):.1f}" for way, name in ((ours, REDIS), (ours, CALLER), (script, REDIS))
        )
        rates = (f"{ours.per_second:,.0f}", _many(ours.per_call))
        table.add_row(f"{batch.size}", *rates, redis, python, f"{script.per_second:,.0f}", alone)
    return table


def growth(measured: Growth) -> list[Table]:
    """Return the cost in each show, and what a hold weighs."""
    names = (
        "viewers",
        "drops",
        "holds",
        "CPU µs of Redis",
        "of the small",
        "CPU µs of Python",
        "of the small",
    )
    costs = _table("Reserving in shows of other sizes", "show", *names)
    small = measured.shows[0]
    for show in measured.shows:
        cells = [f"{show.size.viewers:,}", f"{show.size.drops:,}", f"{show.size.holds:,}"]
        for way, process, base in ((show.script, REDIS, small.script), (show.ours, CALLER, small.ours)):
            ratio = "" if way is base else f"{way.costs_of(base, process).middle:.2f}"
            cells += [shown(way.cost(process)), ratio]
        costs.add_row(show.name, *cells)
    titles = (f"bytes, {weight.in_each_call} in a call" for weight in measured.weights)
    weights = _table(
        f"What each of {measured.weights[0].holds:,} holds weighs, each another viewer's", "key", *titles
    )
    for name in measured.weights[0].by_key:
        each = [round(weight.by_key[name]) for weight in measured.weights]
        if any(each):
            weights.add_row(name, *map(str, each))
    weights.add_row(
        "all that the store's memory grew by", *(f"{weight.each:.0f}" for weight in measured.weights)
    )
    return [costs, weights]


def latency(measured: list[Curve]) -> Table:
    """Return how long a reservation takes at each load of each way, medians of the rounds."""
    names = (
        "offered/s",
        "answered/s",
        "sent away",
        "in each call",
        *(f"p{each:g}, ms" for each in PERCENTILES),
    )
    table = _table("How long a reservation takes, open arrivals", "way and load", *names)
    for curve in measured:
        for load in curve.loads:
            rates = (f"{load.rate:,.0f}", f"{median(load.answered):,.0f}", f"{load.sent_away:,}")
            waits = (f"{load.at(each).middle:,.2f}" for each in PERCENTILES)
            table.add_row(f"{curve.name}, {load.share:.0%}", *rates, _many(median(load.per_call)), *waits)
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


def memory(weights: list[Weight], few: Way, many: Way) -> list[Table]:
    """Return what an idle viewer weighs among few and among many, and what telling one costs."""
    title = "Memory of idle viewers, each time on a fresh server"
    weighed = _table(title, "viewers", "KiB each", "CPU µs to let in")
    for weight in weights:
        weighed.add_row(f"{weight.viewers:,}", f"{weight.each / KIB:.2f}", f"{weight.arrival:.0f}")
    told = _table("An event to few and to many", "way", "CPU µs per delivery")
    for name, way in (("a tenth of the crowd", few), ("all of it", many)):
        told.add_row(name, shown(way.cost()))
    return [weighed, told]


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


def paying(measured: Checkouts, payers: int) -> Table:
    """Return what each way to pay did in a second, how long a buyer waited, and what it cost."""
    costs = (REDIS, CALLER, postgres.STORE)
    names = ("per second", "vs ours", "p50, ms", "p99, ms", *(f"CPU µs of {each}" for each in costs))
    first = "ledger, a call of the provider"
    table = _table(f"Checkouts, {payers} buyers at once", first, *names)
    for ours, peer in measured.pairs():
        for each in (ours, peer):
            name = each.way.name if each is ours else f"  {each.commits}"
            ratio = "" if each is ours else f"{peer.way.faster_than(ours.way).middle:.2f}"
            waits = (f"{each.at(percentile).middle:,.0f}" for percentile in (50, 99))
            spent = (f"{each.way.micros(one):,.0f}" if one in each.way.processes else "" for one in costs)
            table.add_row(name, f"{each.way.per_second:,.0f}", ratio, *waits, *spent)
    table.caption = f"SQLite works within {CALLER}; both flush every commit to the disk."
    if not measured.postgres:
        table.caption += f"\n{postgres.MISSING}"
    return table


def hanging(measured: Hanging) -> Table:
    """Return how long reservations took without checkouts and beside those that hang."""
    names = ("offered/s", *(f"p{each:g}, ms" for each in PERCENTILES))
    table = _table("Reservations beside checkouts whose provider takes 10 s", "checkouts", *names)
    for count, load in ((0, measured.alone), (measured.count, measured.beside)):
        waits = (shown(load.at(each), 2) for each in PERCENTILES)
        table.add_row(f"{count}", f"{load.rate:,.0f}", *waits)
    return table


def load(run: Run) -> Table:
    """Return what a drop that everybody takes at once cost, and how long it took; the run itself tells more."""
    title = f"{run.plan.shape}: {run.plan.viewers:,} viewers, {run.units_sold:,} units sold"
    table = _table(title, "figure", "measured")
    for figure in figures(run):
        table.add_row(figure.name, f"{figure.value:,.6g} {figure.unit}")
    for finding in run.findings:
        table.add_row(f"[red]{finding.kind}[/]", finding.sentence)
    return table


def goals(reached: list[Goal], before: Mapping[str, Noise] | None = None) -> Table:
    """Return the goals with what was measured; `before`: with what earlier runs measured, by the goal's name."""
    table = _table(
        "Against the goals", "figure", "measured", "goal", "verdict", *(["before"] if before else [])
    )
    for goal in reached:
        colour = "green" if goal.reached else "yellow"
        verdict = f"[{colour}]{goal.verdict}[/]" if goal.measured else goal.verdict
        cells = [goal.name, goal.shown, goal.bound, verdict]
        table.add_row(*cells, *([_before(goal, before.get(goal.name))] if before else []))
    return table


def _before(goal: Goal, noise: Noise | None) -> str:
    """Return the median of earlier runs, and whether this one is beyond their noise."""
    if noise is None or goal.measured is None:
        return ""
    explained = noise.explains(goal.measured.middle)
    said = "noise unknown" if explained is None else "within noise" if explained else "[bold]moved[/]"
    return f"{short(noise.middle)} ({noise.runs}), {said}"


def shown(figure: Figure | None, digits: int = 1) -> str:
    """Return a median with the spread of its blocks."""
    if figure is None:
        return ""
    if figure.least == figure.most:
        return f"{figure.middle:,.{digits}f}"
    return f"{figure.middle:,.{digits}f} ({figure.least:,.{digits}f} … {figure.most:,.{digits}f})"


def _many(count: float | None) -> str:
    return "" if count is None else f"{count:.1f}"


def _ms(seconds: list[float]) -> Figure | None:
    return Figure.of([MS * each for each in seconds]) if seconds else None


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title)
    for name in others:
        table.add_column(name, justify="right")
    return table
