"""The crowd's loop, in a thread of the operating system beside whatever runs in this process.

Between the two threads only three things go over: calls into the loop (`do`), plain attributes that are read, and
the measures' news. Locust patches Python's threads to be greenlets of its own; so who starts the thread says how.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

import uvloop

from loadtests.audience.crowd import Crowd, begin_of
from loadtests.audience.measures import handed_over
from loadtests.audience.venue import Venue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from loadtests.audience.measures import News
    from loadtests.plan import Plan

    Start = Callable[[Callable[[], None], tuple[()]], Any]


class CrowdThread:
    """A crowd in a thread of its own; all methods are for the other threads, and none of them waits.

    `start` starts a real thread: called with a function and its (no) arguments.
    """

    def __init__(self, url: str, show: str, plan: Plan, host_token: str, folder: Path) -> None:
        self.idle = False  # nobody has anything left to do
        self.ended = False  # the files are written, the thread is about to end
        self.error = ""  # the traceback of what has ended it instead
        self._place = (url, show, plan, host_token)
        self._folder = folder
        self._loop = uvloop.new_event_loop()
        self._crowd: Crowd | None = None
        self._closing = asyncio.Event()
        self._early: list[Callable[[Crowd], None]] = []

    def start(self, start: Start) -> None:
        """Start the thread."""
        start(self._run, ())

    def enlist(self, numbers: Iterable[int], kind: str = "") -> None:
        """Let viewers live; see `Crowd.enlist`."""
        self._do(lambda crowd: crowd.enlist(numbers, kind))

    def host(self) -> None:
        """Let the host sell what the plan has."""
        self._do(Crowd.host)

    def finish(self) -> None:
        """End everybody and leave the files; `ended` tells when that is done. Harmless when repeated."""
        self._do(lambda _crowd: self._closing.set())

    def news(self) -> list[News]:
        """Return what has been measured since the last time."""
        crowd = self._crowd
        return list(handed_over(crowd.venue.measures)) if crowd is not None else []

    def _do(self, act: Callable[[Crowd], None]) -> None:
        if not self.ended:
            self._loop.call_soon_threadsafe(self._act, act)

    def _act(self, act: Callable[[Crowd], None]) -> None:
        """Do something with the crowd, or as soon as there is one."""
        if self._crowd is None:
            self._early.append(act)
        else:
            act(self._crowd)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except BaseException:  # noqa: BLE001  whatever it is, the other thread has to know
            self.error = traceback.format_exc()
        finally:
            self.idle = self.ended = True
            self._loop.close()

    async def _live(self) -> None:
        url, show, plan, host_token = self._place
        crowd = Crowd(Venue(url, show, plan, host_token, begin_of(self._folder)), self._folder)
        crowd.open()
        self._crowd = crowd
        for act in self._early:
            act(crowd)
        while not await self._told_to_close():
            self.idle = crowd.idle
        await crowd.close()

    async def _told_to_close(self) -> bool:
        """Wait a moment for it."""
        try:
            async with asyncio.timeout(0.2):
                return await self._closing.wait()
        except TimeoutError:
            return False
