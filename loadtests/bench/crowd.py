"""Thousands of idle viewers in a process of their own: opened, counted, dropped from here."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from loadtests.bench.ground import BenchError
from loadtests.stagehand import ROOT, clean_environment, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_SECONDS = 20.0
ANSWER_SECONDS = 180.0
QUIET_SECONDS = 0.7  # without a message for so long: nothing is on its way any more

_numbers = itertools.count(1)


class Crowd:
    """The process; one command at a time. Every call raises BenchError where it is not done in time."""

    def __init__(self, control: Connection, log: Path) -> None:
        self._control = control
        self._log = log

    async def open(
        self,
        address: str,
        hellos: Sequence[bytes | None],
        *,
        mark: bytes = b"\0\0\0",
        subprotocol: str | None = None,
        since: int | None = None,
    ) -> Group:
        """Open a connection for each hello (None: says none) to a ws:// address, and wait until all are welcome.

        `mark` is what a message holds that counts as seen. With `since` all come back with that offset, and every
        event after it is checked.
        """
        number, seconds = await self.ask(
            "open", address=address, hellos=hellos, mark=mark, subprotocol=subprotocol, since=since
        )
        return Group(self, number, len(hellos), seconds)

    async def ask(self, name: str, **words: Any) -> Any:
        """Give a command and return its answer."""
        self._control.send((name, words))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._readable()
            done, answer = self._control.recv()
        except TimeoutError:
            raise BenchError(f"The viewers did not finish '{name}' within {ANSWER_SECONDS:.0f} s.") from None
        except EOFError:
            raise BenchError(f"The viewers' process ended:\n{self._log.read_text()}") from None
        if not done:
            raise BenchError(answer)
        return answer

    async def _readable(self) -> None:
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._control.fileno(), answered.set)
        try:
            await answered.wait()
        finally:
            loop.remove_reader(self._control.fileno())
            os.set_blocking(self._control.fileno(), True)  # uvloop has made it what a Connection cannot use


@dataclass(slots=True)
class Group:
    """Viewers of a crowd at one address: how many, and how long they took to come."""

    crowd: Crowd
    number: int
    count: int
    seconds: float
    wanted: int = 0  # marks, over all viewers, that they should have seen by now

    async def told(self, events: int = 1) -> float:
        """Wait until everybody has seen so many marks more; return the moment of the last, time.monotonic()."""
        self.wanted += events * self.count
        moment: float = await self.crowd.ask("reached", group=self.number, seen=self.wanted)
        return moment

    async def counters(self) -> dict[str, int]:
        """Return what they received so far, see `crowd_process.Group`."""
        counted: dict[str, int] = await self.crowd.ask("counters", group=self.number)
        return counted

    async def caught_up(self, offset: int) -> dict[str, int]:
        """Wait until everybody has the event at an offset; return the counters."""
        counted: dict[str, int] = await self.crowd.ask("caught_up", group=self.number, offset=offset)
        return counted

    async def pump(self, payload: bytes, mark: bytes, seconds: float) -> tuple[int, float]:
        """Let each send a message and the next with each answer (it holds `mark`); return (answers, seconds).

        After that the group is good for nothing else.
        """
        answers, took = await self.crowd.ask(
            "pump", group=self.number, payload=payload, mark=mark, seconds=seconds
        )
        return answers, took

    async def drop(self) -> None:
        """Drop all their connections, without a word."""
        await self.crowd.ask("drop", group=self.number)


async def quiet(*groups: Group) -> None:
    """Wait until nothing comes to any of them any more. Raises TimeoutError where that does not happen."""
    known, count = -1, 0
    async with asyncio.timeout(ANSWER_SECONDS):
        while known != count:
            known = count
            await asyncio.sleep(QUIET_SECONDS)
            count = sum([(await group.counters())["messages"] for group in groups])


@contextmanager
def crowd(folder: Path) -> Iterator[Crowd]:
    """Start a crowd, and end it after the block; its control socket and its log are in `folder`."""
    number = next(_numbers)
    log = folder / f"crowd-{number}.log"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / f"crowd-{number}"))
        listener.listen(1)
        listener.settimeout(START_SECONDS)
        command = [sys.executable, "-m", "loadtests.bench.crowd_process", str(folder / f"crowd-{number}")]
        with running(command, clean_environment(), ROOT, log):
            try:
                accepted, _ = listener.accept()
            except TimeoutError:
                raise BenchError(f"The crowd does not start:\n{log.read_text()}") from None
            accepted.setblocking(True)
            with Connection(accepted.detach()) as control:
                yield Crowd(control, log)
