"""`python -m loadtests.bench`: measure the hot path beside its peers, hold it against the goals, keep every figure."""

from __future__ import annotations

import asyncio
import dataclasses
import resource
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import uvloop
from rich.console import Console

from loadtests.bench import history, record, report
from loadtests.bench.ground import BenchError, Ground, prepared
from loadtests.bench.parts import GROUPS, PARTS, Group, Outcome, Part
from loadtests.bench.record import Begun, Record
from loadtests.bench.sizes import FULL, QUICK, Sizes
from loadtests.bench.wires import WireError
from loadtests.stagehand import StageError, leave_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from loadtests.bench.goals import Goal

console = Console()
if not console.is_terminal:
    console.width = 120  # a log has no width of its own; the tables need this much


@dataclasses.dataclass(slots=True)
class Measured:
    """What has been measured so far: it stands though a later part cannot run."""

    record: Record
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    @property
    def goals(self) -> list[Goal]:
        """The goals of all parts."""
        return [goal for outcome in self.outcomes for goal in outcome.goals]


async def run(ground: Ground, parts: list[Part], sizes: Sizes, measured: Measured) -> None:
    """Measure the parts, print the tables of each, and add what was found."""
    try:
        for part in parts:
            ground.say(f"{part}: getting ready")
            begun = Begun.now(part)
            outcome = await PARTS[part](ground, sizes)
            measured.outcomes.append(outcome)
            measured.record.parts.append(begun.ended(outcome))
            for table in outcome.tables:
                console.print(table)
    finally:
        await ground.house.aclose()


async def _until_sigterm(work: Coroutine[None, None, None]) -> None:
    """Do the work, or cancel it at SIGTERM: an exit raised by a signal handler would end in some callback."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


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
    json: Annotated[Path | None, typer.Option(help="where every figure goes, as JSON")] = None,
    folder: Annotated[
        Path, typer.Option("--history", help="where runs of the full sizes are kept, and their history drawn")
    ] = Path(".bench"),
) -> None:
    """Measure the hot path beside its peers, and say which goal is met, missed, by how much. Nothing is asserted.

    Runs of the full sizes are kept in the history, the last fifty; other sizes do not compare.
    """
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
    began, measured, failed = time.monotonic(), Measured(record.begun(sizes)), False
    try:
        with (
            console.status("Getting ready") as status,
            prepared(status.update) as ground,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_until_sigterm(run(ground, parts, sizes, measured)))
    except asyncio.CancelledError:
        console.print("Told to leave; nothing is left behind.")
        raise typer.Exit(128 + signal.SIGTERM) from None
    except (BenchError, StageError, WireError, TimeoutError) as error:
        failed = True
        console.print(f"[bold red]The benchmark could not run:[/] {error}", highlight=False, soft_wrap=True)
    tell(measured.goals, measured.record, folder)
    for picture in filter(None, (outcome.picture for outcome in measured.outcomes)):
        if plot is not None:
            plot.write_text(picture, encoding="utf-8")
            _say(f"The picture of the latency is in {plot}.")
    if json is not None:
        record.write(measured.record, json)
        _say(f"Every figure is in {json}.")
    if sizes == FULL and measured.record.parts:
        _say(f"Kept; the history of the goals is in {history.keep(measured.record, folder)}.")
    console.print(f"{_verdict(measured.goals)} in {time.monotonic() - began:.0f} s.")
    if failed:
        raise typer.Exit(1)


def tell(goals: list[Goal], one: Record, folder: Path) -> None:
    """Print the goals beside what earlier runs measured, and what to think of this machine."""
    if goals:
        earlier = history.before(one, history.records_in(folder))
        console.print(report.goals(goals, earlier))
    busy = one.machine.load_before
    if busy > one.machine.cores / 2:
        console.print(f"Other programs kept this machine busy (load {busy:.1f}): its times are theirs too.")


def _verdict(goals: list[Goal]) -> str:
    if not goals:
        return "Measured"
    missed = sum(goal.measured is not None and not goal.reached for goal in goals)
    reached = sum(goal.reached for goal in goals)
    return f"{reached} of {len(goals)} goals reached on this machine, {missed} missed, measured"


def _say(sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
