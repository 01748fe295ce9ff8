"""`livedrop serve` and `livedrop work`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server import app, logs
from server.cli.processes import supervise
from server.cli.running import Server, bind, config, leaving_quietly

if TYPE_CHECKING:
    from server.settings import Settings


def serve(settings: Settings, workers: int, *, work: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    with bind(settings) as bound:
        if workers > 1:
            supervise(settings, bound, workers, work=work)
            return
        with leaving_quietly():
            Server(config(settings, app.create_app(settings, work=work))).run([bound])


def work(settings: Settings) -> None:
    """Sweep and record until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    with leaving_quietly():
        asyncio.run(app.work(settings))
