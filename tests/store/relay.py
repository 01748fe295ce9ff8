"""A relay on a TCP port of its own: in front of a server that may be another one later, or be cut off, or speak TLS."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from server.store.place import socket_path

if TYPE_CHECKING:
    import ssl

HOST = "127.0.0.1"
READ_BYTES = 65_536


class Relay:
    """Passes bytes on to `target`, a port of loopback or a unix:// URL; lives in the loop that entered it."""

    def __init__(self, target: int | str, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._cut = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.taken = 0  # connections

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._cut = True
        self._abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections, and those that are made from now on."""
        self._cut = True
        self._abort()

    def heal(self) -> None:
        """Let connections that are made from now on through again."""
        self._cut = False

    def lead(self, target: int | str) -> None:
        """Lead elsewhere from now on; what led to where it led before ends."""
        self._target = target
        self._abort()

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.taken += 1
        try:
            if not self._cut:
                with suppress(OSError):
                    await self._pass_on(reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, int):
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        else:
            far_reader, far_writer = await asyncio.open_unix_connection(socket_path(self._target))
        self._writers.add(far_writer)
        back = asyncio.create_task(_pump(far_reader, writer))
        try:
            await _pump(reader, far_writer)
        finally:
            back.cancel()
            far_writer.transport.abort()
            self._writers.discard(far_writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are none, and end the other side with it."""
    with suppress(OSError):
        while read := await reader.read(READ_BYTES):
            writer.write(read)
            await writer.drain()
    writer.transport.abort()
