"""Tokens that count no longer before their end: the list in the store, and this process' copy of it.

A revocation is heard by every process on a channel. What that may have lost is read anew whenever the channel is
confirmed, after every cut; a process that hears nothing of its own echo is not ready and subscribes anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.auth import MAX_TTL_SECONDS, Revocation, Revoked
from server.clock import now_ms
from server.errors import Code, Problem
from server.protocol.codec import invalid
from server.store import reads
from server.store.answers import ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from server.store.redis import Redis
    from server.store.scripts import Scripts

    Hear = Callable[[bytes, Callable[[bytes], None], Callable[[], None]], None]

MOST = 10_000  # kept at a time; beyond it nothing is revoked until older ones have ended with their tokens
LIFE_MS = MAX_TTL_SECONDS * 1000
RETRY_SECONDS = 0.5
EVERYONE, GUESTS = "a", "g"  # the reach, as the store knows it
CHANNEL = key("revocations").encode()

log = structlog.get_logger(__name__)


class Revocations:
    """The door to the list; `revoked` is this process' copy, which tokens are held against.

    `told` hears of every revocation that is new here: sockets are open that it is about.
    """

    def __init__(self, client: Redis, scripts: Scripts, revoked: Revoked) -> None:
        self.told: Callable[[Revocation], None] = lambda _revocation: None
        self._client = client
        self._scripts = scripts
        self._revoked = revoked
        self._doubts = asyncio.Event()

    def tell(self, told: Callable[[Revocation], None], hear: Hear) -> None:
        """Let `told` hear of every revocation, and this list of the channel that `hear` listens to."""
        self.told = told
        hear(CHANNEL, self.heard, self.confirmed)

    async def revoke(self, subject: str, shows: Sequence[str], before: int, *, everyone: bool) -> int:
        """Refuse a subject's tokens for these shows (`*` for all) that were issued up to `before`, 0 for now.

        Return the moment, Unix ms of the store's clock. `everyone`: of hosts and services too, else of viewers and
        moderators. Raises `invalid-message` for a moment to come, `limit-reached`, `unavailable`.
        """
        reach = EVERYONE if everyone else GUESTS
        members = [f"{reach} {show} {subject}" for show in dict.fromkeys(shows)]
        told = {"members": members, "before": before, "life_ms": LIFE_MS, "most": MOST}
        answer = await ask(self._scripts, "token_revoke", {}, **told)
        match answer["outcome"]:
            case "early":
                raise invalid(f"before: a moment up to now, {answer['now']}, is expected, given {before}.")
            case "limit-reached":
                raise Problem(
                    Code.LIMIT_REACHED, f"{answer['limit']} revocations are kept, and no more are taken."
                )
        moment: int = answer["before"]
        self._learn(_of(members, moment))
        return moment

    async def read(self) -> None:
        """Read the whole list. Raises `unavailable`; what is known stays known then."""
        rows = await reads.newest(self._client, key("revoked"), None, MOST, "reading the revoked tokens")
        self._revoked.forget(now_ms() - LIFE_MS)
        self._learn(each for member, before in rows for each in _of([member], before))

    def heard(self, packed: bytes) -> None:
        """Take what the channel told."""
        before, members = unpacked(packed)
        self._learn(_of(members, before))

    def confirmed(self) -> None:
        """Know that the channel is heard from here on: what came before is in the list."""
        self._doubts.set()

    async def run(self) -> None:
        """Read the list whenever something may have been missed, for ever."""
        while True:
            await self._doubts.wait()
            self._doubts.clear()
            try:
                await self.read()
            except Problem as problem:
                log.warning("revocations.unread", reason=problem.detail)
                self._doubts.set()
                await asyncio.sleep(RETRY_SECONDS)

    def _learn(self, revocations: Iterable[Revocation]) -> None:
        for each in revocations:
            if self._revoked.learn(each):
                self.told(each)


def _of(members: Sequence[str], before: int) -> list[Revocation]:
    """Return what the list's members say; a subject may have blanks inside, and stands last."""
    split = [member.split(" ", 2) for member in members]
    return [Revocation(subject, show, before, everyone=reach == EVERYONE) for reach, show, subject in split]
