"""A server that sends every message back, made of the live door's own parts: head, handshake, frames, socket.

Only what a message means is different. `python -m tests.conformance.echo` prints its port and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from server.cli.running import bind, config, leaving_quietly
from server.gateway.frames import BINARY, COMPRESSED, DEFLATE_LEVEL, DEFLATE_TAIL, TEXT, Format, frame
from server.gateway.socket import Socket
from server.gateway.timers import Timers
from server.gateway.wire import HAND_OVER
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

MESSAGE_BYTES = 1 << 24  # the largest message of any case is of 16 MiB


class Echo(Socket):
    """A connection that hears what it says."""

    __slots__ = ("window",)

    window: int

    def message(self, data: bytes, *, binary: bool) -> None:
        """Send a message back, compressed where that was agreed: kosoku stumbles over answers that are not."""
        first = BINARY if binary else TEXT
        if self.window:
            self.write(frame(first | COMPRESSED, compressed(data, self.window)))
        else:
            self.write(frame(first, data))


def compressed(data: bytes, window: int) -> bytes:
    """Return what the door makes of a message, where the door leaves small ones and small windows as they are."""
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -window)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(DEFLATE_TAIL)


class Door:
    """The way in: everybody may come, at any path."""

    def __init__(self) -> None:
        self.timers = Timers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept one handshake and hand the connection over."""
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"][HAND_OVER](self.echo)

    def echo(self, window: int) -> Echo:
        """Return what takes a connection over."""
        made = Echo(
            self.timers,
            Format.MSGPACK,
            inflate=window > 0,
            message_bytes=MESSAGE_BYTES,
            high_mark=4 * MESSAGE_BYTES,
        )
        made.window = window
        return made

    @asynccontextmanager
    async def open(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the time while the server runs."""
        keeping = asyncio.create_task(self.timers.run())
        yield
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


def main() -> None:
    """Serve on a free port, with compression for those who offer it."""
    settings = Settings(port=0, deflate=True, message_bytes=MESSAGE_BYTES, drain_seconds=1)
    door = Door()
    app = Starlette(routes=[WebSocketRoute("/", door)], lifespan=door.open)
    bound = bind(settings)
    sys.stdout.write(f"{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    with leaving_quietly():
        uvicorn.Server(config(settings, app)).run(sockets=[bound])


if __name__ == "__main__":
    main()
