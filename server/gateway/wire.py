"""uvicorn's websocket protocol with an end for peers that do not read.

uvicorn answers pings and closes politely, which needs a peer that reads: one that only writes grows the buffer of
unsent pongs, and one that has stopped keeps its socket for as long as the kernel tries. Here both are cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.errors import CLOSE_NO_PONG

if TYPE_CHECKING:
    from starlette.websockets import WebSocket
    from websockets.http11 import Request

ABORT = "livedrop.abort"  # in the ASGI scope's extensions: end the connection at once


class Wire(WebSocketsSansIOProtocol):
    """One connection's protocol; the app ends a stuck one through `abort`."""

    def handle_connect(self, event: Request) -> None:
        """Hand the handshake to the app, with the way to end the connection beside it."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # absent where the handshake itself was refused
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort

    def handle_ping(self) -> None:
        """Answer a ping, unless its sender does not take the answers."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """End a connection whose pong did not come: with a close frame if that can leave, else at once."""
        if self.close_sent or not self.writable.is_set():
            self.transport.abort()
            return
        self.pong_timer = None
        self.conn.fail(CLOSE_NO_PONG, "no pong")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()


def abort(websocket: WebSocket) -> None:
    """End a websocket's connection at once, unsent bytes and all."""
    end = websocket.scope["extensions"].get(ABORT)
    if end is not None:
        end()
