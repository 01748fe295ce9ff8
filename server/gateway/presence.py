"""Who is here, told to Redis: each process counts its own viewers, and a script sums them by viewer.

Promise: once a round has gone through, the show's count is the number of viewers with at least one socket on any
process. A process that dies takes its viewers out when its lease ends; one that was only silent, and was taken out
meanwhile, brings its viewers back with its next call. Nothing is lost or counted twice where an answer is lost: every
call has a turn, the same call goes out until it is answered, and the script takes each turn once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from server import ids
from server.clock import monotonic
from server.errors import Problem
from server.store.answers import ask

if TYPE_CHECKING:
    from server.store.answers import Answer
    from server.store.scripts import Scripts

TELL_SECONDS = 0.5  # joins and leaves gather for so long before they are told
LEASE_MS = 30_000  # a process counts for so long without being heard of
VIEWERS_PER_SECOND = 5_000  # with so many here, changes gather for a second …
MOST_TELL_SECONDS = 2.0  # … and never for longer than this
RENEWALS_PER_LEASE = 3
CHUNK = 250  # viewers told, and viewers of lapsed processes taken out, per call: each under 1 ms of Redis
AT_ONCE = 8  # shows told of at the same time: a node that is away holds up the shows of the others little
LEAVE_SECONDS = 2.0  # what the end of a process waits for this at most; what was not told ends with the lease

log = structlog.get_logger(__name__)


class Presence:
    """All shows' viewers on this process. `came` and `left` only note; `run`, or each `tell`, speaks to Redis."""

    def __init__(self, scripts: Scripts, *, lease_ms: int = LEASE_MS, keep_ms: int = 0) -> None:
        self._scripts = scripts
        self._lease_ms = lease_ms
        self._keep_ms = keep_ms  # how long who leaves keeps the seat, where shows have a capacity
        self._rolls: dict[str, Roll] = {}
        self._telling = asyncio.Lock()

    def came(self, show: str, viewer: str) -> None:
        """Note a viewer whose first socket in the show opened here."""
        roll = self._rolls.get(show)
        if roll is None:
            roll = self._rolls[show] = Roll(self._lease_ms)
        roll.came(viewer)

    def left(self, show: str, viewer: str) -> None:
        """Note a viewer whose last socket in the show closed here."""
        roll = self._rolls.get(show)
        if roll is not None:
            roll.left(viewer)

    async def run(self) -> None:
        """Tell Redis twice a second what changed, and renew the leases, for ever."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await self.tell(gathered=True)

    async def leave(self, seconds: float = LEAVE_SECONDS) -> None:
        """Tell, at the end of the process, that all viewers here are gone; raises nothing.

        What cannot be told in so many seconds, two at most, ends with the lease.
        """
        for roll in self._rolls.values():
            roll.all_left()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LEAVE_SECONDS)):
                await self.tell()  # what still had no answer
                await self.tell()  # and that they left

    async def tell(self, *, gathered: bool = False) -> None:
        """Tell all that changed until now, and renew what is due; what fails is logged and told in the next round.

        With `gathered`, large shows are told of less often: each telling is told on to everybody there.
        """
        async with self._telling:
            gate = asyncio.Semaphore(AT_ONCE)
            failures = await asyncio.gather(
                *(self._guarded(gate, *each) for each in self._due(gathered=gathered))
            )
        reasons = [reason for reason in failures if reason]
        if reasons:
            log.warning("presence.unavailable", shows=len(reasons), reason=reasons[0])

    def _due(self, *, gathered: bool) -> list[tuple[str, Roll]]:
        """Return the shows that there is something to tell of; those that are over go."""
        now = monotonic()
        self._rolls = {show: roll for show, roll in self._rolls.items() if not roll.is_over(now)}
        rolls = self._rolls.items()
        return [
            (show, roll)
            for show, roll in rolls
            if (roll.has_gathered(now) or not gathered) and roll.plan(now)
        ]

    async def _guarded(self, gate: asyncio.Semaphore, show: str, roll: Roll) -> str | None:
        """Tell one show; return why it could not be told, if so."""
        try:
            async with gate:
                while roll.calls:
                    call = {**roll.calls[0], "keep_ms": self._keep_ms}
                    roll.answered(await ask(self._scripts, "viewer_present", {"show": show}, **call))
        except Problem as problem:
            return problem.detail
        except Exception:
            # A bug that one show brings out must not end the leases of all others.
            log.exception("presence.show_failed", show=show)
        return None


class Roll:
    """One show's viewers on this process, and what Redis has not confirmed of them.

    `calls` are the script's arguments, to be sent in order, each again until it is answered.
    """

    __slots__ = ("_here", "_lease_ms", "_name", "_renew_at", "_tell_at", "_turn", "_waiting", "calls")

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._here: set[str] = set()
        self.calls: deque[dict[str, Any]] = deque()  # together at most the viewers here, and those who left
        self._begin()

    def _begin(self) -> None:
        """Take a name that Redis does not know: all viewers are to be told, in turns from 1."""
        self._name = ids.new_gateway()
        self._turn = 0
        # viewer -> came or left: only what Redis does not know yet
        self._waiting = dict.fromkeys(self._here, True)
        self.calls.clear()
        self._renew_at = self._tell_at = monotonic()

    def came(self, viewer: str) -> None:
        """Note that the viewer is here; repeating changes nothing."""
        if viewer not in self._here:
            self._here.add(viewer)
            self._note(viewer, here=True)

    def left(self, viewer: str) -> None:
        """Note that the viewer is gone; repeating changes nothing."""
        if viewer in self._here:
            self._here.discard(viewer)
            self._note(viewer, here=False)

    def all_left(self) -> None:
        """Note that everybody is gone."""
        for viewer in list(self._here):
            self.left(viewer)

    def _note(self, viewer: str, *, here: bool) -> None:
        # What waits for the same viewer is always the opposite: then there is nothing to tell.
        if self._waiting.pop(viewer, None) is None:
            self._waiting[viewer] = here

    def is_over(self, now: float) -> bool:
        """Whether nobody is here, all is told, and the lease may end by itself."""
        return not (self._here or self._waiting or self.calls) and now >= self._renew_at

    def has_gathered(self, now: float) -> bool:
        """Whether the last changes were told long enough ago, or calls are left over."""
        return bool(self.calls) or now >= self._tell_at

    def plan(self, now: float) -> bool:
        """Put what waits into calls, where none is left over, or renew a lease that is due; say whether any is there.

        While calls are left over, what waits goes on gathering: a viewer who comes and goes meanwhile costs nothing.
        """
        if not self.calls:
            changes, self._waiting = list(self._waiting.items()), {}
            if changes:
                self._tell_at = now + min(len(self._here) / VIEWERS_PER_SECOND, MOST_TELL_SECONDS)
            for start in range(0, len(changes), CHUNK):
                self._call(changes[start : start + CHUNK])
            if not changes and self._here and now >= self._renew_at:
                self._call([])
        return bool(self.calls)

    def _call(self, changes: list[tuple[str, bool]]) -> None:
        self._turn += 1
        call = {
            "gateway": self._name,
            "turn": self._turn,
            "here": [viewer for viewer, here in changes if here],
            "left": [viewer for viewer, here in changes if not here],
            "lease_ms": self._lease_ms,
            "most": CHUNK,
        }
        self.calls.append(call)

    def answered(self, answer: Answer) -> None:
        """Take the answer to the first call: it is settled, or all viewers are to be told anew."""
        now = monotonic()
        if answer["outcome"] == "unknown":
            self._begin()
            self.plan(now)
            return
        self.calls.popleft()
        self._renew_at = now + self._lease_ms / 1000 / RENEWALS_PER_LEASE
        if answer.get("more") and self._here and not self.calls:
            self._call([])
