"""`livedrop capacity`. Light to import: what it needs is imported when it runs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from loadtests.capacity.result import Capacity

WRONG, IMPOSSIBLE = 1, 2
WIDTH = 132  # of tables in a log, which has no width of its own
SIZES = (100_000, 1_000_000)
MOST = 20_000
MEGABIT = 1e6 / 8
MIB = 2**20

console = Console()
if not console.is_terminal:
    console.width = WIDTH

SEARCH, GOALS, CROWD, PRICES = "The search", "Goals", "What to predict", "Prices (an example to be replaced)"


def capacity(  # noqa: PLR0913, PLR0917  one parameter per option, and typer passes them by name
    host: Annotated[
        str | None, typer.Option(metavar="URL", help="a server that runs already; not given: one of our own")
    ] = None,
    host_token: Annotated[
        str, typer.Option(envvar="LOADTEST_HOST_TOKEN", help="token of a host for every show there")
    ] = "",
    shape: Annotated[str, typer.Option(help="shape of the load", rich_help_panel=SEARCH)] = "steady",
    run_seconds: Annotated[
        float | None,
        typer.Option(min=1, help="of each run; not given: as the shape is meant", rich_help_panel=SEARCH),
    ] = None,
    drop: Annotated[
        float, typer.Option(min=0.0, help="units of a drop per viewer", rich_help_panel=SEARCH)
    ] = 0.1,
    start: Annotated[
        int, typer.Option(min=1, help="viewers of the first load", rich_help_panel=SEARCH)
    ] = 250,
    most: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"viewers of the last; not given: {MOST:,}, or as many as this shell may have open files",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="runs at most", rich_help_panel=SEARCH)] = 12,
    seconds: Annotated[
        float, typer.Option(min=1, help="how long at most, in all", rich_help_panel=SEARCH)
    ] = 1200,
    tries: Annotated[
        int, typer.Option(min=1, help="misses of a load that count as one", rich_help_panel=SEARCH)
    ] = 2,
    seed: Annotated[
        int, typer.Option(help="the same seed asks for the same things", rich_help_panel=SEARCH)
    ] = 1,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="gateway processes of the server", rich_help_panel=SEARCH)
    ] = 1,
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, help="processes that play the viewers", rich_help_panel=SEARCH),
    ] = 1,
    link: Annotated[
        float,
        typer.Option(min=0, help="Mbit/s of the network between; 0: not watched", rich_help_panel=SEARCH),
    ] = 0.0,
    reply_ms: Annotated[
        float, typer.Option(min=0, help="a reservation's answer, p99", rich_help_panel=GOALS)
    ] = 100.0,
    checkout_ms: Annotated[
        float, typer.Option(min=0, help="a checkout's answer, p99", rich_help_panel=GOALS)
    ] = 1000.0,
    skew_ms: Annotated[
        float, typer.Option(min=0, help="from the first viewer to the last", rich_help_panel=GOALS)
    ] = 1000.0,
    cpu: Annotated[
        float, typer.Option(min=0, max=1, help="of a core, each gateway", rich_help_panel=GOALS)
    ] = 0.9,
    viewers: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="crowds to predict for; not given: 100,000 and 1,000,000", rich_help_panel=CROWD
        ),
    ] = None,
    arrival_seconds: Annotated[
        float, typer.Option(min=1, help="within which everybody comes", rich_help_panel=CROWD)
    ] = 300.0,
    tapping: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="share who taps in the busiest second; not given: as measured",
            rich_help_panel=CROWD,
        ),
    ] = None,
    shows: Annotated[int, typer.Option(min=1, help="shows they are spread over", rich_help_panel=CROWD)] = 1,
    gateway_cpu: Annotated[
        float, typer.Option(min=0.05, max=1, help="of a core that a gateway may take", rich_help_panel=CROWD)
    ] = 0.6,
    gateway_sockets: Annotated[int, typer.Option(min=1, help="each gateway", rich_help_panel=CROWD)] = 20_000,
    gateway_mib: Annotated[float, typer.Option(min=64, help="memory of each", rich_help_panel=CROWD)] = 2048,
    gateway_mbit: Annotated[float, typer.Option(min=1, help="network of each", rich_help_panel=CROWD)] = 1000,
    gateway_price: Annotated[
        float, typer.Option(min=0, help="per process and hour", rich_help_panel=PRICES)
    ] = 0.05,
    redis_price: Annotated[
        float, typer.Option(min=0, help="per node and hour", rich_help_panel=PRICES)
    ] = 0.20,
    ledger_price: Annotated[
        float, typer.Option(min=0, help="all of it, per hour", rich_help_panel=PRICES)
    ] = 0.20,
    gigabyte_price: Annotated[float, typer.Option(min=0, help="per GB sent", rich_help_panel=PRICES)] = 0.05,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="for capacity.json and every run.json")
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(metavar="capacity.json", help="predict from an earlier search, and measure nothing"),
    ] = None,
    *,
    model: Annotated[bool, typer.Option(help="measure also what a model needs, half of the time")] = True,
) -> None:
    """Step the load up until a goal breaks: print the knee, the bottleneck, and what larger crowds would need.

    Without --host it loads a server of its own on loopback. Every step has a show of its own, which is ended.
    """
    from functools import partial  # noqa: PLC0415  light at import

    import httpx  # noqa: PLC0415
    import msgspec  # noqa: PLC0415

    from loadtests.board import board  # noqa: PLC0415
    from loadtests.capacity import conclude, errand, tables  # noqa: PLC0415
    from loadtests.capacity.goals import Goals  # noqa: PLC0415
    from loadtests.capacity.measuring import Asked  # noqa: PLC0415
    from loadtests.capacity.prediction import Limits, Prices  # noqa: PLC0415
    from loadtests.capacity.result import Capacity  # noqa: PLC0415
    from loadtests.capacity.search import Bounds  # noqa: PLC0415
    from loadtests.perform import perform  # noqa: PLC0415
    from loadtests.shapes import SHAPES  # noqa: PLC0415
    from loadtests.stagehand import StageError, files_allow, leave_on_sigterm  # noqa: PLC0415

    if host is not None and not host_token:
        raise typer.BadParameter(
            "--host needs --host-token or LOADTEST_HOST_TOKEN: livedrop token --role host --sub load"
        )
    if shape not in SHAPES:
        raise typer.BadParameter(f"There is no shape {shape!r}. There are: {', '.join(SHAPES)}.")
    wishes = conclude.Wishes(
        viewers=tuple(viewers or SIZES),
        arrival_seconds=arrival_seconds,
        tapping=tapping,
        limits=Limits(
            cpu=gateway_cpu,
            sockets=gateway_sockets,
            memory=gateway_mib * MIB,
            network=gateway_mbit * MEGABIT,
            shows=shows,
        ),
        prices=Prices(gateway=gateway_price, redis=redis_price, ledger=ledger_price, gigabyte=gigabyte_price),
    )
    leave_on_sigterm()
    try:
        if again is not None:
            result = conclude.again(msgspec.json.decode(again.read_bytes(), type=Capacity), wishes)
        else:
            asked = Asked(
                shape=shape,
                run_seconds=run_seconds,
                drop=drop,
                seed=seed,
                processes=processes,
                gateways=workers,
                link_mbit=link,
                model=model,
            )
            goals = Goals(reply_ms=reply_ms, checkout_ms=checkout_ms, skew_ms=skew_ms, cpu=cpu)
            most = most or min(MOST, files_allow())
            bounds = Bounds(start=min(start, most), most=most, runs=runs, tries=tries)
            with board(console) as (say, look):
                search = errand.Errand(
                    host, host_token, asked, goals, bounds, seconds, out, say, partial(perform, look=look)
                )
                result = search.carried_out(wishes)
    except (OSError, StageError, httpx.HTTPError, msgspec.MsgspecError) as error:
        console.print(
            f"[bold red]The search could not run:[/] {escape(str(error) or repr(error))}",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(IMPOSSIBLE) from None
    for table in tables.summary(result):
        console.print(table, highlight=False)
    _conclude(result)


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _conclude(result: Capacity) -> None:
    """Print the sentences; end the command with 1 where a promise was broken, under whatever load."""
    from loadtests.capacity import tables  # noqa: PLC0415  light at import
    from loadtests.capacity.prediction import Prices  # noqa: PLC0415

    if result.rates is not None and result.predictions:
        for sentence in tables.assumptions(result.rates, result.limits, result.prices, Prices()):
            _say(sentence)
    else:
        _say(tables.nothing_foretold(result))
    for sentence in tables.doubts(result.model) if result.model is not None else ():
        console.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(tables.knee(result.knee))}[/]", highlight=False, soft_wrap=True)
    broken = [each for step in result.steps for each in step.broken if each.promise]
    for each in broken:
        console.print(f"[bold red]✗ {escape(each.sentence)}[/]", highlight=False, soft_wrap=True)
    if broken:
        raise typer.Exit(WRONG)
