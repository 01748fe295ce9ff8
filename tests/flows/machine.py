"""The machine: any order of moves, reservations, lapses and payments, from several houses, against the model."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple, precondition, rule

from server import ids
from server.checkout.saga import Paid, Pending, Request
from server.errors import Problem
from server.inventory.holds import Held
from tests.deadlines import end_lease, let_lapse
from tests.flows.model import ALIVE, DECLINED, HALF_DONE, UNANSWERED, Drop, Order
from tests.flows.promises import PRICE, Taken, WatchedShow
from tests.houses import open_drop

if TYPE_CHECKING:
    from collections.abc import Awaitable

HOLD_SECONDS = 3600  # nothing lapses unless the machine lets it
VIEWERS = st.sampled_from(["ann", "bob", "cat"])
TOKENS = st.sampled_from(["tok_ok", "tok_ok", DECLINED, UNANSWERED, UNANSWERED, HALF_DONE])
HOUSES = st.integers(0, 2)
RARELY = st.sampled_from([False] * 5 + [True])
UNITS = st.integers(1, 3)
STOCK = st.integers(1, 8)
LIMITS = st.integers(1, 6)
MOST_DROPS = 6
# verb -> from which states, to which, with which event
MOVES = {
    "pause": ({"open"}, "paused", "drop.paused"),
    "resume": ({"paused"}, "open", "drop.resumed"),
    "close": ({"open", "paused"}, "closed", "drop.closed"),
}


class LiveShow(WatchedShow):
    """The moves: each is made on the model and on the show, and must come out the same."""

    drops: Bundle[int] = Bundle("drops")
    taken: Bundle[Taken] = Bundle("taken")
    orders: Bundle[str] = Bundle("orders")

    # -- drops and show

    @initialize(target=drops, units=STOCK, limit=LIMITS)
    def first_drop(self, units: int, limit: int) -> int:
        """Open the drop that every example has."""
        return self.plan(units, limit)

    @precondition(lambda self: len(self.drop_ids) < MOST_DROPS)
    @rule(target=drops, units=STOCK, limit=LIMITS)
    def another_drop(self, units: int, limit: int) -> int:
        """Open one more."""
        return self.plan(units, limit)

    def plan(self, units: int, limit: int) -> int:
        """Plan and open a drop (in a live show); return its number."""
        if not self.model.live:
            self.move_show()
        terms = {"limit_per_viewer": limit, "hold_seconds": HOLD_SECONDS, "unit_price": PRICE}
        self.drop_ids.append(self.world.run(open_drop(self.house(0), self.show, units, **terms)))
        self.model.drops.append(Drop(units, limit))
        self.expected += ["drop.scheduled", "drop.opened"]
        return len(self.drop_ids) - 1

    @rule(drop=drops, verb=st.sampled_from(["pause", "resume"]))
    def halt_drop(self, drop: int, verb: str) -> None:
        """Pause or resume a drop, which may be the wrong move."""
        self.move_drop(drop, verb)

    @rule(drop=drops, really=RARELY)
    def close_drop(self, drop: int, *, really: bool) -> None:
        """Close a drop, but rarely: it has no future then."""
        if really:
            self.move_drop(drop, "close")

    def move_drop(self, drop: int, verb: str) -> None:
        """Move a drop and compare the outcome."""
        model, outcome = self.model.drops[drop], "wrong-state"
        known, status, event = MOVES[verb]
        if model.status in known:
            model.status, outcome = status, "moved"
            self.expected.append(event)
        move = getattr(self.house(drop).drops, verb)
        assert self.world.run(told(move(self.show, self.drop_ids[drop]))) == outcome

    @rule()
    def move_show(self) -> None:
        """Pause a live show, let a paused one go on."""
        verb, event = ("pause", "show.paused") if self.model.live else ("resume", "show.resumed")
        self.model.live = not self.model.live
        self.expected.append(event)
        assert self.world.run(told(self.house(1).shows.move(self.show, verb))) == "moved"

    def go_on(self, drop: int) -> int:
        """Let show and drop go on where they are paused; return the drop, or a later one where it is closed."""
        if not self.model.live:
            self.move_show()
        if self.model.drops[drop].status == "closed" and drop + 1 < len(self.drop_ids):
            return self.go_on(drop + 1)
        if self.model.drops[drop].status == "paused":
            self.move_drop(drop, "resume")
        return drop

    @rule(house=HOUSES, drop=drops, units=UNITS, operation=st.sampled_from(["more1", "more2"]))
    def restock(self, house: int, drop: int, units: int, operation: str) -> None:
        """Add units; the same operation adds once per drop."""
        before = self.model.drops[drop].quantity
        outcome = self.model.restock(drop, units, operation)
        if self.model.drops[drop].quantity != before:
            self.expected.append("drop.restocked")
        added = self.house(house).drops.restock(self.show, self.drop_ids[drop], units, operation)
        assert self.world.run(told(added)) == outcome

    # -- reservations

    @rule(target=taken, house=HOUSES, viewer=VIEWERS, drop=drops, units=UNITS, insist=st.booleans())
    def reserve(
        self, house: int, viewer: str, drop: int, units: int, *, insist: bool
    ) -> MultipleResults[Taken]:
        """Ask for units; `insist`: not before the host lets it go on."""
        if insist:
            drop = self.go_on(drop)
        taken = (self.name("op"), viewer, drop, units)
        self.attempt(house, taken)
        return self.kept(taken)

    @precondition(lambda self: self.refused)
    @rule(target=taken, house=HOUSES)
    def try_again(self, house: int) -> MultipleResults[Taken]:
        """Send an operation again that was refused: it may succeed now."""
        taken = self.refused.pop(0)
        self.attempt(house, taken)
        return self.kept(taken)

    def kept(self, *asked: Taken) -> MultipleResults[Taken]:
        """Sort what was asked for: what was taken goes into the bundle, the rest can be tried again."""
        self.refused += [taken for taken in asked if taken[0] not in self.model.holds]
        return multiple(*(taken for taken in asked if taken[0] in self.model.holds))

    @rule(house=HOUSES, taken=taken)
    def repeat(self, house: int, taken: Taken) -> None:
        """Send an operation again that was applied."""
        self.attempt(house, taken)

    @rule(house=HOUSES, taken=taken, units=UNITS)
    def repeat_for_another_quantity(self, house: int, taken: Taken, units: int) -> None:
        """Send it again, perhaps asking for something else."""
        self.attempt(house, (*taken[:3], units))

    def attempt(self, house: int, taken: Taken) -> None:
        """Reserve once and compare the outcome and the reservation."""
        expected = self.model.reserve(*taken)
        outcome = self.world.run(self.ask(house, taken))
        assert named(outcome) == expected
        if isinstance(outcome, Held):
            hold = self.model.holds[taken[0]]
            shown = outcome.reservation["state"], outcome.reservation["quantity"]
            assert shown == (hold.state, hold.quantity)

    async def ask(self, house: int, taken: Taken) -> Held | Problem:
        """Reserve at one of the houses."""
        operation, viewer, drop, units = taken
        holds = self.house(house).holds
        return await holds.reserve(self.show, viewer, operation, self.drop_ids[drop], units)

    @rule(target=taken, viewer=VIEWERS, drop=drops, units=UNITS)
    def twice_at_once(self, viewer: str, drop: int, units: int) -> MultipleResults[Taken]:
        """Send one operation to two houses at once: it is applied once."""
        taken = (self.name("op"), viewer, drop, units)
        expected = self.model.reserve(*taken)
        outcomes = self.world.run(at_once(*(self.ask(house, taken) for house in (0, 1))))
        both = ["held", "replayed"] if expected == "held" else [expected] * 2
        assert sorted(map(named, outcomes)) == both
        return self.kept(taken)

    @rule(target=taken, drop=drops, crowd=st.integers(2, 6))
    def rush(self, drop: int, crowd: int) -> MultipleResults[Taken]:
        """Let many want one unit at once: as many get it as there are, who they are is open."""
        drop = self.go_on(drop)
        rush = [(self.name("op"), self.name("viewer"), drop, 1) for _ in range(crowd)]
        outcomes = self.world.run(at_once(*(self.ask(house, taken) for house, taken in enumerate(rush))))
        answers = sorted(zip(outcomes, rush, strict=True), key=lambda pair: named(pair[0]) != "held")
        for outcome, taken in answers:
            assert named(outcome) == self.model.reserve(*taken)
        return self.kept(*rush)

    @rule(house=HOUSES, taken=taken, stranger=RARELY)
    def release(self, house: int, taken: Taken, *, stranger: bool) -> None:
        """Give units back, or try to do so with somebody else's."""
        who = "mallory" if stranger else taken[1]
        expected = self.model.release(taken[0], who)
        outcome = self.world.run(self.house(house).holds.release(self.hold_id(taken[0]), who))
        state = outcome.reservation["state"] if isinstance(outcome, Held) else outcome.code.value
        assert state == expected

    # -- time

    @rule(taken=taken)
    def its_time_is_over(self, taken: Taken) -> None:
        """Let one reservation's deadline pass."""
        self.overdue([taken[0]])

    @precondition(lambda self: self.model.waiting())
    @rule(swept=st.booleans())
    def the_bank_takes_too_long(self, *, swept: bool) -> None:
        """Let the deadlines of everything that is being paid pass, whether or not a sweeper comes by."""
        self.overdue([name for name, hold in self.model.holds.items() if hold.state == "paying"])
        if swept:
            self.let_go(1)

    def overdue(self, names: list[str]) -> None:
        """Put the deadlines of those that are alive into the past."""
        alive = [name for name in names if self.model.holds[name].state in ALIVE]
        for name in alive:
            self.model.holds[name].overdue = True
        self.world.run(let_lapse(self.house(0).client, self.show, *map(self.hold_id, alive)))

    @rule(over=st.lists(taken, max_size=3, unique=True), sweepers=st.integers(1, 3))
    def sweep(self, over: list[Taken], sweepers: int) -> None:
        """Let some deadlines pass and any number of sweepers go at once: each lapsed unit is let go once."""
        self.overdue([name for name, *_ in over])
        self.let_go(sweepers)

    def let_go(self, sweepers: int) -> None:
        """Sweep and compare how many went."""
        expected = self.model.sweep()
        swept = self.world.run(at_once(*(self.house(n).holds.sweep(self.show) for n in range(sweepers))))
        assert sum(each.lapsed for each in swept) == expected

    # -- money

    @rule(target=orders, house=HOUSES, first=taken, second=taken, both=st.booleans(), token=TOKENS)
    def pay(self, house: int, first: Taken, second: Taken, token: str, *, both: bool) -> str:
        """Pay one reservation or two, which may be gone, or another viewer's."""
        holds = [first[0], second[0]] if both and first != second else [first[0]]
        return self.order(house, first[1], holds, token)

    @precondition(lambda self: self.in_hand())
    @rule(target=orders, house=HOUSES, which=st.integers(0, 9), token=TOKENS)
    def pay_everything(self, house: int, which: int, token: str) -> str:
        """Pay all that a viewer has in their hands."""
        return self.everything(house, which, token)

    @precondition(lambda self: self.in_hand())
    @rule(target=orders, house=HOUSES, which=st.integers(0, 9), lost=st.integers(1, 3))
    def pay_too_slowly(self, house: int, which: int, lost: int) -> str:
        """Pay while the bank does not answer, and let some of it lapse under the payment."""
        name = self.everything(house, which, UNANSWERED)
        self.overdue(self.model.orders[name].holds[:lost])
        self.let_go(1)
        return name

    def everything(self, house: int, which: int, token: str) -> str:
        """Pay all that one of the viewers has in their hands."""
        held = self.in_hand()
        viewer = held[sorted(held)[which % len(held)]]
        return self.order(house, viewer, [name for name, of in held.items() if of == viewer], token)

    def in_hand(self) -> dict[str, str]:
        """Return what could be paid now, and whose it is."""
        holds = self.model.holds.items()
        return {name: hold.viewer for name, hold in holds if hold.state == "held" and not hold.overdue}

    def order(self, house: int, viewer: str, holds: list[str], token: str) -> str:
        """Pay with a new key and return its name."""
        name = self.name("pay")
        self.check_out(house, name, Order(viewer, holds, token))
        return name

    @rule(house=HOUSES, name=orders, lease_over=st.booleans())
    def pay_again(self, house: int, name: str, *, lease_over: bool) -> None:
        """Repeat a request to pay, while its first run is leased or after that run has died."""
        self.check_out(house, name, self.model.orders[name], lease_over=lease_over)

    @precondition(lambda self: self.model.waiting())
    @rule(house=HOUSES)
    def resume(self, house: int) -> None:
        """Let a worker go on with what waits: nothing before the leases are over, everything after."""
        work = self.house(house).checkout.resume
        assert self.world.run(work(self.show)) == 0
        waiting = self.model.waiting()
        for name in waiting:
            self.world.run(end_lease(self.house(0).client, self.show, self.order_id(name)))
            self.model.go_on(name)
        assert self.world.run(work(self.show)) == len(waiting)

    def check_out(self, house: int, name: str, order: Order, *, lease_over: bool = False) -> None:
        """Pay and compare the outcome; what was acknowledged must be in the ledger when the answer is there."""
        request = Request(
            order=ids.order(self.show, order.viewer, name),
            show=self.show,
            viewer=order.viewer,
            reservations=[self.hold_id(operation) for operation in order.holds],
            details={"provider": "sandbox", "method": "card", "token": order.token},
            expected_total=None,
        )
        if lease_over:
            self.world.run(end_lease(self.house(0).client, self.show, request.order))
        expected = self.model.pay(name, order, lease_over=lease_over)
        outcome = self.world.run(self.house(house).checkout.pay(request))
        assert named(outcome) == expected
        if isinstance(outcome, Paid):
            assert self.world.run(self.house(house + 1).checkout.pay(request)) == outcome
            self.world.run(self.acknowledged(name))


async def at_once(*work: Awaitable[Any]) -> list[Any]:
    """Run several calls side by side."""
    return list(await asyncio.gather(*work))


async def told(move: Awaitable[Any]) -> str:
    """Return `moved`, or the code of the refusal."""
    try:
        await move
    except Problem as problem:
        return problem.code.value
    return "moved"


def named(outcome: Held | Problem | Paid | Pending) -> str:
    """Return an outcome in the model's words."""
    match outcome:
        case Held(replayed=replayed):
            return "replayed" if replayed else "held"
        case Paid():
            return "paid"
        case Pending():
            return "pending"
        case problem:
            return problem.code.value
