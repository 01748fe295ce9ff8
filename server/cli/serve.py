"""`livedrop serve` and `livedrop work`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from server import app, logs
from server.cli.processes import supervise
from server.cli.running import Server, bind, config, leaving_quietly
from server.cli.sandbox import hear

if TYPE_CHECKING:
    from server.settings import Settings


def serve(settings: Settings, workers: int, *, work: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    with bind(settings) as bound:
        hear(settings, bound)
        if workers > 1:
            supervise(settings, bound, workers, work=work)
            return
        with leaving_quietly():
            Server(config(settings, app.create_app(settings, work=work))).run([bound])


def work(settings: Settings) -> None:
    """Sweep and record until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    with leaving_quietly(), suppress(asyncio.CancelledError):
        asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    """Work until a signal cancels this task: a task that ends in order, wherever it is."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101  a coroutine that runs has a task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    await app.work(settings)
