"""`livedrop sandbox`, and where a server hears from its private one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from server import logs
from server.cli.home import fail
from server.cli.running import bind
from server.payments.bank.private import place_in
from server.payments.bank.process import TakenError, note, run
from server.payments.bank.signature import key_of
from server.payments.sandbox import Sandbox

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from server.settings import Settings

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec B104  # noqa: S104  where one is reached that listens on all


def keep(settings: Settings, folder: Path | None, webhook_url: str, page_url: str = "") -> None:
    """Serve the sandbox until SIGTERM or SIGINT, where the settings say, with its books in `folder`."""
    logs.configure("warning")
    with bind(settings) as bound:
        typer.echo(f"LIVEDROP_SANDBOX_URL={_url(bound)}")
        try:
            place = folder or place_in(settings.data).folder
            run(bound, place, key_of(settings.secret_key()), webhook_url, page_url)
        except (TakenError, OSError) as error:
            raise fail(f"{error} Choose another folder with --data.") from None


def hear(settings: Settings, bound: socket.socket) -> None:
    """Let the private sandbox tell a server that listens there; one that was given by its address is told by hand."""
    place = place_in(settings.data)
    if settings.sandbox_url and settings.sandbox_url == place.url():
        note(place.folder, f"{_url(bound)}/v1/payments/{Sandbox.name}/webhook")


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
