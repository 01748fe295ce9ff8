"""`python -m loadtests.multitude`: ten thousand viewers on a server of its own; exit 1 if a promise is broken.

Server, Redis, audience and publisher share this machine's cores, and on two of them each gets in the others' way:
every delay in the tables contains the time that the audience itself needs to read ten thousand sockets, so the
figures are upper bounds of the server's own. CPU and memory are the server process's alone.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadtests.multitude.company import CompanyError
from loadtests.multitude.outcome import Outcome, Plan, broken, slow
from loadtests.multitude.play import perform
from loadtests.multitude.scene import SceneError, opened
from loadtests.multitude.tables import tables
from loadtests.stagehand import Stage, StageError, leave_on_sigterm, log_tail, own_server
from server.house import build
from server.settings import Settings
from server.store.place import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from server.house import House

ARRIVALS_PER_SECOND = 1_000
SPARE_FILES = 200  # descriptors that a process needs beside its viewers

console = Console()
if not console.is_terminal:
    console.width = 110  # a log has no width of its own; the tables need this much


@asynccontextmanager
async def house_of(stage: Stage) -> AsyncIterator[House]:
    """Give the rooms of the server's own house in this process, on its Redis and its ledger."""
    told = {name: value for name, value in stage.environment.items() if name.startswith("LIVEDROP_")}
    url = Place(Path(told["LIVEDROP_DATA"]) / "valkey").url() or ""
    house = build(Settings.load({**told, "REDIS_URL": url}))
    try:
        yield house
    finally:
        await house.aclose()


async def run(stage: Stage, plan: Plan) -> Outcome:
    """Play it all on a show of this server. Raises SceneError, CompanyError."""
    async with house_of(stage) as house:
        scene = await opened(house, stage.url, stage.pid)
        return await perform(scene, plan, lambda line: console.print(line, highlight=False, soft_wrap=True))


async def _until_sigterm(work: Coroutine[None, None, Outcome]) -> Outcome:
    """Do the work, or cancel it at SIGTERM: an exit raised by a signal handler would end in some callback."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def raise_file_limit(viewers: int) -> None:
    """Allow this process and its children as many files as they may have. Raises BadParameter if that is too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < viewers + SPARE_FILES:
        raise typer.BadParameter(
            f"{viewers} viewers need {viewers + SPARE_FILES} open files, this shell allows {most} (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(  # noqa: PLR0913, PLR0917  one parameter per option, and typer passes them by name
    viewers: Annotated[int, typer.Option(min=10, help="who watch, half in msgpack, half in JSON")] = 10_000,
    stalled: Annotated[
        int, typer.Option(min=1, help="who do not read, beside them in every other round")
    ] = 200,
    others: Annotated[int, typer.Option(min=1, help="who stay while all viewers are dropped")] = 500,
    events: Annotated[int, typer.Option(min=1, help="of the log, per round")] = 100,
    changes: Annotated[int, typer.Option(min=2, help="of the stock, per round")] = 5_000,
    repetitions: Annotated[int, typer.Option(min=1, help="rounds without stalled viewers, and with")] = 3,
    event_bytes: Annotated[int, typer.Option(min=100, max=60_000, help="size of an event")] = 4_096,
    buffer_bytes: Annotated[
        int, typer.Option(min=65_536, help="what the server keeps for one viewer")
    ] = 262_144,
    return_seconds: Annotated[float, typer.Option(min=0, help="over which the dropped return")] = 8.0,
) -> None:
    """Prove on this machine that a multitude misses nothing, and that nobody is slowed by who is stuck."""
    raise_file_limit(viewers + stalled + others)
    plan = Plan(
        viewers=viewers,
        stalled=stalled,
        others=others,
        events=events,
        changes=changes,
        repetitions=repetitions,
        event_bytes=event_bytes,
        return_seconds=return_seconds,
        arrival_seconds=viewers / ARRIVALS_PER_SECOND,
    )
    began = time.monotonic()
    try:
        with own_server(LIVEDROP_VIEWER_BUFFER_BYTES=str(buffer_bytes)) as stage, asyncio.Runner() as runner:
            outcome = runner.run(_until_sigterm(run(stage, plan)))
            report(outcome, stage)
    except asyncio.CancelledError:
        console.print("Told to leave; nothing is left behind.")
        raise typer.Exit(128 + signal.SIGTERM) from None
    except (CompanyError, SceneError, StageError) as error:
        console.print(
            f"[bold red]The multitude could not be shown:[/] {error}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from None
    wrong = [*broken(outcome), *slow(outcome)]
    took = time.monotonic() - began
    if wrong:
        console.print(f"[bold red]Not kept[/]: {len(wrong)} findings, after {took:.0f} s.", highlight=False)
        raise typer.Exit(1)
    console.print(f"[green]All promises were kept[/], in {took:.0f} s.", highlight=False)


def report(outcome: Outcome, stage: Stage) -> None:
    """Print what came out, and what is wrong with it."""
    for table in tables(outcome):
        console.print(table)
    wrong = [*broken(outcome), *slow(outcome)]
    for sentence in wrong:
        console.print(f"✗ {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    if wrong and stage.log is not None:
        console.print(
            "What the server said last:", log_tail(stage.log), sep="\n", markup=False, soft_wrap=True
        )


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
