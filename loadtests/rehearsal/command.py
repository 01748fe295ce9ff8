"""`livedrop rehearse`. Light to import: what it needs is imported when it runs."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.rehearsal.errand import Outcome
    from loadtests.stagehand import Stage

WRONG, IMPOSSIBLE = 1, 2
WIDTH = 110  # of text in a log, which has no width of its own

console = Console()
if not console.is_terminal:
    console.width = WIDTH


def rehearse(  # noqa: PLR0913, PLR0917  one parameter per option, and typer passes them by name
    show: Annotated[str, typer.Argument(help="the show's id")],
    viewers: Annotated[int, typer.Option(min=1, help="simulated viewers")] = 500,
    wanting: Annotated[float, typer.Option(min=0.01, max=1, help="share of them who want each drop")] = 0.5,
    within: Annotated[
        float, typer.Option(min=0.2, max=120, help="seconds in which they tap after its opening")
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="the same seed asks for the same things again")] = 1,
    host: Annotated[
        str | None,
        typer.Option(metavar="URL", help="the show's server; not given: the one of this machine's settings"),
    ] = None,
    host_token: Annotated[
        str,
        typer.Option(
            envvar="LOADTEST_HOST_TOKEN",
            help="token of a host for every show there; not given: one of its own",
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="for run.json and logs")] = None,
) -> None:
    """Rehearse a show before its evening: its drops, in a private copy, before a synthetic audience.

    Nothing of the show itself changes, and no money moves. It needs the server's settings, as `livedrop audit` does.
    Exit 1: the rehearsal found something wrong with the server.
    """
    from functools import partial  # noqa: PLC0415  light at import

    import httpx  # noqa: PLC0415

    from loadtests.board import board  # noqa: PLC0415
    from loadtests.merge import IncompleteError  # noqa: PLC0415
    from loadtests.perform import perform  # noqa: PLC0415
    from loadtests.rehearsal import errand  # noqa: PLC0415
    from loadtests.rehearsal.copying import RehearsalError  # noqa: PLC0415
    from loadtests.rehearsal.planning import Crowd  # noqa: PLC0415
    from loadtests.stagehand import StageError, leave_on_sigterm  # noqa: PLC0415

    leave_on_sigterm()
    crowd = Crowd(viewers=viewers, wanting=wanting, within=within, seed=seed)
    try:
        with _folder(out) as folder, board(console) as (say, look):
            stage = _stage(host, host_token)
            outcome = errand.rehearse(stage, show, crowd, folder, say, partial(perform, look=look))
    except (RehearsalError, StageError, IncompleteError, httpx.HTTPError, OSError) as error:
        console.print(
            f"[bold red]The rehearsal could not be held:[/] {escape(str(error) or repr(error))}",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(IMPOSSIBLE) from None
    tell(outcome)


def tell(outcome: Outcome) -> None:
    """Print what will happen and what to change; end the command with 1 where the server broke a promise."""
    from loadtests.rehearsal import words  # noqa: PLC0415  light at import

    for line in words.story(outcome.facts):
        console.print(escape(line), highlight=False)
    for line in words.left_out(outcome.before):
        _say(line)
    changes = words.advice(outcome.facts)
    console.print("\n[bold]What to change[/]" if changes else "\n[green]Nothing has to be changed.[/]")
    for line in changes:
        console.print(f" • {escape(line)}", highlight=False)
    _say("")
    if outcome.untouched:
        _say(f"The show itself is as it was: {len(outcome.before.drops)} drops, not one number changed.")
    else:
        _say("Somebody changed the show itself meanwhile; the rehearsal only reads it.")
    _say(f"The copy {outcome.copy} has ended.")
    for finding in outcome.run.findings:
        console.print(f"[bold red]✗ {escape(finding.sentence)}[/]", highlight=False)
        for line in finding.evidence:
            _say(f"    {line}")
    if outcome.run.findings:
        raise typer.Exit(WRONG)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Give the folder for what a run leaves: the one that was named, or one that goes with us."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="livedrop-rehearsal-") as made:
        yield Path(made)


def _stage(url: str | None, host_token: str) -> Stage:
    """Return the show's server; with the settings of this machine, address and token need not be named."""
    from loadtests.stagehand import elsewhere  # noqa: PLC0415  light at import
    from server.auth import EVERY_SHOW, Role, Tokens  # noqa: PLC0415
    from server.settings import Settings, SettingsError  # noqa: PLC0415

    if url and host_token:
        return elsewhere(url, host_token)
    try:
        settings = Settings.load()
        secret = settings.secret_key()
    except (SettingsError, OSError) as error:
        raise typer.BadParameter(
            f"--host and --host-token are needed where the server's settings are not: {error}"
        ) from None
    if not host_token:
        host_token, _ = Tokens(secret, settings.issuer).mint("rehearsal", Role.HOST, [EVERY_SHOW], 24 * 3600)
    return elsewhere(url or f"http://127.0.0.1:{settings.port}", host_token)


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
