"""A cable between a browser and the server: it can lose answers, be cut in the middle of a conversation, and mended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

CHUNK = 65_536


class Cable:
    """Listens on a free port at `url` and carries everything to the server's port and back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = True
        self._mute = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_answers(self) -> None:
        """From now on the server hears the browser, but not the other way round."""
        self._mute = True

    def cut(self) -> None:
        """Break every connection at once, without a goodbye, and refuse new ones."""
        self._whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        """Carry new connections again, both ways."""
        self._whole = True
        self._mute = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError):
                await self._carry(reader, writer)
        finally:
            writer.transport.abort()  # also where the server was away and nothing could be carried
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer, back=True))
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        """Carry one direction until its end, and end the other side as well."""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if not (back and self._mute):
                    writer.write(data)
                    await writer.drain()
        writer.close()
