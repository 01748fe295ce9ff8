"""Where a command works: its settings, a Redis that runs, a ledger with its tables."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console

from server.cli.keeper import StoreKeeper
from server.clock import now_ms
from server.ledger.engines import FILE_NAME
from server.ledger.migrate import is_current, is_empty, is_newer, migrate
from server.payments.bank.private import PrivateSandbox
from server.settings import Settings, SettingsError
from server.store.embedded import Embedded, EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

console = Console()
errors = Console(stderr=True)


def fail(sentence: str) -> typer.Exit:
    """Say on stderr what is wrong and return the exit to raise."""
    errors.print(f"[bold red]livedrop:[/] {sentence}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


def load_settings() -> Settings:
    """Return the settings, or end the command with what is wrong with them."""
    try:
        return Settings.load()
    except SettingsError as error:
        raise fail(str(error)) from None


def ledger_address(settings: Settings) -> str | Path:
    """Return where the ledger is: a URL, or the data folder for SQLite."""
    return settings.database_url or settings.data


@contextmanager
def home(settings: Settings) -> Iterator[Settings]:
    """Give settings whose Redis answers; the private one is started where none is given, and ended with us."""
    if settings.redis_url:
        yield settings
        return
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        embedded = Embedded.start(settings.data, settings.appendfsync)
    except EmbeddedError as error:
        raise fail(str(error)) from None
    keeper = StoreKeeper(embedded, settings)
    keeper.start()
    try:
        yield msgspec.structs.replace(settings, redis_url=embedded.url)
    finally:
        keeper.leave()


@contextmanager
def prepared(settings: Settings, *, upgrade: bool = False) -> Iterator[Settings]:
    """Give settings with which work can begin: the ledger has its tables, store and sandbox answer."""
    prepare_ledger(settings, upgrade=upgrade)
    with home(settings) as ready, sandboxed(ready) as able:
        yield able


@contextmanager
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Give settings with a sandbox: the private one of the data folder where none is given. Production has none."""
    if settings.sandbox_url or settings.production:
        yield settings
        return
    try:
        private = PrivateSandbox.begin(settings.data, settings.secret_key())
    except OSError as error:
        raise fail(
            f"The sandbox cannot be kept in {settings.data}: {error}. Set LIVEDROP_SANDBOX_URL to one that runs, "
            "or LIVEDROP_DATA to another folder."
        ) from None
    try:
        yield msgspec.structs.replace(settings, sandbox_url=private.url)
    finally:
        private.leave()


def prepare_ledger(settings: Settings, *, upgrade: bool = False) -> None:
    """Make the tables in an empty database; end the command where an older one has to be migrated first.

    With `upgrade`, an older SQLite ledger in the data folder is migrated here, and kept beside it as it was.
    """
    address = ledger_address(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    if is_current(address):
        return
    refuse_newer(address)
    if is_empty(address):
        migrate(address)
    elif upgrade and not settings.database_url:
        copy = settings.data / f"{FILE_NAME}.{datetime.fromtimestamp(now_ms() / 1000, UTC):%Y%m%dT%H%M%SZ}"
        if migrate(address, copy=copy):
            errors.print(
                f"The ledger was of an older version and is up to date now. As it was, it is kept in {copy}",
                highlight=False,
                soft_wrap=True,
            )
    else:
        raise fail("The ledger has the tables of another version. Back it up, then run: livedrop migrate")


def refuse_newer(address: str | Path) -> None:
    """End the command where the ledger has the tables of a newer version: there is no way back."""
    if is_newer(address):
        raise fail(
            "The ledger has the tables of a newer version, which this one cannot use. Start that version, or set "
            "LIVEDROP_DATA or DATABASE_URL to another ledger."
        )
