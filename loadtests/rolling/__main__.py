"""`python -m loadtests.rolling`: replace every process of a server under 2,000 viewers; exit 1: something was lost.

The viewers are those of the client library, all in this one process, which shares the machine with the server: how long
they are away contains the time that they take to come back.
"""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from loadtests.rolling.play import Plan, play
from loadtests.stagehand import StageError, allow_files, leave_on_sigterm, own_server

if TYPE_CHECKING:
    from loadtests.rolling.play import Outcome

SEEDS = 2**32
NORMAL = 1000
console = Console(width=None if sys.stdout.isatty() else 110)


def main(
    viewers: Annotated[int, typer.Option(min=10, help="who watch")] = 2_000,
    processes: Annotated[int, typer.Option(min=2, help="of the server, each of which is replaced")] = 2,
    spread_ms: Annotated[
        int, typer.Option(min=0, help="over which a leaving server's viewers return")
    ] = 5000,
    seed: Annotated[int | None, typer.Option(help="of who buys; none: another each time")] = None,
) -> None:
    """Prove on this machine that a release costs nobody an event, a unit or a reservation."""
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    # Few take units: each change is told to everybody, and reading that is most of this process's work.
    plan = Plan(processes, viewers, viewers // 10, takers=viewers // 20, takes_per_second=4.0, seed=seed)
    console.print(f"Again: python -m loadtests.rolling --viewers {viewers} --seed {seed}", highlight=False)
    try:
        allow_files(2 * viewers)
        with own_server(workers=processes, LIVEDROP_DRAIN_SPREAD_MS=str(spread_ms)) as stage:
            outcome = uvloop.run(play(stage, plan, lambda line: console.print(line, highlight=False)))
    except StageError as error:
        console.print(f"[bold red]The release could not be played:[/] {error}", highlight=False)
        raise typer.Exit(1) from None
    console.print(table(outcome))
    for sentence in outcome.broken():
        console.print(f"✗ {sentence}", style="red", markup=False, highlight=False)
    if outcome.broken():
        raise typer.Exit(1)
    console.print("[green]Nobody lost an event, a unit or a reservation.[/]", highlight=False)


def table(outcome: Outcome) -> Table:
    """Return what came of it, as a table."""
    viewers = outcome.audience.viewers
    outages = sorted(outage for viewer in viewers for outage in viewer.outages)
    closes = sum((viewer.closes for viewer in viewers), start=Counter[int]())
    del closes[NORMAL]  # theirs, at the end
    found = Table("what", "how much", title="A release under viewers")
    rows = {
        "viewers": f"{len(viewers):,}",
        "processes replaced": f"{outcome.replaced} in {outcome.seconds:.1f} s",
        "events of the show": f"{outcome.events}",
        "events that viewers got": f"{sum(viewer.events for viewer in viewers):,}",
        "viewers who miss any": f"{sum(bool(viewer.holes) for viewer in viewers)}",
        "began anew with a picture": f"{sum(viewer.pictures for viewer in viewers)}",
        "connections closed, by code": ", ".join(
            f"{code}: {times}" for code, times in sorted(closes.items())
        ),
        "reservations held": f"{sum(bool(viewer.reservation) for viewer in viewers)}",
        "reservations lost": f"{outcome.lost}",
        "reservations that failed": f"{sum(outcome.audience.refused.values())}",
    }
    if outages:
        rows["without a connection, half of them"] = f"{outages[len(outages) // 2]:.2f} s"
        rows["… 99 of 100"] = f"{outages[int(len(outages) * 0.99)]:.2f} s"
        rows["… the longest of one viewer"] = f"{outages[-1]:.2f} s"
    for name, value in rows.items():
        found.add_row(name, value)
    return found


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
