"""One show in the middle of it: its drops, who may act at this moment, and what everybody heard."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from tests.chaos.books import HELD, PAYING, SOLD, complaints, look

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator

    from tests.chaos.books import Picture
    from tests.chaos.deeds import Deed, Heard
    from tests.chaos.estate import Estate
    from tests.chaos.plan import Outcome, Plan

# kind -> its terms, the units among them; `plain` never gives anything back, so what it awards it has sold for good
KINDS: dict[str, dict[str, Any]] = {
    "fifo": {"quantity": 12, "limit_per_viewer": 3, "hold_seconds": 1},
    "bare": {"quantity": 10, "limit_per_viewer": 4, "hold_seconds": 2, "waitlist": False},
    "plain": {"quantity": 40, "limit_per_viewer": 4, "hold_seconds": 3600},
    "waves": {
        "quantity": 4,
        "limit_per_viewer": 3,
        "hold_seconds": 2,
        "waves": [{"quantity": 3, "after_seconds": 3}, *({"quantity": 3} for _ in range(4))],
    },
    "paid": {"quantity": 12, "limit_per_viewer": 2, "mode": "first_paid", "waitlist": False},
    "draw": {"quantity": 6, "limit_per_viewer": 3, "hold_seconds": 1, "mode": "draw"},
}
LIMIT_PER_VIEWER = 60  # in the whole show


class World:
    """What buyers, host and killer share."""

    def __init__(self, plan: Plan, estate: Estate, show: str, outcome: Outcome) -> None:
        self.plan = plan
        self.estate = estate
        self.show = show
        self.outcome = outcome
        self._ended = asyncio.Event()
        self.kinds: dict[str, str] = {}  # drop -> its kind
        self.offered: dict[str, int] = {}  # drop -> the units it was planned with
        self.open: dict[str, list[str]] = {kind: [] for kind in KINDS}  # kind -> drops that take part
        self.orders: set[str] = set()  # that somebody was told of
        self._going = asyncio.Event()
        self._going.set()
        self._busy = 0
        self._idle = asyncio.Condition()

    # -- who may act

    @property
    def over(self) -> bool:
        """Whether nothing new is begun any more."""
        return self._ended.is_set()

    def end(self) -> None:
        """Let nothing new begin."""
        self._ended.set()

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Give a turn to act; nobody has one while everybody stands still."""
        await self._going.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            async with self._idle:
                self._idle.notify_all()

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """Let everybody end their turn and take no other until the block ends."""
        self._going.clear()
        try:
            async with self._idle:
                await self._idle.wait_for(lambda: not self._busy)
            yield
        finally:
            self._going.set()

    # -- drops

    def enter(self, drop: str, kind: str) -> None:
        """Let a drop that was planned take part."""
        self.kinds[drop] = kind
        self.offered[drop] = KINDS[kind]["quantity"]
        self.open[kind].append(drop)

    def a_drop(self, chance: random.Random, *kinds: str) -> str:
        """Return a drop of one of these kinds, the newest of them more often."""
        drops = self.open[chance.choice(kinds)]
        return drops[-1] if chance.random() < 0.7 else chance.choice(drops)

    # -- what was heard, and what lies in the store

    def heard(self, deed: Deed, answer: Heard) -> None:
        """Take in an answer that somebody got."""
        self.outcome.deeds[f"{deed.kind} {'given' if not answer.code else answer.code}"] += 1
        if answer.order and not answer.code:
            self.orders.add(answer.order)
        complaint = deed.hear(answer)
        if complaint:
            self.outcome.complain("answers", [complaint])

    async def look(self, when: str) -> Picture:
        """Read the books in one step and note what is wrong with them."""
        picture = await look(self.estate.house.client, self.show)
        self.outcome.looks += 1
        self.outcome.complain(when, self.wrong(picture))
        return picture

    def wrong(self, picture: Picture) -> list[str]:
        """Return what is wrong in a picture. Who is not here may wait beside units, where queues pass over them."""
        found = complaints(picture, self.offered) + self._given_for_good(picture)
        return [each for each in found if not (self.plan.skip_absent and " wait beside " in each)]

    def _given_for_good(self, picture: Picture) -> list[str]:
        """Where nothing comes back, everything that was ever awarded is still there, and within what is offered."""
        found = []
        for drop in self.open["plain"]:
            number = picture.terms[drop]["number"]
            awarded = sum(units for of, _own, units, _rank in picture.awarded() if of == number)
            kept = picture.units(drop, frozenset({HELD, PAYING, SOLD}))
            if not awarded == kept <= picture.stock[drop].quantity:
                found.append(
                    f"{drop}: {awarded} awarded, {kept} kept, {picture.stock[drop].quantity} offered"
                )
        return found
