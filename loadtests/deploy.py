"""A deploy in the middle of a run: every process of a server of our own is told to leave, one after the other.

That is what a release is for who runs `livedrop serve --workers N` behind its one port: a process that is told to leave
tells its viewers when to come back and ends, and the parent, which keeps the socket, starts another one in its place,
from the program on the disk. In between the others answer, so nobody is refused. The next one leaves only when the one
before is replaced: its successor takes connections itself.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from loadtests import family
from loadtests.stagehand import StageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.stagehand import Stage

REPLACED_SECONDS = 45.0  # for one process: the drain of its viewers, the pause and the start of the next
POLL_SECONDS = 0.1
AT_LEAST = 2  # processes: with one there would be nobody while it is replaced


def workers(stage: Stage) -> list[int]:
    """Return the processes that take connections at the stage's server."""
    return [pid for pid in family.descendants(stage.pid) if family.accepts(pid, stage.port)]


def refuse_unless_replaceable(stage: Stage) -> None:
    """Raise StageError where a deploy cannot be played."""
    if not stage.pid:
        raise StageError("A deploy replaces the processes of a server of its own: leave --host away.")
    if len(workers(stage)) < AT_LEAST:
        raise StageError("A deploy needs a server in at least two processes: --workers 2.")


class Deploys(threading.Thread):
    """Carries out deploys at their moments until told to end; `error` is what went wrong."""

    def __init__(self, stage: Stage, moments: list[float], say: Callable[[str], None]) -> None:
        super().__init__(name="deploys", daemon=True)
        self.error: StageError | None = None
        self.replaced = 0
        self._stage = stage
        self._moments = moments  # seconds of the monotonic clock
        self._say = say
        self._ended = threading.Event()

    def end(self) -> None:
        """Begin nothing more, and return when what is under way has stopped."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Wait for each moment and replace every process."""
        try:
            for moment in self._moments:
                if self._ended.wait(max(0.0, moment - time.monotonic())):
                    return
                for pid in workers(self._stage):
                    self._replace(pid)
        except StageError as error:
            self.error = error

    def _replace(self, pid: int) -> None:
        others = set(workers(self._stage)) - {pid}
        self._say(f"Process {pid} of the server is told to leave.")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + REPLACED_SECONDS
        while not set(workers(self._stage)) - others - {pid}:
            if time.monotonic() > deadline:
                raise StageError(f"Nobody took the place of process {pid} within {REPLACED_SECONDS:.0f} s.")
            if self._ended.wait(POLL_SECONDS):
                raise StageError(f"The run ended before process {pid} was replaced: give it more --seconds.")
        self.replaced += 1
