"""What one simulated person does at the same time: things that were begun, and waits for what messages bring."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from loadtests.audience.asking import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from loadtests.audience.venue import Venue


class Doing:
    """Somebody at the venue. All of it runs in the one thread of the loop."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._waits: list[tuple[Callable[[], bool], asyncio.Future[bool]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something beside everything else, until it is done or the person ends."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    @property
    def busy(self) -> bool:
        """Whether something that was begun is not done yet."""
        return bool(self._tasks)

    def stop(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()

    async def wait(self, predicate: Callable[[], bool], until: float) -> bool:
        """Wait until messages have made the predicate true, if only for a moment; False at the monotonic `until`."""
        left = until - time.monotonic()
        if predicate() or left <= 0:
            return predicate()
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[bool] = loop.create_future()
        handle = loop.call_later(left, _end, reached, False)
        entry = (predicate, reached)
        self._waits.append(entry)
        try:
            return await reached
        finally:
            handle.cancel()
            self._waits.remove(entry)

    def heard(self) -> None:
        """Let those who wait look again: a message has changed something."""
        for predicate, reached in self._waits:
            if not reached.done() and predicate():
                reached.set_result(True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, NoAnswerError):
            self.venue.measures.failed("no answer", generic(str(error)))
        elif error is not None:
            self.venue.measures.failed("journey", repr(error))


def generic(sentence: str) -> str:
    """Return a sentence without its numbers and ids, so that equal breaches count as one kind."""
    return " ".join("…" if any(sign.isdigit() for sign in word) else word for word in sentence.split())


def _end(future: asyncio.Future[bool], result: bool) -> None:  # noqa: FBT001  a callback's arguments have no names
    if not future.done():
        future.set_result(result)
