"""The audience as its parent sees it: the same words, awaited, over a pipe to a process of its own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loadtests.stagehand import ROOT, clean_environment, end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadtests.multitude.figures import Census, Deliveries
    from loadtests.multitude.witness import Book

ANSWER_SECONDS = 60.0


class CompanyError(Exception):
    """The audience's process does not answer."""


class Company:
    """Viewers elsewhere; see `Audience` for what its methods promise. Groups are numbers of viewers."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self.pid = pid
        self._connection = connection
        self._turn = asyncio.Lock()

    async def enlist(self, tokens: Sequence[str], *, narrow: bool = False) -> None:
        """Add a viewer for each token."""
        await self._ask("enlist", tokens, narrow=narrow)

    async def arrive(self, group: Sequence[int], seconds: float) -> None:
        """Connect those who are away, evenly over so long."""
        await self._ask("arrive", group, seconds)

    async def vanish(self, group: Sequence[int]) -> None:
        """Cut a group off."""
        await self._ask("vanish", group)

    async def stall(self, group: Sequence[int]) -> None:
        """Let a group stop reading."""
        await self._ask("stall", group)

    async def resume(self, group: Sequence[int]) -> None:
        """Let a group read on."""
        await self._ask("resume", group)

    async def mislead(self, group: Sequence[int], events: int) -> None:
        """Let a group believe to be so many events further than they are."""
        await self._ask("mislead", group, events)

    async def keep_time(self, group: Sequence[int]) -> None:
        """Keep the moments of events for this group alone."""
        await self._ask("keep_time", group)

    async def census(self, group: Sequence[int]) -> Census:
        """Return how a group stands."""
        census: Census = await self._ask("census", group)
        return census

    async def delivered(self, offset: int) -> int:
        """Return how many of the timed group have an event."""
        count: int = await self._ask("delivered", offset)
        return count

    async def deliveries(self, asked: Mapping[int, int]) -> Deliveries:
        """Return how long events took to the timed group."""
        deliveries: Deliveries = await self._ask("deliveries", dict(asked))
        return deliveries

    async def book(self) -> Book:
        """Return what all have found together."""
        book: Book = await self._ask("book")
        return book

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        async with self._turn:
            return await asyncio.to_thread(self._answer, name, (name, arguments, named))

    def _answer(self, name: str, request: tuple[Any, ...]) -> Any:
        try:
            self._connection.send(request)
            if self._connection.poll(ANSWER_SECONDS):
                return self._connection.recv()
        except (EOFError, OSError):
            raise CompanyError(f"The audience's process has ended before it answered {name}.") from None
        raise CompanyError(f"The audience did not answer {name} within {ANSWER_SECONDS:.0f} s.")


@contextmanager
def company(url: str, show: str) -> Iterator[Company]:
    """Give an audience of a show of the server at `url`, still without viewers; its process ends with the block."""
    place = urlsplit(url)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = str(theirs.fileno())
        command = [sys.executable, "-m", "loadtests.multitude.attend", number]
        process = subprocess.Popen(
            [*command, place.hostname or "", str(place.port), show],
            pass_fds=(theirs.fileno(),),
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            with Connection(ours.detach()) as connection:
                yield Company(connection, process.pid)
        finally:
            end(process)
