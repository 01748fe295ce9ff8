"""The outcome of a run as tables to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from loadtests.multitude.outcome import GROWTH_RATIO, LAST_VALUE_MS, OTHERS_MS, P99_RATIO, RETURN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.multitude.figures import Census
    from loadtests.multitude.outcome import Outcome, Round, Storm
    from loadtests.multitude.witness import Book

MIB = 1 << 20


def tables(outcome: Outcome) -> Iterator[Table]:
    """Yield the tables of what there is."""
    if outcome.rounds:
        yield _rounds(outcome)
    if outcome.storm is not None:
        yield _storm(outcome.storm)
    if outcome.book is not None:
        yield _book(outcome.book)
    if not outcome.stopped:
        yield _figures(outcome)


def _rounds(outcome: Outcome) -> Table:
    plan = outcome.plan
    table = Table(
        title=f"{plan.viewers:,} viewers, {plan.events} events and {plan.changes:,} changes a round"
    )
    table.add_column("round", no_wrap=True)
    for name in (
        "p50",
        "p99",
        "max",
        "typical",
        "skew",
        "last",
        "CPU µs",
        "ours",
        "MiB",
        "closed",
        "caught up",
    ):
        table.add_column(name, justify="right", no_wrap=name != "closed")
    for each in outcome.rounds:
        table.add_row(f"{plan.stalled} stalled" if each.stalling else "nobody stalled", *_figures_of(each))
    table.add_section()
    if outcome.nap is not None:
        table.add_row(f"{plan.nap_events} missed", *[""] * 9, *_ends(outcome.nap.sleepers))
    if outcome.flood is not None:
        flood = outcome.flood
        memory = _span(flood.resident_before, flood.resident_peak)
        ends = _ends(flood.sleepers)
        table.add_row(f"{plan.flood_events:,} in {flood.seconds:.1f} s", *[""] * 8, memory, *ends)
    table.caption = (
        "ms: of all deliveries; typical: p99 of the median event; skew: its first to last viewer; "
        "last: the last value everywhere. CPU per event and viewer, ours the audience's; MiB of the server"
    )
    return table


def _figures_of(each: Round) -> Iterator[str]:
    deliveries = each.deliveries
    yield from (f"{ms:.0f}" for ms in (deliveries.p50_ms, deliveries.p99_ms, deliveries.longest_ms))
    yield from (f"{ms:.0f}" for ms in (deliveries.typical_ms, deliveries.skew_ms))
    yield f"{each.last_value_ms:.0f}"
    yield f"{each.cpu_micros:.1f}"
    yield f"{each.audience_micros:.1f}"
    yield _span(each.resident_before, each.resident_peak)
    if each.sleepers is not None:
        yield from _ends(each.sleepers)


def _span(before: int, peak: int) -> str:
    return f"{before / MIB:.0f}→{peak / MIB:.0f}"


def _ends(sleepers: Census) -> tuple[str, str]:
    """Return who of the sleepers was closed, by code, and how many are here and have everything."""
    closed = (f"{count} by {code}" for code, count in sorted(sleepers.closes.items()))
    return ", ".join(closed) or "none", f"{sleepers.here}"


def _storm(storm: Storm) -> Table:
    table = Table(
        "others", title=f"{storm.viewers.size:,} viewers dropped and returning, {storm.others.size} others"
    )
    for name in ("events", "p50 ms", "p99 ms", "max ms"):
        table.add_column(name, justify="right")
    for name, each in (("before", storm.before), ("meanwhile", storm.during)):
        events = each.count // storm.others.size
        table.add_row(name, f"{events}", *(f"{ms:.0f}" for ms in (each.p50_ms, each.p99_ms, each.longest_ms)))
    again = ", ".join(f"{count} for {reason}" for reason, count in sorted(storm.refused.items())) or "none"
    table.caption = (
        f"{storm.recovered:,} recovered, {storm.pictures} started over, "
        f"the last was welcomed after {storm.seconds:.1f} s; handshakes tried again: {again}"
    )
    return table


def _book(book: Book) -> Table:
    table = Table("seen by all viewers", title="What was sent")
    table.add_column("", justify="right")
    rows = {
        "events": book.events,
        "gaps": book.gaps,
        "duplicates": book.duplicates,
        "live numbers that went back": book.stale,
        "other wrong messages": book.wrong,
        "welcomes with the place picked up": book.recovered,
        "welcomes with a snapshot": book.pictures,
    }
    rows |= {f"connections tried again: {reason}": count for reason, count in sorted(book.refused.items())}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    return table


def _figures(outcome: Outcome) -> Table:
    table = Table("figure", title="Against the promises")
    for name in ("measured", "promised"):
        table.add_column(name, justify="right")
    table.add_row(
        "last value everywhere, median ms", f"{outcome.last_value_ms:.0f}", f"≤ {LAST_VALUE_MS:.0f}"
    )
    table.add_row("typical p99 with stalled over without", f"{outcome.p99_ratio:.2f}", f"≤ {P99_RATIO:.2f}")
    table.add_row("growth of memory while some stall", f"{outcome.growth_ratio:.1%}", f"≤ {GROWTH_RATIO:.0%}")
    if outcome.storm is not None:
        during = outcome.storm.during.p99_ms
        table.add_row("all back, s", f"{outcome.storm.seconds:.1f}", f"≤ {RETURN_SECONDS:.0f}")
        table.add_row("p99 to the others meanwhile, ms", f"{during:.0f}", f"≤ {OTHERS_MS:.0f}")
    return table
