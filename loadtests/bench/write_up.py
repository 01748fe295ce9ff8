"""`python -m loadtests.bench.write_up FILE…`: docs/performance.md with the latest figures of the benchmarks.

The record that the page is made from is kept beside it, so that whoever doubts a figure finds its spread.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from loadtests.bench import record
from loadtests.bench.meanings import MEANINGS
from loadtests.bench.sizes import FULL
from loadtests.report.numbers import short

if TYPE_CHECKING:
    from loadtests.bench.record import Judged, PartRecord, Record

PAGE, RECORD = "performance.md", "performance.json"
GIB = 1 << 30
WIDTH = 120  # of a line of the page
BUSY = 0.5  # load per core from which on the machine was somebody else's too

HEAD = """# Performance

What Livedrop is to reach, and what it reached when it was measured last. `make bench` measures all of it again and
says which goal is met, missed, by how much; it keeps what it measured in `.bench/`, where `history.html` draws every
goal over time. This page is written from such a record by `python -m loadtests.bench.write_up FILE`; the record itself,
with every figure's median, least and most, is [performance.json](performance.json).

Absolute rates drift with the machine, so most goals are **ratios within one run**: ours and a peer take turns, block by
block, and the ratio is the median of the blocks' ratios. "CPU" is the CPU time of the process that does the work, as
Linux counts it: how busy the load generator was cannot blur it. In brackets: the least and the most of the blocks.
"""


def page(one: Record) -> str:
    """Return the page."""
    goals = [goal for part in _in_order(one) for goal in part.goals]
    measured = [goal for goal in goals if goal.measured]
    missed = [goal for goal in measured if not goal.reached]
    machine = one.machine
    where = (
        f"Measured with Livedrop {one.livedrop} on {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory / GIB:.0f} GiB, {machine.system}, Python {machine.python}. "
        f"**{sum(goal.reached for goal in goals)} of {len(measured)} goals that were measured are reached.**"
    )
    lines = [HEAD, fill(where, WIDTH), ""]
    if missed:
        lines += ["Missed:", "", *(f"- {goal.name}: {goal.shown}, {goal.verdict}" for goal in missed), ""]
    for sentence in (_busy(one), _unmeasured(one), _resized(one)):
        lines += [fill(sentence, WIDTH), ""] if sentence else []
    for part in _in_order(one):
        lines += _section(part, machine.cores)
    return "\n".join(lines)


def _resized(one: Record) -> str:
    """Say which sizes are not those that the texts tell of."""
    usual = record.numbers(FULL)
    other = [
        f"{name} {value} in place of {usual.get(name)}"
        for name, value in one.sizes.items()
        if value != usual.get(name)
    ]
    return f"**Measured with other sizes than the texts below say**: {'; '.join(other)}." if other else ""


def _unmeasured(one: Record) -> str:
    """Name the parts that the record has nothing of."""
    measured = {part.part for part in one.parts}
    left = [meaning.title for part, meaning in MEANINGS.items() if part not in measured]
    return f"Not measured yet: {'; '.join(left)}." if left else ""


def _busy(one: Record) -> str:
    """Say of how many parts the figures are other programs' too."""
    busy = sum(part.load_before > BUSY * one.machine.cores for part in one.parts)
    return (
        f"**While {busy} of these {len(one.parts)} parts were measured, other programs kept the machine busy**: their "
        "figures are worse, and spread wider, than a quiet machine's."
        if busy
        else ""
    )


def _in_order(one: Record) -> list[PartRecord]:
    order = list(MEANINGS)
    return sorted(
        (part for part in one.parts if part.part in MEANINGS), key=lambda part: order.index(part.part)
    )


def _section(part: PartRecord, cores: int) -> list[str]:
    meaning = MEANINGS[part.part]
    busy = "; other programs kept the machine busy" if part.load_before > BUSY * cores else ""
    load = f"load before: {short(part.load_before)} on {cores} cores{busy}"
    when = f"Measured at {part.at} in {part.seconds:.0f} s; {load}."
    lines = [
        f"## {meaning.title}",
        "",
        fill(meaning.why, WIDTH),
        "",
        fill(f"{meaning.how} {when}", WIDTH),
        "",
    ]
    if part.goals:
        lines += ["| figure | measured | goal | |", "|---|---|---|---|", *map(_row, part.goals), ""]
    return lines


def _row(goal: Judged) -> str:
    return f"| {goal.name} | {goal.shown} | {goal.bound} | {goal.verdict} |"


def main(
    files: Annotated[
        list[Path], typer.Argument(help="records of the benchmarks; of a part, the newest counts")
    ],
    into: Annotated[Path, typer.Option(help="folder of the page and of its record")] = Path("docs"),
) -> None:
    """Write performance.md and performance.json from one or several records of the benchmarks of one machine."""
    try:
        one = record.merged([record.read(path) for path in files])
    except record.RecordError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    record.write(one, into / RECORD)
    (into / PAGE).write_text(page(one), encoding="utf-8")
    typer.echo(f"Written: {into / PAGE}, {into / RECORD}")


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    app()
