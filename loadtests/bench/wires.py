"""A websocket client that costs its process next to nothing, so that the server is what is measured.

The handshake is websockets' own; frames after it are read and written by hand, for small unfragmented messages.
Client frames are masked with a mask of zeros: allowed on the wire, and the same work for the server.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    Take = Callable[["Wire", bytes], None]

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED, NO_MASK = 0x80, 0x80, b"\0\0\0\0"
SHORT, MEDIUM = 125, 126
CONNECTING_AT_ONCE = 64
OPEN_SECONDS = 20.0


class WireError(Exception):
    """A connection was refused or has ended."""


class Wire(asyncio.Protocol):
    """One connection; `take` is called with every message's payload."""

    def __init__(self, address: str, subprotocol: str | None, take: Take, *, binary: bool) -> None:
        offered = [Subprotocol(subprotocol)] if subprotocol else None
        self._handshake = ClientProtocol(parse_uri(address), subprotocols=offered)
        self._take = take
        self._opcode = BINARY if binary else TEXT
        self._rest = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = cast("asyncio.Transport", transport)
        self._handshake.send_request(self._handshake.connect())
        self.transport.write(b"".join(self._handshake.data_to_send()))

    def data_received(self, data: bytes) -> None:
        """Take the handshake's answer, then frames."""
        if self.opened.done():
            self._frames(self._rest + data if self._rest else data)
            return
        self._handshake.receive_data(data)
        for event in self._handshake.events_received():
            if not isinstance(event, Response):
                continue
            if self._handshake.handshake_exc is not None:
                self.opened.set_exception(WireError(f"refused with {event.status_code}"))
            else:
                self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Know that it is over."""
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(WireError(f"closed before it was open: {error}"))

    def send(self, payload: bytes, opcode: int | None = None) -> None:
        """Send a message of less than 64 KiB."""
        size = len(payload)
        head = (
            bytes((FINAL | (opcode or self._opcode), MASKED | size))
            if size <= SHORT
            else bytes((FINAL | (opcode or self._opcode), MASKED | MEDIUM)) + size.to_bytes(2, "big")
        )
        self.transport.write(head + NO_MASK + payload)

    def close(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _frames(self, data: bytes) -> None:
        at, end = 0, len(data)
        while end - at >= 2:  # noqa: PLR2004  the shortest frame's head, RFC 6455 section 5.2
            size, start = data[at + 1], at + 2
            if size > SHORT:
                width = 2 if size == MEDIUM else 8
                size = int.from_bytes(data[start : start + width], "big")
                start += width
            if start + size > end:
                break
            self._frame(data[at] & 0x0F, data[start : start + size])
            at = start + size
        self._rest = data[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode in {TEXT, BINARY}:
            self._take(self, payload)
        elif opcode == PING:
            self.send(payload, PONG)
        elif opcode == CLOSE:
            self.closed = True


async def open_wires(  # noqa: PLR0913  what a connection is made of
    address: str,
    count: int,
    take: Take,
    hello: Callable[[int], bytes] | None,
    subprotocol: str | None,
    *,
    binary: bool,
) -> list[Wire]:
    """Open `count` connections to a ws:// address, saying hello on each if there is one to say.

    Raises WireError, OSError, TimeoutError.
    """
    parts, gate = urlsplit(address), asyncio.Semaphore(CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> Wire:
        async with gate, asyncio.timeout(OPEN_SECONDS):
            _, wire = await loop.create_connection(
                lambda: Wire(address, subprotocol, take, binary=binary),
                parts.hostname or "",
                parts.port or 80,
            )
            await wire.opened
        if hello is not None:
            wire.send(hello(number))
        return wire

    return list(await asyncio.gather(*(one(number) for number in range(count))))
