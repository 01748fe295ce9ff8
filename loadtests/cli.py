"""The commands of the load tests. Light to import: what a command needs is imported when it runs.

Exit codes: 0, the run passed; 1, it found something wrong with the server; 2, it could not be carried out.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadtests.capacity.command import capacity
from loadtests.rehearsal.command import rehearse
from loadtests.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.evening import Evening

WRONG, IMPOSSIBLE = 1, 2
WIDTH = 110  # of tables in a log, which has no width of its own

console = Console()
if not console.is_terminal:
    console.width = WIDTH

Viewers = Annotated[int, typer.Option(min=1, help="simulated viewers")]
Drop = Annotated[
    int | None,
    typer.Option(min=1, help="units of each drop; not given: one for ten viewers", show_default=False),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=1, help="how long in all; not given: as the shape is meant", show_default=False),
]
Seed = Annotated[int, typer.Option(help="the same seed asks for the same things again")]
Host = Annotated[
    str | None, typer.Option(metavar="URL", help="a server that runs already; not given: one of our own")
]
HostToken = Annotated[
    str, typer.Option(envvar="LOADTEST_HOST_TOKEN", help="token of a host for every show there")
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="processes of a server of our own")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="processes that the viewers are played by")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="for run.json, report and logs; not given: under results/"),
]
Against = Annotated[
    list[Path] | None,
    typer.Option(metavar="run.json", help="an earlier run to compare with; several tell the noise"),
]
Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="the report; not given: report.html in the folder")
]
Listing = Annotated[bool, typer.Option("--list", help="list the shapes with what happens in each")]


def load(  # noqa: PLR0913, PLR0917  one parameter per option, and typer passes them by name
    shape: Annotated[str, typer.Argument(help=f"{', '.join(SHAPES)}; see --list")] = "steady",
    viewers: Viewers = 100,
    drop: Drop = None,
    seconds: Seconds = None,
    seed: Seed = 1,
    host: Host = None,
    host_token: HostToken = "",
    workers: Workers = 2,
    processes: Processes = 1,
    out: Out = None,
    against: Against = None,
    report: Report = None,
    *,
    listing: Listing = False,
) -> None:
    """Load a server with simulated viewers and a host, then hold its books against what each viewer remembers.

    Without --host it starts a server of its own on loopback, and removes it again.

    With --host it looks into that server's books: LIVEDROP_DATA, or REDIS_URL and DATABASE_URL, say where.

    Exit code 1: a promise was broken; 2: the run could not be carried out.
    """
    from loadtests import shapes, summary  # noqa: PLC0415  light at import

    if listing:
        console.print(summary.shapes())
        return
    try:
        plan = shapes.shape(shape, viewers, drop or max(1, viewers // 10), seconds, seed)
    except shapes.ShapeError as error:
        raise typer.BadParameter(str(error)) from None
    console.print(shapes.SHAPES[shape].sentence, highlight=False)
    with evening(host, host_token, workers, processes, out, report, against) as one:
        one.carry_out(plan)


def replay(  # noqa: PLR0913, PLR0917  as above
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="what `livedrop record` has kept"),
    ],
    speed: Annotated[float, typer.Option(min=1, max=20, help="how much faster than it was recorded")] = 1.0,
    seed: Seed = 1,
    host: Host = None,
    host_token: HostToken = "",
    workers: Workers = 2,
    processes: Processes = 1,
    out: Out = None,
    against: Against = None,
    report: Report = None,
) -> None:
    """Play a recorded show again as load: the same arrivals and commands at the same times, or faster.

    What is asked is the same for the same file, speed and seed. Exit codes as those of `load`.
    """
    from loadtests.recording.reading import RecordingError  # noqa: PLC0415  light at import
    from loadtests.recording.replay import plan_of  # noqa: PLC0415

    try:
        plan = plan_of(file, speed, seed)
    except (RecordingError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    with evening(host, host_token, workers, processes, out, report, against) as one:
        one.carry_out(plan)


@contextmanager
def evening(  # noqa: PLR0913, PLR0917  the options that commands have in common
    host: str | None,
    host_token: str,
    workers: int,
    processes: int,
    out: Path | None,
    report: Path | None,
    against: list[Path] | None,
) -> Iterator[Evening]:
    """Give what carries out plans; the command ends with its exit code, and with a sentence where nothing went."""
    import httpx  # noqa: PLC0415  light at import

    from loadtests.evening import Evening, UnreadableError  # noqa: PLC0415
    from loadtests.stagehand import StageError, leave_on_sigterm  # noqa: PLC0415

    if host is not None and not host_token:
        raise typer.BadParameter(
            "--host needs --host-token or LOADTEST_HOST_TOKEN: livedrop token --role host --sub load"
        )
    leave_on_sigterm()
    try:
        one = Evening(console, host, host_token, workers, processes, out, report, against or ())
        yield one
    except (StageError, UnreadableError, httpx.HTTPError) as error:
        said = str(error) or repr(error)
        console.print(
            f"[bold red]The load test could not run:[/] {escaped(said)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(IMPOSSIBLE) from None
    if not one.passed:
        raise typer.Exit(WRONG)


def escaped(text: str) -> str:
    """Return text that has no meaning as markup."""
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)


COMMANDS: dict[str, Callable[..., None]] = {
    "load": load,
    "replay": replay,
    "rehearse": rehearse,
    "capacity": capacity,
}
