"""What a script does in one step, torn apart: look, take a breath, write. For negative controls.

Each function decides by what it saw before the breath, as code without atomic steps does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server import ids
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import packed, redis_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.store.redis import Redis

    Breath = Callable[[], Awaitable[object]]

AVAILABLE, HELD, SOLD = 0, 1, 2  # places in a drop's numbers
NUMBER, VIEWER, QUANTITY, STATE, EXPIRES_AT = 0, 1, 2, 3, 5  # places in a hold
IS_HELD, IS_SOLD, IS_EXPIRED = 1, 3, 5  # states of a hold


async def nothing() -> None:
    """Let others go first, once."""
    await asyncio.sleep(0)


@dataclass(slots=True)
class Torn:
    """The torn steps on one show, over one connection; `breath` is what happens between look and write."""

    client: Redis
    show: str
    breath: Breath = nothing

    async def reserve(self, viewer: str, drop: str) -> bool:
        """Take one unit where there seems to be one."""
        stock = await self._record("stock", drop)
        await self.breath()
        if stock[AVAILABLE] < 1:
            return False
        stock[AVAILABLE] -= 1
        stock[HELD] += 1
        own = ids.own_part(self.show, viewer, "torn")
        number = (await self._record("drops", drop))["number"]
        expires_at = await redis_now(self.client) + 60_000
        await self._write("holds", own, [number, viewer, 1, IS_HELD, 1250, expires_at, 1])
        await self._write("mine", viewer, [number, 1, own])
        await self.client.zadd(self._key("expiry"), {own: expires_at})
        await self._write("stock", drop, stock)
        return True

    async def sweep(self) -> int:
        """Give back the units of everything that seems to have lapsed."""
        lapsed = await reads.due(self.client, self._key("expiry"), await redis_now(self.client), 100, "sweep")
        await self.breath()
        for own in lapsed:
            hold = await self._record("holds", own)
            drop = await self._drop_of(hold)
            stock = await self._record("stock", drop)
            stock[AVAILABLE] += hold[QUANTITY]
            stock[HELD] -= hold[QUANTITY]
            await self._write("stock", drop, stock)
            hold[STATE] = IS_EXPIRED
            await self._write("holds", own, hold)
            await self.client.zrem(self._key("expiry"), own)
        return len(lapsed)

    async def sell(self, reservation: str) -> bool:
        """Sell a reservation that seems to be held still."""
        own = ids.own(reservation)
        hold = await self._record("holds", own)
        alive = hold[STATE] == IS_HELD and hold[EXPIRES_AT] > await redis_now(self.client)
        await self.breath()
        if not alive:
            return False
        drop = await self._drop_of(hold)
        stock = await self._record("stock", drop)
        stock[HELD] -= hold[QUANTITY]
        stock[SOLD] += hold[QUANTITY]
        await self._write("stock", drop, stock)
        hold[STATE] = IS_SOLD
        await self._write("holds", own, hold)
        await self.client.zrem(self._key("expiry"), own)
        return True

    async def begin(self, request: str) -> bool:
        """Let a request run that seems to be the first with its key."""
        place = key("idempotency", request=request)
        known = await self.client.exists(place)
        await self.breath()
        if not known:
            await self.client.hset(place, "fingerprint", "a")
            await self.client.pexpire(place, 30_000)
        return not known

    def _key(self, name: str) -> str:
        return key(name, show=self.show)

    async def _drop_of(self, hold: list[Any]) -> str:
        raw = await reads.field(self.client, self._key("numbers"), str(hold[NUMBER]), "the drop's name")
        assert raw is not None
        return raw.decode()

    async def _record(self, name: str, of: str) -> Any:
        raw = await reads.field(self.client, self._key(name), of, name)
        assert raw is not None
        return unpacked(raw)

    async def _write(self, name: str, of: str, record: list[Any]) -> None:
        await self.client.hset(self._key(name), of, packed(record))
