"""The commands and their options; each does its work in a module of its own."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path  # noqa: TC003  typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from server import __version__
from server.auth import EVERY_SHOW, MAX_TTL_SECONDS, Role, Tokens, is_subject
from server.cli import actions as trail
from server.cli import books, catalog, demo, rebuild, record, sandbox, serve, verify
from server.cli.doctor.examination import examine
from server.cli.home import (
    console,
    fail,
    home,
    ledger_address,
    load_settings,
    prepare_ledger,
    prepared,
    refuse_newer,
)
from server.cli.running import leaving_quietly
from server.ledger.migrate import migrate as apply_migrations
from server.receipts import Receipts
from server.settings import Settings, table

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = "livedrop.commands"  # the group of entry points: name -> a function as Typer takes it

cli = typer.Typer(
    name="livedrop",
    help="The server for live shopping: drops in limited quantity, shown within the second, never oversold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
catalog_cli = typer.Typer(help="The products that can be dropped.", no_args_is_help=True)
cli.add_typer(catalog_cli, name="catalog")

Host = Annotated[str | None, typer.Option(help="address to listen on")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")]


def main() -> None:
    """Run the command line."""
    # Looking for the commands of others takes time, which `serve` and its like need not spend.
    if not _own_commands().intersection(sys.argv[1:2]):
        add_commands_of_others()
    cli()


def _own_commands() -> set[str]:
    named = (each.name or getattr(each.callback, "__name__", "") for each in cli.registered_commands)
    return {*named, *(group.name or "" for group in cli.registered_groups)}


def add_commands_of_others() -> None:
    """Add what packages beside this one offer as commands, by the entry points that they declare."""
    for found in entry_points(group=COMMANDS):
        try:
            command = found.load()
        except ModuleNotFoundError as missing:
            command = _not_installed(found.name, missing.name or "")
        cli.command(found.name)(command)


def _not_installed(name: str, module: str) -> Callable[[], None]:
    def command() -> None:
        raise fail(
            escape(f'`livedrop {name}` needs {module}, which is not installed: pip install "livedrop[load]"')
        )

    command.__doc__ = "Not installed."
    return command


@cli.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    *,
    show_version: Annotated[bool, typer.Option("--version", help="say which version this is")] = False,
) -> None:
    """Answer `--version`; the commands do the rest."""
    if show_version:
        console.print(f"livedrop {__version__}", highlight=False)
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.Exit(2)


def _where(settings: Settings, host: str | None, port: int | None) -> Settings:
    return msgspec.structs.replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )


@cli.command("serve")
def serve_command(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="server processes")] = 1,
    *,
    no_work: Annotated[bool, typer.Option("--no-work", help="leave deadlines to `livedrop work`")] = False,
) -> None:
    """Serve HTTP and websocket, and look after deadlines and the ledger."""
    settings = _where(load_settings(), host, port)
    with leaving_quietly(), prepared(settings) as ready:
        serve.serve(ready, workers, work=not no_work)


@cli.command("work")
def work_command() -> None:
    """Look after deadlines, planned moves, unfinished orders and the ledger, without serving."""
    with leaving_quietly(), prepared(load_settings()) as ready:
        serve.work(ready)


@cli.command("demo")
def demo_command(
    port: Port = None,
    audience: Annotated[int, typer.Option(min=0, max=2000, help="simulated viewers who join and buy")] = 0,
    *,
    json: Annotated[bool, typer.Option("--json", help="print the links as one line of JSON")] = False,
) -> None:
    """Serve a demo show with a drop from the sample feed, and print the links to its pages."""
    settings = _where(load_settings(), None, port)
    if settings.jwks:
        raise fail(
            "The demo makes its own tokens, and LIVEDROP_JWKS says that others do: leave it out for the demo."
        )
    with leaving_quietly(), prepared(settings, upgrade=True) as ready:
        demo.run(ready, audience, as_json=json)


@cli.command("sandbox")
def sandbox_command(
    host: Host = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 8100,
    data: Annotated[Path | None, typer.Option(help="folder for its books")] = None,
    webhook_url: Annotated[
        str, typer.Option(metavar="URL", help="where it tells of changes: …/v1/payments/sandbox/webhook")
    ] = "",
    page_url: Annotated[
        str, typer.Option(metavar="URL", help="where buyers find its pages, if not where servers find it")
    ] = "",
) -> None:
    """Serve the sandbox payment provider, for servers with LIVEDROP_SANDBOX_URL and the same secret."""
    settings = _where(load_settings(), host, port)
    with leaving_quietly():
        sandbox.keep(settings, data, webhook_url, page_url)


@cli.command()
def token(
    role: Annotated[Role, typer.Option(help="what they are")],
    sub: Annotated[str, typer.Option(help="who they are")],
    show: Annotated[list[str] | None, typer.Option(help="a show it is for; none named: every show")] = None,
    ttl: Annotated[int, typer.Option(min=1, max=MAX_TTL_SECONDS, help="seconds until it expires")] = 3600,
    *,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="of a viewer whom nobody knows")] = False,
) -> None:
    """Print a token."""
    if anonymous and role is not Role.VIEWER:
        raise fail(f"--anonymous: a viewer can be, a {role.value} is known.")
    if not is_subject(sub):
        raise fail("--sub: 1 to 128 printable characters without blanks at the ends are expected.")
    settings = load_settings()
    if settings.jwks:
        raise fail(
            f"LIVEDROP_JWKS is set, so this server makes no tokens: whoever has the private keys does, as "
            f"{escape(settings.issuer)}."
        )
    settings.data.mkdir(parents=True, exist_ok=True)
    minted, _expires_at = Tokens(settings.secret_key(), settings.issuer).mint(
        sub, role, show or [EVERY_SHOW], ttl, anonymous=anonymous
    )
    typer.echo(minted)


@catalog_cli.command("import")
def catalog_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="the feed")],
    feed_format: Annotated[str, typer.Option("--format", help="the feed's format")] = "shopify",
    currency: Annotated[str, typer.Option(help="currency of prices that name none, ISO 4217")] = "EUR",
) -> None:
    """Import a product feed and show what changed."""
    settings = load_settings()
    prepare_ledger(settings)
    catalog.import_file(settings, file, feed_format, currency)


@cli.command()
def migrate() -> None:
    """Bring the ledger's tables up to this version."""
    settings = load_settings()
    settings.data.mkdir(parents=True, exist_ok=True)
    refuse_newer(ledger_address(settings))
    applied = apply_migrations(ledger_address(settings))
    console.print(f"Applied {len(applied)}: {', '.join(applied)}" if applied else "The ledger is up to date.")


@cli.command("settings")
def settings_command() -> None:
    """List every setting with its default and meaning."""
    listing = Table("setting", "default", "meaning", title="Settings, from the environment or .env")
    for row in table():
        listing.add_row(*row)
    console.print(listing)


@cli.command()
def doctor(
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="server processes that are to run here; 0: not said")
    ] = 0,
    *,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Look whether a deployment with these settings is fit to sell; exit 1 where something is wrong."""
    if not examine(load_settings(), workers, as_json=json):
        raise typer.Exit(1)


@cli.command()
def audit(
    show: Annotated[str | None, typer.Option(help="one show; none named: all that are kept")] = None,
    *,
    actions: Annotated[
        str | None, typer.Option(metavar="SHOW", help="instead, list who did what in a show")
    ] = None,
    provider: Annotated[bool, typer.Option(help="ask the payment providers for their lists")] = True,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare stock, holds, ledger and payments of every drop; exit 1 on any difference that is known."""
    if actions is not None:
        settings = load_settings()
        prepare_ledger(settings)
        trail.actions(settings, actions, as_json=json)
        return
    with prepared(load_settings()) as ready:
        if not books.audit(ready, show, ask_providers=provider, as_json=json):
            raise typer.Exit(1)


@cli.command("rebuild")
def rebuild_command(
    show: Annotated[str, typer.Argument(help="the show's id")],
    *,
    reopen: Annotated[
        bool, typer.Option("--open", help="let it go on at once; else its host resumes it")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Restore a show's stock from the ledger after its store was lost or failed over; exit 1 where orders go short."""
    with prepared(load_settings()) as ready:
        if not rebuild.rebuild(ready, show, reopen=reopen, as_json=json):
            raise typer.Exit(1)


@cli.command("record")
def record_command(
    show: Annotated[str, typer.Argument(help="the show's id")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="file to make; not named: one here")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="for how long; not named: until it is ended")
    ] = None,
) -> None:
    """Record who comes and goes in a live show and what they ask, without names, to be played again as load."""
    with home(load_settings()) as ready:
        record.record(ready, show, out, seconds)


@cli.command("verify-draw")
def verify_draw(
    source: Annotated[
        str, typer.Argument(metavar="FILE|URL|-", help="the draw as JSON, as the server gives it")
    ],
    seed_hash: Annotated[
        str | None, typer.Option(help="the seed's hash as it was told at the opening")
    ] = None,
    token: Annotated[str | None, typer.Option(help="a token to fetch the URL with")] = None,
) -> None:
    """Draw a draw again and compare; exit 1 on any difference, 2 where it cannot be looked at."""
    if not verify.verify_draw(source, seed_hash, token):
        raise typer.Exit(verify.WRONG)


@cli.command("verify-receipt")
def verify_receipt(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="the receipt")],
    keys: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="the public keys; not named: those of this server's secret"),
    ] = None,
) -> None:
    """Say what a receipt says and whether it is true to its signature; exit 1 where not, 2 where it cannot be read."""
    if not verify.verify_receipt(source, verify.keys_at(keys) if keys else _own_keys()):
        raise typer.Exit(verify.WRONG)


def _own_keys() -> dict[str, Any]:
    settings = load_settings()
    return Receipts(settings.secret_key(), settings.issuer).jwks
