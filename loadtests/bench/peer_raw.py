"""The limit for one write per message in Python: a finished frame to one socket after the other, one write(2) each."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import cast

import uvloop
from websockets.utils import accept_key

from loadtests.bench.framing import plain
from loadtests.bench.peer import following, told_to_leave

KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r ]+)", re.IGNORECASE)
BACKLOG = 2048


class Raw(asyncio.Protocol):
    """A connection that is answered once and then only written to, past its transport."""

    def __init__(self, everybody: set[int]) -> None:
        self._everybody = everybody
        self._request = b""
        self._transport: asyncio.Transport
        self._descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        """Answer the handshake."""
        self._request += data
        found = KEY.search(self._request)
        if self._request.endswith(b"\r\n\r\n") and found:
            accept = accept_key(found[1].decode())
            head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
            self._transport.write(f"{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            self._everybody.add(self._descriptor)
            self._request = b""

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the socket."""
        self._everybody.discard(self._descriptor)


async def main(port: int, redis_url: str, channel: str) -> None:
    """Serve until SIGTERM."""
    everybody: set[int] = set()

    def deliver(message: bytes) -> None:
        frame = plain(message)
        for descriptor in everybody:
            os.write(descriptor, frame)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Raw(everybody), "127.0.0.1", port, backlog=BACKLOG)
    async with server, following(redis_url, channel, deliver):
        await told_to_leave()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:]))
