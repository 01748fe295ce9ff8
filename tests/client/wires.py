"""Wires without a network: a server's side that a test plays."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from server.client import ClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.client.wire import Wire
    from server.protocol.codec import Codec

Message = dict[str, Any]
URL = "http://nowhere"


class FakeWire:
    """A connection whose far end is `play`: called with this wire and each message that the client sends."""

    def __init__(self, play: Callable[[FakeWire, Message], None]) -> None:
        self._play = play
        self._coming: asyncio.Queue[Message | ClosedError] = asyncio.Queue()
        self.aborted = False

    def say(self, *messages: Message) -> None:
        """Let the client hear these."""
        for message in messages:
            self._coming.put_nowait(message)

    def close(self, code: int, reason: str = "") -> None:
        """Let the client hear the end, after all that was said."""
        self._coming.put_nowait(ClosedError(code, reason))

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        if message["type"] == "ping":
            self.say({"type": "pong", "server_time_at": 0, "id": message["id"]})
        else:
            self._play(self, message)

    async def receive(self) -> Message:
        got = await self._coming.get()
        if isinstance(got, ClosedError):
            self._coming.put_nowait(got)
            raise got
        return got

    def abort(self) -> None:
        self.aborted = True
        self.close(1006)


class Exchange:
    """Gives each connection its far end: what `play` does. Remembers the hellos."""

    def __init__(self, play: Callable[[FakeWire, Message], None]) -> None:
        self._play = play
        self.hellos: list[Message] = []
        self.wires: list[FakeWire] = []

    @asynccontextmanager
    async def dial(self, _url: str, _show: str, _codec: Codec) -> AsyncIterator[Wire]:
        """Connect."""
        await asyncio.sleep(0)
        wire = FakeWire(self._heard)
        self.wires.append(wire)
        try:
            yield wire
        finally:
            await asyncio.sleep(0)

    def _heard(self, wire: FakeWire, message: Message) -> None:
        if message["type"] == "hello":
            self.hellos.append(message)
        self._play(wire, message)


def welcome(offset: int, *, epoch: str = "e", recovered: bool = False, **more: Any) -> Message:
    """Return a welcome."""
    started: Message = {} if recovered else {"snapshot": {}}
    known = {"type": "welcome", "epoch": epoch, "offset": offset, "server_time_at": 0, "recovered": recovered}
    return {**known, **started, **more}


def event(offset: int) -> Message:
    """Return an event of the log."""
    return {"type": "show.resumed", "offset": offset, "at": 0}


def friendly(wire: FakeWire, message: Message) -> None:
    """Be a server that welcomes everybody at 0 and answers nothing else."""
    if message["type"] == "hello":
        wire.say(welcome(0))
