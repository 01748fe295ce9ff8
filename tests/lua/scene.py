"""A show to try scripts on, made by the scripts themselves; and what a script answers, writes and tells."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Self

from server import ids
from server.inventory import asks, batch
from server.store import reads
from server.store.answers import Answer, ask, unpacked
from server.store.keys import key
from tests.deadlines import let_lapse, let_tell, let_wait, packed
from tests.lua.told import Told, listening
from tests.lua.written import Fields, Written

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from server.inventory.asks import Ask
    from server.store.redis import Redis
    from server.store.scripts import Scripts

PRICE = 1250
HOLD_SECONDS = 60
LEASE_MS = 15_000
PROVIDER_MS = 30_000
LOG_LENGTH = 100
SEED = "a seed that nobody knows"
PLACES = 1000
ORDER = 7  # its place in a hold's record

# What a test says only where it matters to it.
USUAL: Fields = {"skip": 0, "view": {}, "reason": "", "seed": SEED, "seed_hash": "its hash", "operation": ""}
TERMS: Fields = {"claim_ms": PROVIDER_MS, "most_waiting": PLACES, "skip_absent": False, "addresses": False}


class Scene(Written):
    """One show and the scripts; every run is followed by a look at the four numbers.

    Numbers are told at every change, as if the last one were long ago; where `paced`, at the scripts' own pace.
    """

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        super().__init__(client)
        self.scripts = scripts
        self.paced = False
        self._numbers = count(1)

    async def run(self, script: str, /, **args: Any) -> Answer:
        """Run a script on the show and return its answer; the four numbers of every drop must add up after it."""
        wanted = self.scripts[script].arg_names
        usual = {name: value for name, value in USUAL.items() if name in wanted}
        answer = await ask(self.scripts, script, {"show": self.show}, **{**usual, **args})
        for drop, row in (await reads.fields(self.client, self.key("stock"), "stock")).items():
            available, held, sold, quantity, *_ = unpacked(row)
            assert available + held + sold == quantity, f"{script} broke {drop.decode()}"
            assert min(available, held, sold) >= 0, f"{script} broke {drop.decode()}"
        if not self.paced:
            await let_tell(self.client, self.show)
        return spelt_out(answer, **args) if script == "hold_batch" else answer

    async def refused(self, script: str, /, **args: Any) -> Answer:
        """Run a script that must not write or tell anything, and return its answer."""
        before = await self.dump()
        async with self.watched() as told:
            answer = await self.run(script, **args)
        assert await self.dump() == before, f"{script} wrote, and answered {answer}"
        assert told.nothing, f"{script} told {told}, and answered {answer}"
        return answer

    async def just_told(self) -> None:
        """Let the numbers told so far have been told just now, however slow the machine is: what follows waits."""
        await let_wait(self.client, self.show)

    def watched(self) -> AbstractAsyncContextManager[Told]:
        """Listen to the show while the block runs."""
        return listening(self.client, self.show)

    # -- what viewers ask for, many at once

    def taking(
        self, drop: str, viewer: str = "ann", quantity: int = 1, operation: str = "", **more: Any
    ) -> Ask:
        """Ask for units; without an operation it is a new one."""
        return asks.reserve(self.show, viewer, operation or self.new_operation(), drop, quantity, **more)

    def bundling(self, *items: tuple[str, int], viewer: str = "ann", operation: str = "", **more: Any) -> Ask:
        """Ask for units of several drops, all or nothing; without an operation it is a new one."""
        return asks.bundle(self.show, viewer, operation or self.new_operation(), list(items), **more)

    def releasing(self, reservation: str, viewer: str = "ann") -> Ask:
        """Ask to give a reservation back."""
        return asks.release(self.show, viewer, reservation)

    def joining(
        self, drop: str, viewer: str = "ann", quantity: int = 1, operation: str = "", **more: Any
    ) -> Ask:
        """Ask for a place in the queue; without an operation it is a new one."""
        return asks.join(self.show, viewer, operation or self.new_operation(), drop, quantity, **more)

    def leaving(self, drop: str, viewer: str = "ann") -> Ask:
        """Ask to leave the queue."""
        return asks.leave(self.show, viewer, drop)

    def new_operation(self) -> str:
        """Return an operation id that was not there before."""
        return f"op-{next(self._numbers)}"

    def batch(self, *asked: Ask, **terms: Any) -> Fields:
        """Return the arguments of a step that carries out all of these."""
        return {"batch": batch.packed(list(asked), batch.Terms(**{**TERMS, **terms}))}

    async def step(self, *asked: Ask, **terms: Any) -> list[Any]:
        """Carry all out in one step and return their outcomes."""
        out: list[Any] = (await self.run("hold_batch", **self.batch(*asked, **terms)))["out"]
        return out

    async def refused_step(self, *asked: Ask, unmet: int = 0, **terms: Any) -> Any:
        """Carry out what must change nothing but the demand that was not met, by `unmet`; return the last outcome."""
        figures = self.key("figures").encode()
        before, demand = await self.dump(), await self.figure("unmet_demand")
        async with self.watched() as told:
            out = await self.step(*asked, **terms)
        after = await self.dump()
        assert await self.figure("unmet_demand") == demand + unmet
        if unmet:
            before.pop(figures, None)
            del after[figures]
        assert after == before, f"the step wrote, and answered {out}"
        assert told.nothing, f"the step told {told}, and answered {out}"
        return out[-1]

    async def held(self, drop: str, viewer: str = "ann", quantity: int = 1) -> str:
        """Reserve and return the reservation's id."""
        asked = self.taking(drop, viewer, quantity)
        outcome, *_ = await self.step(asked)
        assert outcome[0] == "held", outcome
        return self.reservation(asked)

    async def released(self, reservation: str, viewer: str = "ann", **terms: Any) -> None:
        """Give a reservation back."""
        outcome, *_ = await self.step(self.releasing(reservation, viewer), **terms)
        assert outcome[0] == "released", outcome

    async def joined(self, drop: str, *viewers: str, quantity: int = 1) -> list[str]:
        """Let viewers join a drop's queue in one step; return the ids that their reservations will have."""
        asked = [self.joining(drop, viewer, quantity) for viewer in viewers]
        for outcome in await self.step(*asked):
            assert outcome[0] == "waiting", outcome
        return [self.reservation(each) for each in asked]

    def reservation(self, asked: Ask) -> str:
        """Return the id of the reservation that an operation makes."""
        return ids.full(self.show, asked.items[0][0])

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

    async def stepped(
        self, order: str, known: str, following: str, reference: str = "", reason: str = ""
    ) -> None:
        """Record an order's next step."""
        steps = {"known_step": known, "next_step": following, "reference": reference, "reason": reason}
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

    async def frozen(self) -> None:
        """Freeze the show, as for a rebuild of its stock."""
        answer = await self.run("show_freeze", known={}, upto=0, seen="", epoch="frozen", least=0)
        assert answer["outcome"] == "frozen", answer

    async def visited(self, *viewers: str) -> None:
        """Let viewers come to a process that was not heard of before."""
        first = {"gateway": ids.new_gateway(), "turn": 1, "lease_ms": LEASE_MS, "most": len(viewers)}
        answer = await self.run("viewer_present", here=list(viewers), left=[], keep_ms=0, **first)
        assert answer["outcome"] == "counted", answer

    async def lapsed(self, *reservations: str) -> None:
        """Let deadlines pass; a sweep lets the units go."""
        await let_lapse(self.client, self.show, *reservations)

    async def given_to(self, reservation: str, order: str) -> None:
        """Write into a hold's record that another order claims it."""
        own = ids.own(reservation)
        record = await self.record("holds", own)
        record[ORDER] = order
        await self.client.hset(self.key("holds"), own, packed(record))


def spelt_out(answer: Answer, batch: Fields) -> Answer:
    """Return a step's answer in which an award that is told by its rank alone is told like any other."""
    out = list(answer["out"])
    for at, rank in enumerate(out):
        if type(rank) is int:
            hold_seconds = answer["drops"][batch["which"][at] - 1][-1]
            out[at] = ["held", batch["quantities"][at], answer["now"] + hold_seconds * 1000, rank]
    return {**answer, "out": out}
