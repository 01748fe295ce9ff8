"""What a viewer says, on its way to the server: in order, and no faster than the server lets anybody speak."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from server.clock import monotonic
from server.protocol.session import RateLimit

if TYPE_CHECKING:
    from server.protocol.events import Message

# Below what the server takes by default, 20 in a second and 60 at once, so that pings and tokens find room.
RATE, BURST = 15.0, 40
MOST_UNIMPORTANT = 64  # in line; beyond, what nobody waits for is dropped


class Outbox:
    """A line of messages. Closed while there is no connection: what is put in then is left to `Operations.repeat`.

    Its length is bounded by what is put in: one per operation, and of what nobody waits for `MOST_UNIMPORTANT`.
    """

    def __init__(self) -> None:
        self._line: deque[Message] = deque()
        self._some = asyncio.Event()
        self._pace = RateLimit(RATE, BURST)
        self._not_before = 0.0
        self._open = False

    def open(self) -> None:
        """Begin anew, on a fresh connection."""
        self._open = True
        self._pace = RateLimit(RATE, BURST)

    def close(self) -> None:
        """Forget what is in line: the connection has ended."""
        self._open = False
        self._line.clear()

    def put(self, message: Message) -> None:
        """Let a message leave when its turn comes."""
        if self._open:
            self._line.append(message)
            self._some.set()

    def drop(self, message: Message) -> None:
        """Take a message out again, if it has not left yet."""
        with suppress(ValueError):
            self._line.remove(message)

    def offer(self, message: Message) -> bool:
        """Put a message in that may as well be lost; whether it was taken."""
        taken = self._open and len(self._line) < MOST_UNIMPORTANT
        if taken:
            self.put(message)
        return taken

    def slow_down(self, seconds: float) -> None:
        """Say nothing for a while, and after that nothing in bursts: the server has asked for it."""
        self._not_before = max(self._not_before, monotonic() + seconds)
        self._pace = RateLimit(RATE, 1)

    async def next(self) -> Message:
        """Wait for the next message and take it out."""
        while True:
            while not self._line:
                self._some.clear()
                await self._some.wait()
            wait = self._wait(monotonic())
            if wait <= 0:
                return self._line.popleft()
            await asyncio.sleep(wait)

    def _wait(self, now: float) -> float:
        return self._not_before - now if self._not_before > now else self._pace.wait(now)
