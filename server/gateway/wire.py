"""uvicorn's `ws=` protocol, for the time of a handshake: the app decides, then the connection is handed over.

The usual upgrade request is answered here; anything else about it (RFC 6455 section 4.2, extensions, errors) is
decided by the `websockets` library. What happens from the hand-over on is a `Socket`'s, which takes this object's
place at the transport. Nothing stays behind: no task, no queue, no parser.
"""

from __future__ import annotations

import asyncio
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import structlog
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.utils import accept_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message
    from uvicorn import Config
    from uvicorn.server import ServerState
    from websockets.extensions.permessage_deflate import PerMessageDeflate

    from server.gateway.front import Front
    from server.gateway.socket import Socket

HAND_OVER = "livedrop.hand_over"  # in the ASGI scope's extensions: call it with what makes the successor
MAX_EARLY_BYTES = 65_536  # that a client may send before its handshake is answered: none sends more
VERSION = b"13"
KEY_BYTES = 16

log = structlog.get_logger(__name__)


class Wire(asyncio.Protocol):
    """One connection from its upgrade request to the app's decision. Goes with `Front` as uvicorn's `http=`."""

    deflate = False

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._config = config
        self._server = server_state
        self._app_state = app_state
        self._lost = asyncio.Event()
        self._connects = True  # the app has not been told yet
        self._agreed: list[tuple[bytes, bytes]] = []  # headers of the handshake's answer
        self._window = 0
        self._answered = False
        self._handed_over = False
        self._early = b""
        self._denial: Message = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self.transport = cast("asyncio.Transport", transport)  # uvicorn serves streams
        connections: set[Any] = self._server.connections
        connections.add(self)

    def take_request(self, front: Front) -> None:
        """Take the upgrade request that was parsed, and ask the app."""
        if not self._agree(front):
            return
        scope = _scope(self._config, front, self._app_state)
        scope["extensions"] = {"websocket.http.response": {}, HAND_OVER: self._hand_over}
        task = asyncio.get_running_loop().create_task(self._run(scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def data_received(self, data: bytes) -> None:
        """Keep what comes while the app decides: it is the successor's."""
        if len(self._early) + len(data) <= MAX_EARLY_BYTES:
            self._early += data
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name for what we need not know
        """Tell the app, if it still waits."""
        connections: set[Any] = self._server.connections
        connections.discard(self)
        self._lost.set()

    def shutdown(self) -> None:
        """Refuse, if there is no answer yet: uvicorn takes no more."""
        if not self._answered:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, [], b"This server is leaving.")
        self.transport.close()

    # The handshake.

    def _agree(self, front: Front) -> bool:
        """Find the answer to a good handshake; a bad one is refused here."""
        values = dict(front.headers)
        key = values.get(b"sec-websocket-key", b"")
        usual = len(values) == len(front.headers) and values.get(b"sec-websocket-version") == VERSION
        if usual and not self.deflate and _is_key(key):
            self._agreed = [(b"Sec-WebSocket-Accept", accept_key(key.decode()).encode())]
            return True
        return self._agree_by_library(front)

    def _agree_by_library(self, front: Front) -> bool:
        fields = Headers()
        for name, value in front.headers:
            fields[name.decode("latin-1")] = value.decode("latin-1")
        # Without context takeover (RFC 7692 section 7.1.1) a compressed frame is the same for every connection.
        deflate = ServerPerMessageDeflateFactory(
            server_no_context_takeover=True, client_no_context_takeover=True
        )
        library = ServerProtocol(extensions=[deflate] if self.deflate else None)
        response = library.accept(Request(front.url.decode("latin-1"), fields))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._answered = True
            self.transport.write(response.serialize())
            self.transport.close()
            return False
        for agreed in library.extensions:
            self._window = cast("PerMessageDeflate", agreed).local_max_window_bits
        for header in ("Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"):
            if header in response.headers:
                self._agreed.append((header.encode(), response.headers[header].encode()))
        return True

    def _hand_over(self, make: Callable[[int], Socket]) -> bool:
        """Let what `make` returns take this connection over, now. False where the connection has gone meanwhile.

        `make` is told the window, in bits, that our compressed messages may use; 0 where none was agreed.
        """
        if self._lost.is_set() or self.transport.is_closing():
            return False
        self._handed_over = True
        connections: set[Any] = self._server.connections
        connections.discard(self)
        successor = make(self._window)
        successor.take_over(self.transport, connections)
        if self._early:  # now: uvloop reads between turns, and what came later would be first
            successor.data_received(self._early)
        return True

    # The app's side: ASGI 3.0 with the websocket denial response.

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(scope, self._receive, self._send)
        except Exception:
            log.exception("handshake.failed")
            if self._handed_over:
                self.transport.abort()  # as a loop ends a connection whose protocol fails
        if not self._handed_over:
            if not self._answered:
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, [], b"Internal Server Error")
            self.transport.close()

    async def _receive(self) -> Message:
        if self._connects:
            self._connects = False
            return {"type": "websocket.connect"}
        await self._lost.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.http.response.start":
            self._denial = message
        elif kind == "websocket.http.response.body":
            self._answer(self._denial["status"], self._denial["headers"], message.get("body", b""))
        elif kind == "websocket.close":  # before the hand-over there is nothing to close but the handshake
            self._answer(HTTPStatus.FORBIDDEN, [], b"")

    def _accept(self, message: Message) -> None:
        headers = [*self._server.default_headers, *message.get("headers", ()), *self._agreed]
        if message.get("subprotocol"):
            headers.append((b"Sec-WebSocket-Protocol", message["subprotocol"].encode()))
        upgrade = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
        self._write(HTTPStatus.SWITCHING_PROTOCOLS, [*upgrade, *headers], b"")

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        ending = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        self._write(status, [*self._server.default_headers, *headers, *ending], body)

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._answered = True
        if self.transport.is_closing():
            return
        line = f"HTTP/1.1 {status:d} {HTTPStatus(status).phrase}\r\n".encode()
        self.transport.write(b"".join([line, *(b"%b: %b\r\n" % header for header in headers), b"\r\n", body]))


class DeflatingWire(Wire):
    """A handshake that agrees to compression without context takeover where the client offers it."""

    deflate = True


def _is_key(key: bytes) -> bool:
    """Whether this is base64 of 16 bytes, RFC 6455 section 4.1."""
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == KEY_BYTES
    except binascii.Error:
        return False


def _scope(config: Config, front: Front, app_state: dict[str, Any]) -> dict[str, Any]:
    """Return the ASGI scope of a websocket handshake."""
    raw_path, _, query = front.url.partition(b"?")
    offered = [value for name, value in front.headers if name == b"sec-websocket-protocol"]
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if front.scheme == "https" else "ws",
        "server": front.server,
        "client": front.client,
        "root_path": config.root_path,
        "path": config.root_path + unquote(raw_path.decode("ascii")),
        "raw_path": config.root_path.encode() + raw_path,
        "query_string": query,
        "headers": front.headers,
        "subprotocols": [name.strip() for value in offered for name in value.decode("latin-1").split(",")],
        "state": app_state.copy(),
    }
