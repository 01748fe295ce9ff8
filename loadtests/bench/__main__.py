"""`python -m loadtests.bench`: measure the hot path beside its peers and print the ratios against the goals."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from loadtests.bench import buying, fanout, stock
from loadtests.bench.goals import Goal, of_buying, of_fanout, of_stock
from loadtests.bench.ground import OURS, PEER, REDIS, BenchError, Ground, prepared
from loadtests.stagehand import StageError, leave_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from loadtests.bench.meter import Way

console = Console()
if not console.is_terminal:
    console.width = 110  # a log has no width of its own; the tables need this much


async def run(ground: Ground, blocks: int, seconds: float, connections: int, viewers: int) -> list[Goal]:
    """Measure everything, print a table for each part, and return the goals with what was reached."""
    console.print("Reservations through one Redis …")
    through_redis = await stock.measure(ground, blocks, seconds)
    console.print(_rates("Reservations through one Redis", through_redis, REDIS, stock.CALLER))
    console.print(f"Reservations over {connections} websockets …")
    over_sockets = await buying.measure(ground, blocks, connections)
    console.print(_rates(f"Reservations over {connections} websockets", over_sockets, OURS, PEER, REDIS))
    console.print(f"One event to {viewers:,} idle viewers …")
    delivered = await fanout.measure(ground, blocks, viewers)
    console.print(_costs(f"One event to {viewers:,} idle viewers", delivered))
    await ground.house.aclose()
    return [*of_stock(*through_redis), *of_buying(*over_sockets), *of_fanout(delivered)]


async def _until_sigterm(work: Coroutine[None, None, list[Goal]]) -> list[Goal]:
    """Do the work, or cancel it at SIGTERM: an exit raised by a signal handler would end in some callback."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _rates(title: str, ways: list[Way], *processes: str) -> Table:
    table = Table("way", title=title)
    table.add_column("per second", justify="right")
    for process in processes:
        table.add_column(f"CPU µs of {process}", justify="right")
    for way in ways:
        costs = (f"{way.micros(each):.1f}" if each in way.processes else "" for each in processes)
        table.add_row(way.name, f"{way.per_second:,.0f}", *costs)
    return table


def _costs(title: str, measured: fanout.Fanout) -> Table:
    table = Table("way", title=title)
    table.add_column("CPU µs per delivery", justify="right")
    for way in (measured.ours, measured.broadcast, measured.raw):
        table.add_row(way.name, f"{way.micros(next(iter(way.processes))):.1f}")
    return table


def _goals(goals: list[Goal]) -> Table:
    table = Table("goal", title="Against the goals")
    for name in ("measured", "goal", "reached"):
        table.add_column(name, justify="right")
    for goal in goals:
        verdict = "[green]yes[/]" if goal.reached else "[yellow]not yet[/]"
        table.add_row(goal.name, goal.shown, goal.bound, verdict)
    return table


def main(
    viewers: Annotated[int, typer.Option(min=100, help="idle viewers of the fan-out")] = 1_000,
    connections: Annotated[int, typer.Option(min=1, help="websockets that reserve at the same time")] = 100,
    blocks: Annotated[int, typer.Option(min=1, help="times that each way gets its turn")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="length of a block on Redis alone")] = 1.5,
) -> None:
    """Measure the hot path beside its peers. Nothing is asserted; figures of other runs do not compare."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each viewer is a file, here and in the server
    began = time.monotonic()
    try:
        with prepared() as ground, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            goals = runner.run(_until_sigterm(run(ground, blocks, seconds, connections, viewers)))
    except asyncio.CancelledError:
        console.print("Told to leave; nothing is left behind.")
        raise typer.Exit(128 + signal.SIGTERM) from None
    except (BenchError, StageError) as error:
        console.print(f"[bold red]The benchmark could not run:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    console.print(_goals(goals))
    reached = sum(goal.reached for goal in goals)
    took = time.monotonic() - began
    console.print(f"{reached} of {len(goals)} goals reached on this machine, measured in {took:.0f} s.")


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
