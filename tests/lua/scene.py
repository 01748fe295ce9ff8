"""A show to try scripts on, made by the scripts themselves; and what a script answers, writes and tells."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Self

from server import ids
from server.inventory.books import read_books
from server.store import reads
from server.store.answers import Answer, ask, unpacked
from server.store.keys import key
from tests.deadlines import let_lapse, packed, redis_now
from tests.keys import leaks
from tests.lua.told import Told, listening, read_log, top_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from server.store.redis import Redis
    from server.store.scripts import Scripts

PRICE = 1250
HOLD_SECONDS = 60
LEASE_MS = 15_000
PROVIDER_MS = 30_000
LOG_LENGTH = 100

Fields = dict[str, Any]


class Scene:
    """One show and the scripts; every run is followed by a look at the four numbers."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self.client = client
        self.scripts = scripts
        self.show = ids.new_show()
        self._numbers = count(1)

    def key(self, name: str) -> str:
        """Return the place of one of the show's keys."""
        return key(name, show=self.show)

    async def run(self, script: str, /, **args: Any) -> Answer:
        """Run a script on the show and return its answer; the four numbers of every drop must add up after it."""
        answer = await ask(self.scripts, script, {"show": self.show}, **args)
        for drop, row in (await reads.fields(self.client, self.key("stock"), "stock")).items():
            available, held, sold, quantity, *_ = unpacked(row)
            assert available + held + sold == quantity, f"{script} broke {drop.decode()}"
            assert min(available, held, sold) >= 0, f"{script} broke {drop.decode()}"
        return answer

    async def refused(self, script: str, /, **args: Any) -> Answer:
        """Run a script that must not write or tell anything, and return its answer."""
        before = await self.dump()
        async with self.watched() as told:
            answer = await self.run(script, **args)
        assert await self.dump() == before, f"{script} wrote, and answered {answer['outcome']}"
        assert told.nothing, f"{script} told {told}, and answered {answer['outcome']}"
        return answer

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

    def watched(self) -> AbstractAsyncContextManager[Told]:
        """Listen to the show while the block runs."""
        return listening(self.client, self.show)

    # -- the ways of a show, each asserting that it went well

    async def created(self, **terms: Any) -> Self:
        """Make the show, scheduled."""
        await self.client.sadd(key("active"), self.show)
        terms = {"id": self.show, "title": "A show", "currency": "EUR", "host": "hanna", **terms}
        made = await self.run("show_create", terms=terms, epoch="first", log_length=LOG_LENGTH)
        assert made["outcome"] == "created"
        return self

    async def live(self) -> Self:
        """Make the show and start it."""
        await self.created()
        assert (await self.run("show_start"))["outcome"] == "moved"
        return self

    async def planned(self, quantity: int = 10, **terms: Any) -> str:
        """Plan a drop and return its id."""
        drop = ids.new_drop(self.show)
        made = await self.run("drop_create", **self.plan(drop, quantity, **terms))
        assert made["outcome"] == "created"
        return drop

    def plan(self, drop: str, quantity: int = 10, most: int = 500, **terms: Any) -> Fields:
        """Return the arguments that plan a drop."""
        usual = {
            "id": drop,
            "show": self.show,
            "sku": "MUG",
            "title": "Mug",
            "unit_price": PRICE,
            "currency": "EUR",
            "limit_per_viewer": 100,
            "hold_seconds": HOLD_SECONDS,
            "mode": "fifo",
            "waitlist": True,
        }
        return {"drop": drop, "terms": {**usual, **terms}, "quantity": quantity, "most": most}

    async def opened(self, quantity: int = 10, **terms: Any) -> str:
        """Make a live show where there is none, plan a drop and open it; return its id."""
        if not await self.client.exists(self.key("show")):
            await self.live()
        drop = await self.planned(quantity, **terms)
        await self.moved("drop_open", drop=drop, countdown_ms=0, by="host")
        return drop

    async def moved(self, script: str, /, **args: Any) -> Answer:
        """Run a move that must succeed."""
        answer = await self.run(script, **args)
        assert answer["outcome"] == "moved", answer
        return answer

    def taking(self, drop: str, viewer: str = "ann", quantity: int = 1, operation: str = "") -> Fields:
        """Return the arguments that take units; without an operation it is a new one."""
        reservation = ids.reservation(self.show, viewer, operation or f"op-{next(self._numbers)}")
        return {"reservation": reservation, "viewer": viewer, "drop": drop, "quantity": quantity}

    async def held(self, drop: str, viewer: str = "ann", quantity: int = 1) -> str:
        """Reserve and return the reservation's id."""
        answer = await self.run("hold_reserve", **self.taking(drop, viewer, quantity))
        assert answer["outcome"] == "held", answer
        reservation: str = answer["reservation"]["id"]
        return reservation

    def claiming(self, *reservations: str, order: str = "or_1", viewer: str = "ann", **args: Any) -> Fields:
        """Return the arguments that claim reservations for an order."""
        usual = {
            "details": {"provider": "sandbox", "method": "card", "token": "tok_ok"},
            "expected_total": -1,
            "provider_ms": PROVIDER_MS,
            "lease_ms": LEASE_MS,
        }
        return {"order": order, "viewer": viewer, "reservations": list(reservations), **usual, **args}

    async def claimed(self, *reservations: str, order: str = "or_1", viewer: str = "ann") -> str:
        """Claim reservations for an order and return its id."""
        answer = await self.run("hold_checkout", **self.claiming(*reservations, order=order, viewer=viewer))
        assert answer["outcome"] == "claimed", answer
        return order

    async def stepped(self, order: str, known: str, following: str, reference: str = "") -> None:
        """Record an order's next step."""
        steps = {"known_step": known, "next_step": following, "reference": reference}
        answer = await self.run("order_step", order=order, lease_ms=LEASE_MS, **steps)
        assert answer["outcome"] == "moved", answer

    async def authorized(self, *reservations: str, order: str = "or_1", viewer: str = "ann") -> str:
        """Claim reservations and record that the provider said yes; return the order's id."""
        await self.claimed(*reservations, order=order, viewer=viewer)
        await self.stepped(order, "claimed", "authorized", f"sb_{order}")
        return order

    async def sold(self, *reservations: str, order: str = "or_1", viewer: str = "ann") -> str:
        """Claim, authorize and finalize; return the order's id."""
        await self.authorized(*reservations, order=order, viewer=viewer)
        assert (await self.run("hold_finalize", order=order))["outcome"] == "finalized"
        return order

    async def visited(self, *viewers: str) -> None:
        """Let viewers come to a process that was not heard of before."""
        first = {"gateway": ids.new_gateway(), "turn": 1, "lease_ms": LEASE_MS, "most": len(viewers)}
        answer = await self.run("viewer_present", here=list(viewers), left=[], **first)
        assert answer["outcome"] == "counted", answer

    async def lapsed(self, *reservations: str) -> None:
        """Let deadlines pass; a sweep lets the units go."""
        await let_lapse(self.client, self.show, *reservations)

    async def given_to(self, reservation: str, order: str) -> None:
        """Write into a hold's record that another order claims it."""
        *record, _order = await self.record("holds", reservation)
        await self.client.hset(self.key("holds"), reservation, packed([*record, order]))

    # -- what is there now

    async def record(self, name: str, field: str) -> Any:
        """Return a packed record of one of the show's hashes; there must be one."""
        raw = await reads.field(self.client, self.key(name), field, name)
        assert raw is not None, f"{name} has no {field}"
        return unpacked(raw)

    async def now(self) -> int:
        """Return the Redis clock, ms."""
        return await redis_now(self.client)

    async def numbers(self, drop: str) -> tuple[int, int, int]:
        """Return (available, held, sold)."""
        available, held, sold, *_ = await self.record("stock", drop)
        return available, held, sold

    async def revision(self, drop: str) -> int:
        """Return the revision of a drop's numbers."""
        revision: int = (await self.record("stock", drop))[4]
        return revision

    async def hold(self, reservation: str) -> Fields:
        """Return a hold's record by name."""
        names = ("drop", "viewer", "quantity", "state", "unit_price", "expires_at", "order")
        record = await self.record("holds", reservation)
        return dict(zip(names, record, strict=True))

    async def terms(self, drop: str) -> Fields:
        """Return a drop's stored terms and status."""
        found: Fields = await self.record("drops", drop)
        return found

    async def order(self, order: str) -> Fields:
        """Return an unfinished order's record."""
        found: Fields = await self.record("orders", order)
        return found

    async def deadline(self, reservation: str) -> int | None:
        """Return when the sweeper may take a hold, None where it never may."""
        score = await self.client.zscore(self.key("expiry"), reservation)
        return None if score is None else int(score)

    async def lease(self, order: str) -> int | None:
        """Return when an order's lease ends, None where it is not pending."""
        score = await self.client.zscore(self.key("pending"), order)
        return None if score is None else int(score)

    async def figure(self, name: str) -> int:
        """Return one of the show's figures."""
        return int(await reads.field(self.client, self.key("figures"), name, "figure") or 0)

    async def audit(self) -> None:
        """Assert that stock, holds and limits agree, that the log has no hole, and that no key is a stray."""
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
