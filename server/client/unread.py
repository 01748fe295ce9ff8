"""Messages between the connection and a program that reads them at its own pace."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.protocol.events import Message

MOST = 10_000
# Of these only the newest counts: it takes the place of an unread one, by the fields that say what it is about.
NEWEST_COUNTS: dict[str, tuple[str, ...]] = {
    "stock.updated": ("drop_id",),
    "viewers.updated": (),
    "reactions": (),
    "challenge": (),
    "waiting": (),
}


class Unread:
    """An async iterator of messages. Several readers share them; a cancelled read loses none.

    At most `most` wait. When there are more, all are dropped, for a part of them would be a gap; nothing is kept
    until somebody reads again, and then `start_over` is called for a fresh snapshot. So a program that does not
    read costs no more than that, and one that is too slow sees a new start instead of a hole.
    """

    def __init__(self, most: int, start_over: Callable[[], None]) -> None:
        self._most = most
        self._start_over = start_over
        self._messages: dict[tuple[object, ...], Message] = {}
        self._numbers = itertools.count()
        self._some = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._lapsed = False  # all were dropped
        self._asked = False  # for a snapshot

    def put(self, message: Message) -> None:
        """Let a message wait for its reader."""
        if self._lapsed:
            if message["type"] != "welcome" or message["recovered"]:
                return
            self._lapsed = self._asked = False
        name = self._name(message)
        self._messages.pop(name, None)
        self._messages[name] = message
        if len(self._messages) > self._most:
            self._messages.clear()
            self._lapsed = True
        self._some.set()

    def end(self, error: BaseException | None) -> None:
        """Let readers have what is left, and after it the end of the iteration, or the error."""
        self._ended, self._error = True, error
        self._some.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._ended:
                raise self._error or StopAsyncIteration
            if self._lapsed and not self._asked:
                self._asked = True
                self._start_over()
            self._some.clear()
            await self._some.wait()
        return self._messages.pop(next(iter(self._messages)))

    def _name(self, message: Message) -> tuple[object, ...]:
        about = NEWEST_COUNTS.get(message["type"])
        if about is None:
            return (next(self._numbers),)
        return (message["type"], *(message[field] for field in about))
