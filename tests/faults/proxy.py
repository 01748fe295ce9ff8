"""A relay between a server and its store that fails as networks do, and knows which connections subscribe."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from server.store.place import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_BYTES = 65_536
SUBSCRIBE = b"SSUBSCRIBE"
NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset
TURN_SECONDS = 0.01  # between two answers that go in another order than they came


class Link:
    """One relayed connection. A deaf one is half-open: its client sends, hears nothing, and sees no end."""

    def __init__(self, writer: asyncio.StreamWriter, store: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.store = store
        self.subscribes = False
        self.deaf = False
        self.ended = False
        self.losing = 0  # of the store's next writes
        self.asked = b""  # what its client sent last

    def abort(self) -> None:
        """End both connections at once, unsent bytes and all."""
        self.ended = True
        for end in (self.writer, self.store):
            end.transport.abort()


class Proxy:
    """Listens on a TCP port of its own at `url`; lives in the loop that entered it."""

    def __init__(self, target: str) -> None:
        self._target = socket_path(target)
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[Link] = set()
        self._answers = asyncio.Event()
        self._answers.set()
        self._held = b""  # a word of the commands whose answers are kept back
        self._severed: bytes | None = None  # a word of the commands behind whose backs connections end
        self._lag: asyncio.Semaphore | None = None
        self._reads = asyncio.Event()  # whether what the store says to those that subscribe is read
        self._reads.set()
        self._piece = READ_BYTES  # as many bytes are passed on at a time
        self._turns: list[asyncio.Event] | None = (
            None  # of the answers that wait for each other, in their order
        )
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def subscriptions(self) -> list[Link]:
        """The connections that have subscribed to something and can hear."""
        return [link for link in self._links if link.subscribes and not link.deaf and not link.ended]

    def cut(self) -> None:
        """End the connections that subscribe."""
        for link in self.subscriptions:
            link.abort()

    def cut_all(self) -> None:
        """End every connection."""
        for link in list(self._links):
            link.abort()

    def deafen(self) -> None:
        """Swallow from now on what the store says to those that subscribe; connections made later hear."""
        for link in self.subscriptions:
            link.deaf = True

    def lose(self) -> None:
        """Swallow the store's next write to each of those that subscribe: a message, unless they come in heaps."""
        for link in self.subscriptions:
            link.losing = 1

    @contextmanager
    def holding(self, word: bytes = b"") -> Iterator[None]:
        """Keep the answers to commands back until the block ends; what is asked goes through, and who listens hears.

        Of commands that hold this word, where one is given.
        """
        self._held = word
        self._answers.clear()
        try:
            yield
        finally:
            self._answers.set()

    @contextmanager
    def severing(self, word: bytes) -> Iterator[None]:
        """Until the block ends, end the connection instead of an answer to commands that hold this word."""
        self._severed = word
        try:
            yield
        finally:
            self._severed = None

    @contextmanager
    def lagging(self) -> Iterator[Callable[[], None]]:
        """Delay what the store tells those that subscribe until the block ends; the given call lets a write through."""
        self._lag = lag = asyncio.Semaphore(0)
        try:
            yield lag.release
        finally:
            self._lag = None
            for _ in self._links:
                lag.release()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Read nothing of what the store says to those that subscribe until the block ends: it piles up there."""
        self._reads.clear()
        try:
            yield
        finally:
            self._reads.set()

    @contextmanager
    def slicing(self, piece: int) -> Iterator[None]:
        """Pass everything on in pieces of so many bytes until the block ends."""
        self._piece = piece
        try:
            yield
        finally:
            self._piece = READ_BYTES

    @contextmanager
    def reversing(self) -> Iterator[Callable[[], int]]:
        """Keep answers back, those that subscribe apart, and let them go at the end, the last one first.

        The given call tells how many wait.
        """
        turns: list[asyncio.Event] = []
        self._turns = turns
        try:
            yield lambda: len(turns)
        finally:
            self._turns = None
            self._let_go(turns)

    def _let_go(self, turns: list[asyncio.Event]) -> None:
        """Let the last one go, and each of the others in a later turn of the loop than the one behind it."""
        if turns:
            turns.pop().set()
            asyncio.get_running_loop().call_later(TURN_SECONDS, self._let_go, turns)

    def reset(self) -> None:
        """End every connection with a reset, as a machine does that knows nothing of it any more."""
        for link in list(self._links):
            for end in (link.writer, link.store):
                raw = end.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            link.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        store_reader, store_writer = await asyncio.open_unix_connection(self._target)
        link = Link(writer, store_writer)
        self._links.add(link)
        back = asyncio.create_task(self._back(store_reader, link))
        try:
            with suppress(ConnectionError):
                await self._forth(reader, link)
        finally:
            back.cancel()
            link.abort()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _forth(self, reader: asyncio.StreamReader, link: Link) -> None:
        while request := await reader.read(READ_BYTES):
            link.subscribes = link.subscribes or SUBSCRIBE in request
            link.asked = request
            await self._passed(link.store, request)

    async def _back(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(ConnectionError):
            while answer := await self._heard(reader, link):
                await self._patience(link)
                if self._severed is not None and self._severed in link.asked:
                    break
                if link.losing:
                    link.losing -= 1
                elif not link.deaf:
                    await self._passed(link.writer, answer)
        if not link.deaf:
            link.abort()

    async def _heard(self, reader: asyncio.StreamReader, link: Link) -> bytes:
        if link.subscribes:
            await self._reads.wait()
        return await reader.read(READ_BYTES)

    async def _passed(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for start in range(0, len(data), self._piece):
            writer.write(data[start : start + self._piece])
            await writer.drain()
            if self._piece < len(data):
                await asyncio.sleep(0)

    async def _patience(self, link: Link) -> None:
        if not link.subscribes and self._held in link.asked:
            await self._answers.wait()
        elif link.subscribes and self._lag is not None:
            await self._lag.acquire()
        if not link.subscribes and self._turns is not None:
            turn = asyncio.Event()
            self._turns.append(turn)
            await turn.wait()
