"""A websocket client for few connections that each do something of their own; `take` gets every message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from loadtests.bench.framing import BINARY, PING, PONG, TEXT, answered, frames, masked, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Take = Callable[["Wire", bytes], None]

CONNECTING_AT_ONCE = 64
OPEN_SECONDS = 20.0
CLOSE_SECONDS = 5.0
SWITCHING = 101


class WireError(Exception):
    """A connection was refused or has ended."""


class Wire(asyncio.Protocol):
    """One connection; `take` is called with every message's payload."""

    def __init__(self, address: str, subprotocol: str | None, take: Take, *, binary: bool) -> None:
        parts = urlsplit(address)
        self._request = upgrade(parts.netloc, parts.path, subprotocol)
        self._take = take
        self._opcode = BINARY if binary else TEXT
        self._rest = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take the handshake's answer, then frames."""
        data = self._rest + data if self._rest else data
        if not self.opened.done():
            answer = answered(data)
            if answer is None:
                self._rest = data
                return
            status, data = answer
            if status != SWITCHING:
                self.opened.set_exception(WireError(f"refused with {status}"))
                return
            self.opened.set_result(None)
        found, self._rest = frames(data)
        for opcode, payload in found:
            self._frame(opcode, payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Know that it is over."""
        self.closed.set_result(None)
        if not self.opened.done():
            self.opened.set_exception(WireError(f"closed before it was open: {error}"))

    def send(self, payload: bytes, opcode: int | None = None) -> None:
        """Send a message of less than 64 KiB."""
        self.transport.write(masked(payload, opcode or self._opcode))

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode in {TEXT, BINARY}:
            self._take(self, payload)
        elif opcode == PING:
            self.send(payload, PONG)


async def open_wires(
    address: str,
    hellos: Sequence[bytes | None],
    take: Take,
    subprotocol: str | None = None,
    *,
    binary: bool = True,
) -> list[Wire]:
    """Open a connection for each hello (None: says none) to a ws:// address.

    Raises WireError, OSError, TimeoutError.
    """
    parts, gate = urlsplit(address), asyncio.Semaphore(CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(hello: bytes | None) -> Wire:
        async with gate, asyncio.timeout(OPEN_SECONDS):
            _, wire = await loop.create_connection(
                lambda: Wire(address, subprotocol, take, binary=binary),
                parts.hostname or "",
                parts.port or 80,
            )
            await wire.opened
        if hello is not None:
            wire.send(hello)
        return wire

    return list(await asyncio.gather(*(one(hello) for hello in hellos)))


async def close_wires(wires: Sequence[Wire]) -> None:
    """End connections at once, and return when they are gone. Raises TimeoutError."""
    for wire in wires:
        wire.transport.abort()
    async with asyncio.timeout(CLOSE_SECONDS):
        for wire in wires:
            await wire.closed
