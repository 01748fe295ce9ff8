"""`python -m loadtests`: a crowd on a live show, then the audit of the books; exit 1 if anything is wrong."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.console import Console

from loadtests.crowd import Crowd, perform
from loadtests.gate import inspect, judge, table
from loadtests.stagehand import (
    Stage,
    StageError,
    door,
    elsewhere,
    leave_on_sigterm,
    live_show,
    log_tail,
    own_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

console = Console()
if not console.is_terminal:
    console.width = 110  # a log has no width of its own; the table needs this much


@contextmanager
def stage_for(url: str | None, host_token: str) -> Iterator[Stage]:
    """Give the server to load: the one at `url`, or one of our own."""
    if url is not None:
        yield elsewhere(url, host_token)
        return
    console.print("Starting a server of our own …")
    with own_server() as stage:
        try:
            yield stage
        except (StageError, httpx.HTTPError):
            _say_last_words(stage)
            raise


def run(stage: Stage, crowd: Crowd) -> list[str]:
    """Put a crowd on a new show, print what it saw and the books after it; return what is wrong. Raises StageError."""
    with door(stage.url, stage.host_token) as host, tempfile.TemporaryDirectory() as folder:
        show = live_show(host)
        console.print(
            f"{crowd.viewers} viewers come to {show} at {stage.url}, {crowd.spawn_rate:g} a second, "
            f"for {crowd.seconds} s.",
            soft_wrap=True,
        )
        results = perform(stage, show, crowd, Path(folder))
        console.print("Waiting until the last reservations have lapsed …")
        aftermath = inspect(stage, host, show, results.orders)
        host.post(f"/v1/shows/{show}/end").raise_for_status()
    console.print(table(aftermath.audit))
    wrong = judge(results, aftermath)
    if wrong and stage.log is not None:
        console.print(
            "What the server said last:", log_tail(stage.log), sep="\n", markup=False, soft_wrap=True
        )
    for sentence in wrong:
        console.print(f"✗ {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{results.requests:,} requests and {results.messages:,} live messages checked, "
        f"{results.reservations:,} reservations, {len(results.orders):,} orders acknowledged.",
        highlight=False,
        soft_wrap=True,
    )
    return wrong


def _say_last_words(stage: Stage) -> None:
    """Print the end of our own server's log, which goes with the server."""
    if stage.log is not None:
        console.print(
            "What the server said last:", log_tail(stage.log), sep="\n", markup=False, soft_wrap=True
        )


def main(  # noqa: PLR0913, PLR0917  one parameter per option, and typer passes them by name
    viewers: Annotated[int, typer.Option(min=1, help="simulated viewers")] = 100,
    spawn_rate: Annotated[float, typer.Option(min=0.1, help="viewers who arrive per second")] = 50,
    seconds: Annotated[int, typer.Option(min=1, help="how long they stay, their arrival included")] = 40,
    drop_quantity: Annotated[
        int | None, typer.Option(min=1, help="units of each drop; none given: half as many as viewers")
    ] = None,
    host: Annotated[str | None, typer.Option(help="URL of a server that runs already")] = None,
    host_token: Annotated[
        str, typer.Option(envvar="LOADTEST_HOST_TOKEN", help="token of a host for every show there")
    ] = "",
) -> None:
    """Load a server with simulated viewers and a host, then audit its books.

    Without --host it starts a server of its own on loopback and removes it again. With it, the audit needs that
    server's LIVEDROP_DATA, or REDIS_URL and DATABASE_URL, in the environment.
    """
    if host is not None and not host_token:
        raise typer.BadParameter("--host needs --host-token (or LOADTEST_HOST_TOKEN)")
    crowd = Crowd(viewers, spawn_rate, seconds, drop_quantity or max(1, viewers // 2))
    try:
        with stage_for(host, host_token) as stage:
            wrong = run(stage, crowd)
    except (StageError, httpx.HTTPError) as error:
        console.print(f"[bold red]The load test could not run:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if wrong:
        console.print(f"[bold red]The load test failed[/]: {len(wrong)} findings.", highlight=False)
        raise typer.Exit(1)
    console.print(f"[green]The books balance[/]: {viewers} viewers for {seconds} s, nothing unexpected.")


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    leave_on_sigterm()
    app()
