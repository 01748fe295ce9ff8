"""`python -m loadtests.bench`: measure the hot path beside its peers and print the ratios against the goals."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import resource
import signal
import time
from pathlib import Path  # noqa: TC003  typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
import uvloop
from rich.console import Console

from loadtests.bench import report
from loadtests.bench.ground import BenchError, Ground, prepared
from loadtests.bench.parts import GROUPS, PARTS, Group, Outcome, Part
from loadtests.bench.sizes import FULL, QUICK, Sizes
from loadtests.bench.wires import WireError
from loadtests.stagehand import StageError, leave_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Coroutine

console = Console()
if not console.is_terminal:
    console.width = 120  # a log has no width of its own; the tables need this much


async def run(ground: Ground, parts: list[Part], sizes: Sizes) -> list[Outcome]:
    """Measure the parts, print the tables of each, and return what was found."""
    found: list[Outcome] = []
    try:
        for part in parts:
            ground.say(f"{part}: getting ready")
            outcome = await PARTS[part](ground, sizes)
            for table in outcome.tables:
                console.print(table)
            found.append(outcome)
    finally:
        await ground.house.aclose()
    return found


async def _until_sigterm(work: Coroutine[None, None, list[Outcome]]) -> list[Outcome]:
    """Do the work, or cancel it at SIGTERM: an exit raised by a signal handler would end in some callback."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(  # noqa: PLR0913  the options of a command
    group: Annotated[Group, typer.Argument(help="which parts")] = Group.ALL,
    *,
    only: Annotated[list[Part] | None, typer.Option(help="this part alone; may be repeated")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small sizes: whether it runs")] = False,
    viewers: Annotated[int | None, typer.Option(min=2, help="idle viewers who are told")] = None,
    crowd: Annotated[int | None, typer.Option(min=20, help="viewers of the great crowd")] = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="times that each way gets its turn")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="length of a block; a live mix takes seven")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="where the picture of the latency goes, an SVG")] = None,
) -> None:
    """Measure the hot path beside its peers. Nothing is asserted; figures of other runs do not compare."""
    counts = {"viewers": viewers, "crowd": crowd, "blocks": blocks}
    given: dict[str, Any] = {name: value for name, value in counts.items() if value is not None}
    sizes = dataclasses.replace(QUICK if quick else FULL, **given)
    if seconds is not None:
        sizes = dataclasses.replace(sizes, seconds=seconds)
    parts = [part for part in GROUPS[group] if not only or part in only]
    if not parts:
        raise typer.BadParameter(f"{', '.join(only or ())} is no part of {group}.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each viewer is a file, here and in the server
    began, (busy, _, _) = time.monotonic(), os.getloadavg()
    try:
        with (
            console.status("Getting ready") as status,
            prepared(status.update) as ground,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            found = runner.run(_until_sigterm(run(ground, parts, sizes)))
    except asyncio.CancelledError:
        console.print("Told to leave; nothing is left behind.")
        raise typer.Exit(128 + signal.SIGTERM) from None
    except (BenchError, StageError, WireError, TimeoutError) as error:
        console.print(f"[bold red]The benchmark could not run:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    goals = [goal for outcome in found for goal in outcome.goals]
    if goals:
        console.print(report.goals(goals))
    if busy > (os.cpu_count() or 1) / 2:
        console.print(f"Other programs kept this machine busy (load {busy:.1f}): its times are theirs too.")
    for picture in filter(None, (outcome.picture for outcome in found)):
        if plot is not None:
            plot.write_text(picture, encoding="utf-8")
            console.print(f"The picture of the latency is in {plot}.", highlight=False, soft_wrap=True)
    reached, took = sum(goal.reached for goal in goals), time.monotonic() - began
    verdict = f"{reached} of {len(goals)} goals reached on this machine, measured" if goals else "Measured"
    console.print(f"{verdict} in {took:.0f} s.")


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
