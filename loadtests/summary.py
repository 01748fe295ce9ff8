"""A run in a few tables, for who reads a terminal: what was measured, what it cost, and what is wrong with it."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from rich.table import Table

from loadtests.sampler import OTHERS
from loadtests.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from loadtests.run import Finding, Run

MIB = 2**20
FOREIGN = 0.15  # of the machine that others may take before it shows
PRESENT = 0.9  # of the viewers: some are always on their way back
OPENINGS_MOST = 12  # rows; of more, the slowest


def shapes() -> Table:
    """Return the shapes with what each asks of a server."""
    table = Table("shape", "what happens", title="Shapes of a load")
    for name, shape in SHAPES.items():
        table.add_row(f"[bold]{name}[/]", shape.sentence)
    return table


def tables(run: Run) -> Iterator[Table]:
    """Yield the tables that have something to say."""
    yield _latencies(run)
    if run.openings:
        yield _openings(run)
    if run.refusals:
        yield _refusals(run)
    if run.processes:
        yield _processes(run)


def findings(console: Console, found: list[Finding]) -> None:
    """Print every broken promise with its evidence."""
    for finding in found:
        console.print(f"✗ {finding.kind}: {finding.sentence}", style="red", markup=False, soft_wrap=True)
        for line in finding.evidence:
            console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)


def sentence(run: Run) -> str:
    """Return what the run did, in a sentence."""
    said = (
        f"{run.plan.viewers:,} viewers for {run.seconds:.0f} s: {run.messages:,} live messages checked, "
        f"{run.reservations:,} reservations, {run.orders:,} orders, {run.units_sold:,} units sold; viewers' moments "
        f"are true to {run.clock_error_ms:.1f} ms."
    )
    return f"{said} {run.waited}".rstrip()


def doubts(run: Run) -> list[str]:
    """Return what makes the figures say less than they seem to, as sentences."""
    said, machine = [], run.machine
    used = {part.name: part.cpu_seconds for part in run.processes}
    if "server" in used and used["generator"] >= used["server"]:
        said.append(
            f"The generator used {used['generator']:.1f} s of CPU, the server {used['server']:.1f} s: what looks slow "
            "may be the generator."
        )
    others = next((curve.values for curve in run.curves if curve.name == OTHERS), [])
    if others and (mean := fmean(others)) > machine.cores * FOREIGN:
        said.append(
            f"Other programs used {mean:.1f} of this machine's {machine.cores} cores: the times are theirs too."
        )
    there = max((opening.viewers for opening in run.openings), default=run.plan.viewers)
    if there < run.plan.viewers * PRESENT and not (run.plan.recording or run.waited):
        said.append(
            f"At most {there:,} of {run.plan.viewers:,} viewers were there when a drop opened: they could not arrive "
            f"within {run.plan.arrival_seconds:.0f} s."
        )
    return said


def _latencies(run: Run) -> Table:
    table = _numbers("From the intended start", "what", "times", "p50", "p95", "p99", "longest")
    for name, each in sorted(run.latencies.items()):
        shares = (each.quantile(share) for share in (0.5, 0.95, 0.99))
        table.add_row(name, f"{each.count:,}", *(_ms(value) for value in (*shares, each.most)))
    return table


def _openings(run: Run) -> Table:
    table = _numbers(
        "From the server's opening to the viewers", "drop", "viewers", "first", "half", "last", "skew"
    )
    shown = run.openings
    if len(shown) > OPENINGS_MOST:
        shown = sorted(shown, key=lambda opening: -opening.skew)[:OPENINGS_MOST]
        table.caption = f"the {OPENINGS_MOST} with the most skew, of {len(run.openings)}"
    for opening in shown:
        delays = opening.delays
        times = (delays.least, delays.quantile(0.5), delays.most, opening.skew)
        table.add_row(opening.drop.rpartition("_")[2], f"{opening.viewers:,}", *map(_ms, times))
    return table


def _refusals(run: Run) -> Table:
    table = _numbers("Refused, as it should be", "command", "code", "times", left=2)
    for command, codes in run.refusals.items():
        for code, times in codes.items():
            table.add_row(command, code, f"{times:,}")
    return table


def _processes(run: Run) -> Table:
    table = _numbers("What it cost", "part", "processes", "CPU", "of a core", "memory at most")
    for part in run.processes:
        table.add_row(
            part.name,
            str(part.processes),
            f"{part.cpu_seconds:.1f} s",
            f"{part.cpu_seconds / run.seconds:.0%}",
            f"{part.peak_memory / MIB:,.0f} MiB",
        )
    return table


def _numbers(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right")
    return table


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
