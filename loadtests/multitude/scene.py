"""The show that the multitude watches: its events, and its stock changed thousands of times in a row.

Both are made through the server's own rooms, on its Redis, from this process: so the moment of a change is known
here to the millisecond, and no request to the server is part of what is measured.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.audience.wire import Stock
from loadtests.stagehand import mug_terms
from server import ids
from server.auth import Role
from server.errors import Problem
from server.eventlog import stream
from server.inventory.outcomes import Held

if TYPE_CHECKING:
    from server.house import House

TOKEN_SECONDS = 3600
HOLD_SECONDS = 3600  # nothing lapses while it is looked at
QUANTITY = 1_000_000
BUYERS = 50  # who change the stock at the same time


class SceneError(Exception):
    """The show did not go as it should; the sentence says how."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Stock changes that have been made: the last numbers, and the moment when the last call had returned."""

    final: Stock
    ended_at: int  # monotonic ns
    seconds: float


@dataclass(slots=True)
class Scene:
    """One live show with one open drop, on the server at `url` whose process is `pid`; nobody else writes to it."""

    url: str
    pid: int
    house: House
    show: str
    drop: str
    offset: int = 0  # of the newest event

    def tokens(self, name: str, count: int) -> list[str]:
        """Return tokens of so many viewers."""
        mint = self.house.tokens.mint
        return [mint(f"{name}-{n}", Role.VIEWER, [self.show], TOKEN_SECONDS)[0] for n in range(count)]

    async def pin(self, event_bytes: int) -> int:
        """Write an event of about this size and return when it was asked for, monotonic ns."""
        product = {**PRODUCT, "description": "x" * event_bytes}
        asked_at = time.monotonic_ns()
        await self.house.shows.pin(self.show, [product])
        self.offset += 1
        return asked_at

    async def burst(self, changes: int) -> Burst:
        """Change the stock so often, as fast as it goes: everybody takes one unit and gives it back, over and over."""
        began = time.monotonic_ns()
        pairs = [len(range(buyer, changes // 2, BUYERS)) for buyer in range(BUYERS)]
        await asyncio.gather(*(self._flutter(buyer, times) for buyer, times in enumerate(pairs)))
        if changes % 2:
            await self._take("buyer-last")
        ended_at = time.monotonic_ns()
        return Burst(await self.stock(), ended_at, (ended_at - began) / 1e9)

    async def stock(self) -> Stock:
        """Return the drop's numbers as Redis has them."""
        found = await self.house.drops.find(self.show, self.drop)
        return Stock(*(found[name] for name in Stock._fields))

    async def check(self) -> None:
        """Make sure that the log is where our own events have brought it. Raises SceneError."""
        top = await stream.top(self.house.client, self.show)
        if top is None or top.offset != self.offset:
            raise SceneError(f"The log is at {top}, our own events have brought it to {self.offset}.")

    async def _flutter(self, buyer: int, times: int) -> None:
        viewer = f"buyer-{buyer}"
        for _ in range(times):
            released = await self.house.holds.release(await self._take(viewer), viewer)
            if isinstance(released, Problem):
                raise SceneError(f"A reservation could not be released: {released}")

    async def _take(self, viewer: str) -> str:
        held = await self.house.holds.reserve(self.show, viewer, ids.secret(9), self.drop, 1)
        if not isinstance(held, Held):
            raise SceneError(f"A unit could not be reserved: {held}")
        reservation: str = held.reservation["id"]
        return reservation


PRODUCT: dict[str, Any] = {
    "sku": "MUG",
    "handle": "mug",
    "title": "Enamel Mug",
    "vendor": "A load test",
    "options": {},
    "unit_price": 1250,
    "currency": "EUR",
    "images": [],
    "tags": [],
}


async def opened(house: House, url: str, pid: int) -> Scene:
    """Make a live show with an open drop of more units than anybody takes."""
    show = ids.new_show()
    await house.shows.create(show, "load-host", {"title": "A multitude", "currency": "EUR"})
    await house.shows.move(show, "start")
    drop = ids.new_drop(show)
    terms = mug_terms(QUANTITY, HOLD_SECONDS)
    await house.drops.create(show, drop, terms, QUANTITY)
    await house.drops.open(show, drop)
    top = await stream.top(house.client, show)
    return Scene(url, pid, house, show, drop, top.offset if top else 0)
