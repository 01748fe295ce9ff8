"""A relay in front of a server that can lose answers: every request passes, but not all that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Literal, Self

from server.store.place import socket_path

Mode = Literal["pass", "cut", "swallow"]


class Proxy:
    """Listens on a unix socket of its own at `url`. `mode` may be changed at any time.

    "cut" closes the client's connection when the server's next answer arrives, and passes what comes after;
    "swallow" keeps it open and says nothing. Either way the server has carried out what was sent.
    """

    def __init__(self, target: str) -> None:
        self._target = socket_path(target)
        self._folder = Path(tempfile.mkdtemp(prefix="proxy-"))
        self._tasks: set[asyncio.Task[None]] = set()
        self.mode: Mode = "pass"
        self.url = f"unix://{self._folder}/s?db=0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._folder / "s")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._folder)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        forth = asyncio.create_task(self._forth(reader, far_writer))
        try:
            await self._back(far_reader, writer)
        finally:
            forth.cancel()
            for closing in (writer, far_writer):
                closing.close()
                with contextlib.suppress(ConnectionError):
                    await closing.wait_closed()
            self._tasks.discard(task)

    async def _forth(self, reader: asyncio.StreamReader, far_writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(65_536):
            far_writer.write(request)
        far_writer.close()

    async def _back(self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await far_reader.read(65_536):
            if self.mode == "cut":
                self.mode = "pass"
                return
            if self.mode == "pass":
                writer.write(answer)
