"""What of a show stands in Redis now, read by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server import ids
from server.inventory import chain
from server.inventory.books import read_books
from server.inventory.holds import STATES
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import redis_now
from tests.keys import leaks
from tests.lua.told import read_log, top_of

if TYPE_CHECKING:
    from server.inventory.chain import Chain
    from server.store.redis import Redis

Fields = dict[str, Any]

HOLD = (
    "number",
    "viewer",
    "quantity",
    "state",
    "unit_price",
    "expires_at",
    "rank",
    "order",
    "deadline",
    "address",
    "returned",
)
STOCK = (
    "available",
    "held",
    "sold",
    "quantity",
    "revision",
    "sold_out_at",
    "told_at",
    "owed",
    "awards",
    "chain",
    "waiting",
    "joined",
    "backlog",
    "gone_at",
)
PLACE = ("reservation", "quantity", "joined_at", "times", "address", "nth")
FIRST = 2**40  # of a drop's places in the index of all queues, times its number


class Written:
    """One show's records."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.show = ids.new_show()

    def key(self, name: str) -> str:
        """Return the place of one of the show's keys."""
        return key(name, show=self.show)

    async def dump(self) -> dict[bytes, tuple[bytes, bool]]:
        """Return all keys of the show: their whole content, and whether they will expire."""
        places = sorted([place async for place in self.client.scan_iter(f"*{self.show}*", count=1000)])
        async with self.client.pipeline(transaction=True) as pipe:
            for place in places:
                pipe.dump(place)
                pipe.pttl(place)
            told = await pipe.execute()
        rows = zip(places, told[::2], told[1::2], strict=True)
        return {place: (content, ttl >= 0) for place, content, ttl in rows}

    async def record(self, name: str, field: str) -> Any:
        """Return a packed record of one of the show's hashes; there must be one."""
        raw = await reads.field(self.client, self.key(name), field, name)
        assert raw is not None, f"{name} has no {field}"
        return unpacked(raw)

    async def now(self) -> int:
        """Return the Redis clock, ms."""
        return await redis_now(self.client)

    async def stock(self, drop: str) -> Fields:
        """Return a drop's stock row by name."""
        return dict(zip(STOCK, await self.record("stock", drop), strict=True))

    async def numbers(self, drop: str) -> tuple[int, int, int]:
        """Return (available, held, sold)."""
        available, held, sold, *_ = await self.record("stock", drop)
        return available, held, sold

    async def revision(self, drop: str) -> int:
        """Return the revision of a drop's numbers."""
        revision: int = (await self.stock(drop))["revision"]
        return revision

    async def hold(self, reservation: str) -> Fields:
        """Return a hold's record by name, its state in words; what it leaves out is empty or 0."""
        record = await self.record("holds", ids.own(reservation))
        fields = dict(zip(HOLD, [*record, *["", 0, "", 0][len(record) - 7 :]], strict=True))
        return {**fields, "state": STATES[fields["state"]]}

    async def mine(self, viewer: str) -> list[tuple[int, int, str]]:
        """Return what counts for a viewer, oldest first: number, units, reservation; a place's number is below 0."""
        return [row for row in await self.everything(viewer) if row[1]]

    async def everything(self, viewer: str) -> list[tuple[int, int, str]]:
        """Return what counts for a viewer, and with no units what was let go."""
        raw = await reads.field(self.client, self.key("mine"), viewer, "mine")
        row = unpacked(raw) if raw else []
        return [(row[at], row[at + 1], ids.full(self.show, row[at + 2])) for at in range(0, len(row), 3)]

    async def queue(self, drop: str) -> list[str]:
        """Return who waits for units of a drop, the next one first."""
        number = (await self.terms(drop))["number"]
        low = number * FIRST
        names: Any = await self.client.zrangebyscore(self.key("waitlist"), low, low + FIRST - 1)
        return [name.decode().partition(" ")[2] for name in names]

    async def place(self, drop: str, viewer: str) -> Fields:
        """Return a viewer's place in a drop's queue by name."""
        number = (await self.terms(drop))["number"]
        return dict(zip(PLACE, await self.record("waiting", f"{number} {viewer}"), strict=True))

    async def chain(self, drop: str) -> Chain:
        """Return what a drop's award log adds up to."""
        names = await reads.fields(self.client, self.key("numbers"), "numbers")
        notes: Any = await self.client.xrange(self.key("awards"))
        drops = {int(number): name.decode() for number, name in names.items()}
        return chain.read(drops, [fields[b"n"] for _id, fields in notes]).chains[drop]

    async def awarded(self, drop: str) -> list[tuple[str, int]]:
        """Return who ever got units of a drop, in the order of the award log: reservations and their units."""
        found = (await self.chain(drop)).awards
        return [(ids.full(self.show, own), award.units) for own, award in found.items()]

    async def terms(self, drop: str) -> Fields:
        """Return a drop's stored terms and status."""
        found: Fields = await self.record("drops", drop)
        return found

    async def order(self, order: str) -> Fields:
        """Return an unfinished order's record."""
        found: Fields = await self.record("orders", order)
        return found

    async def due(self) -> dict[str, int]:
        """Return the planned moves and their times."""
        found: Any = await self.client.zrange(self.key("due"), 0, -1, withscores=True)
        return {name.decode(): int(at) for name, at in found}

    async def looked_at(self, reservation: str) -> set[int]:
        """Return when the sweeper will look at a hold."""
        entries: Any = await self.client.zrange(self.key("expiry"), 0, -1, withscores=True)
        return {int(at) for names, at in entries if ids.own(reservation) in names.decode().split(" ")}

    async def lease(self, order: str) -> int | None:
        """Return when an order's lease ends, None where it is not pending."""
        score = await self.client.zscore(self.key("pending"), order)
        return None if score is None else int(score)

    async def figure(self, name: str) -> int:
        """Return one of the show's figures."""
        return int(await reads.field(self.client, self.key("figures"), name, "figure") or 0)

    async def audit(self) -> None:
        """Assert that the books balance, that the log has no hole, and that no key is a stray."""
        for books in await read_books(self.client, self.show):
            assert not books.differences, books.differences
        offsets = [offset for offset, _ in await read_log(self.client, self.show)]
        top = await top_of(self.client, self.show)
        assert offsets == list(range(top - len(offsets) + 1, top + 1))
        assert await leaks(self.client) == []

    async def clear(self) -> None:
        """Take everything of the show away again."""
        places = await self.dump()
        if places:
            await self.client.delete(*places)
        await self.client.srem(key("active"), self.show)
