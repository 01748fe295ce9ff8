"""`livedrop serve` and `livedrop work`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.markup import escape

from server import app, logs
from server.cli.home import fail
from server.cli.processes import supervise
from server.cli.running import Server, bind, config, leaving_quietly, traced
from server.cli.sandbox import hear
from server.keyring import Keyring, KeyringError

if TYPE_CHECKING:
    from server.settings import Settings


def serve(settings: Settings, workers: int, *, work: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    require_keys(settings)
    with bind(settings) as bound:
        hear(settings, bound)
        if workers > 1:
            supervise(settings, bound, workers, work=work)
            return
        with leaving_quietly(), traced(settings):
            Server(config(settings, app.create_app(settings, work=work))).run([bound])


def require_keys(settings: Settings) -> None:
    """End the command where the keys of those who make the tokens cannot be had or used; each process reads them."""
    if settings.jwks:
        try:
            asyncio.run(Keyring(settings.jwks, loopback=not settings.production).load())
        except KeyringError as error:
            raise fail(escape(str(error))) from None


def work(settings: Settings) -> None:
    """Sweep and record until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    with leaving_quietly(), traced(settings), suppress(asyncio.CancelledError):
        asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    """Work until a signal cancels this task: a task that ends in order, wherever it is."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101  a coroutine that runs has a task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    await app.work(settings)
