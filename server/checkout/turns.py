"""Turns at the store: how many checkouts of this process use it at the same moment, and who goes first.

A checkout is about eight scripts. Hundreds of checkouts at once would each want a connection for each of them, and
with the pool would exhaust everybody's: taps, sweeps and hosts stand in no line, so they must always find one. So a
checkout takes a turn for every script and gives it back with the answer. None is held while a provider or the ledger
is thinking: meanwhile others check out.

Who has begun goes before who has not, and within both whoever came first: what has begun keeps units and reserved
money, and only its end makes room. Whoever would begin is refused beyond `waiting` of them, who has begun is not; both
are sent away where the store is silent, so that nobody waits longer than for the store itself: a worker goes on then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from server.clock import monotonic
from server.errors import Problem, unavailable
from server.store.answers import ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from server.store.answers import Answer
    from server.store.scripts import Scripts

# A quarter of the pool, so that three quarters are everybody else's. Even where the store is a millisecond away these
# are 16,000 scripts a second: twenty times what a process asks for, which does about a hundred checkouts in a second.
AT_ONCE = 16
# At that pace the last of them waits for 20 s: less than those do who ask (30 s is usual), and better than a refusal
# for who does not ask again.
MOST_WAITING = 2_000
RETRY_MS = 5_000  # by then a quarter of them have begun
SILENCE_SECONDS = 2.5  # without an answer to anybody: shorter than the wait for one, and for a connection


class Turns:
    """The turns of one process: `async with turns.first: …` for whoever begins, `turns.next: …` for who has begun.

    `first` raises the `unavailable` Problem where too many wait; nothing was done then.
    """

    __slots__ = ("_at_once", "_free", "_heard_at", "first", "next")

    def __init__(self, at_once: int = AT_ONCE, waiting: int = MOST_WAITING) -> None:
        self._at_once = at_once
        self._free = at_once
        self._heard_at = (
            0.0  # when the store last answered in a turn, or the first turn was taken after a pause
        )
        self.next = Line(self)
        self.first = Line(self, waiting)

    @property
    def free(self) -> int:
        """How many turns nobody has."""
        return self._free

    def take(self) -> bool:
        """Take a free turn; say whether there was one. Where one is free, nobody waits."""
        if not self._free:
            return False
        if self._free == self._at_once:
            self._heard_at = monotonic()
        self._free -= 1
        return True

    def end(self, error: BaseException | None = None) -> None:
        """End a turn. Where it failed and nobody was answered for a while, all who wait are sent away."""
        if error is None:
            self._heard_at = monotonic()
        elif isinstance(error, Problem) and monotonic() - self._heard_at >= SILENCE_SECONDS:
            self.next.dismiss()
            self.first.dismiss()
        self.pass_on()

    def pass_on(self) -> None:
        """Pass a turn on to who has waited longest among those who go first, or keep it for who comes."""
        if not (self.next.call() or self.first.call()):
            self._free += 1


class Line:
    """Those who wait for a turn, in the order in which they came; `most` of them where that is bounded."""

    __slots__ = ("_most", "_turns", "_waiting")

    def __init__(self, turns: Turns, most: int | None = None) -> None:
        self._turns = turns
        self._most = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def __aenter__(self) -> None:
        if self._turns.take():
            return
        if self._most is not None and len(self._waiting) >= self._most:
            raise unavailable(
                f"{len(self._waiting)} checkouts wait here already; nothing was done.",
                retry_after_ms=RETRY_MS,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                if turn in self._waiting:
                    self._waiting.remove(turn)
            elif turn.exception() is None:
                self._turns.pass_on()  # it was called in the moment in which it left
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.end(error)

    def dismiss(self) -> None:
        """Send all away who wait: `unavailable`."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(unavailable("The store does not answer; nothing was done."))

    def call(self) -> bool:
        """Give a turn to whoever has waited longest; say whether anybody took it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False


class InTurn:
    """The scripts, each in a turn of its own; `turns` are those of the whole process."""

    def __init__(self, scripts: Scripts, turns: Turns) -> None:
        self._scripts = scripts
        self.turns = turns

    async def ask(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Answer:
        """Run a script in a turn of who has begun, and return its answer. Errors are those of `Scripts.run`."""
        async with self.turns.next:
            return await ask(self._scripts, name, ids, **args)
