"""Buyers at the till: pay, pay again, pay too slowly, and workers who go on with what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, precondition, rule

from server.checkout.saga import Paid, Pending, Request
from tests.deadlines import end_lease
from tests.flows.machine_asking import ADDRESSES
from tests.flows.machine_buying import WHO
from tests.flows.machine_crowds import Crowds
from tests.flows.machine_drops import HOUSES, NUMBERS, UNITS
from tests.flows.model import DECLINED, HALF_DONE, UNANSWERED, Order
from tests.flows.promises import same

if TYPE_CHECKING:
    from server.errors import Problem

TOKENS = st.sampled_from(["tok_ok", DECLINED, UNANSWERED, HALF_DONE])


class Till(Crowds):
    """Orders, each one made on the model and through the checkout of a house."""

    orders: Bundle[str] = Bundle("orders")

    @precondition(lambda self: self.model.holds)
    @rule(target=orders, house=HOUSES, first=NUMBERS, second=NUMBERS, both=st.booleans(), token=TOKENS)
    def pay(self, house: int, first: int, second: int, token: str, *, both: bool) -> str:
        """Pay one reservation or two, which may be gone, or another viewer's."""
        one, other = self.pick(first, {"held"}), self.pick(second, ())
        holds = [one, other] if both and one != other else [one]
        return self.order(house, Order(self.model.holds[one].viewer, holds, token))

    @precondition(lambda self: self.in_hand())
    @rule(target=orders, house=HOUSES, which=NUMBERS, token=TOKENS)
    def pay_everything(self, house: int, which: int, token: str) -> str:
        """Pay all that a viewer has in their hands."""
        return self.everything(house, which, token)

    @precondition(lambda self: self.in_hand())
    @rule(target=orders, house=HOUSES, which=NUMBERS, lost=st.integers(1, 3))
    def pay_too_slowly(self, house: int, which: int, lost: int) -> str:
        """Pay while the bank does not answer, and let some of it lapse under the payment."""
        name = self.everything(house, which, UNANSWERED)
        self.overdue(self.model.orders[name].holds[:lost])
        self.let_go(1)
        return name

    @precondition(lambda self: self.payable())
    @rule(target=orders, house=HOUSES, viewer=WHO, which=NUMBERS, units=UNITS, token=TOKENS)
    def pay_first(self, house: int, viewer: str, which: int, units: int, token: str) -> str:
        """Pay for units of a drop that holds nothing, or of two; sometimes of one that is no such drop."""
        drops = self.payable()
        number = self.go_on(drops[which % len(drops)])
        items = {number: units} if which % 3 else {number: 1, self.number(which // 3): 1}
        buyer = self.name("viewer") if which % 2 else viewer
        return self.order(house, Order(buyer, [], token, tuple(items.items()), ADDRESSES.get(buyer, "")))

    def payable(self) -> list[int]:
        """Return the drops that hold nothing."""
        return [number for number, drop in enumerate(self.model.drops) if drop.mode == "first_paid"]

    def everything(self, house: int, which: int, token: str) -> str:
        """Pay all that one of the viewers has in their hands."""
        held = self.in_hand()
        viewer = held[sorted(held)[which % len(held)]]
        return self.order(house, Order(viewer, [name for name, of in held.items() if of == viewer], token))

    def in_hand(self) -> dict[str, str]:
        """Return what could be paid now, and whose it is."""
        holds = self.model.holds.items()
        return {name: hold.viewer for name, hold in holds if hold.state == "held" and not hold.overdue}

    def order(self, house: int, order: Order) -> str:
        """Pay with a new key and return its name."""
        name = self.name("pay")
        self.askers[name] = order.viewer
        self.check_out(house, name, order)
        return name

    @rule(house=HOUSES, name=orders, lease_over=st.booleans())
    def pay_again(self, house: int, name: str, *, lease_over: bool) -> None:
        """Repeat a request to pay, while its first run is leased or after that run has died."""
        self.check_out(house, name, self.model.orders[name], lease_over=lease_over)

    @precondition(lambda self: self.model.waiting())
    @rule(swept=st.booleans())
    def the_bank_takes_too_long(self, *, swept: bool) -> None:
        """Let the deadlines of everything that is being paid pass, whether or not a sweeper comes by."""
        self.overdue([name for name, hold in self.model.holds.items() if hold.state == "paying"])
        if swept:
            self.let_go(1)

    @precondition(lambda self: self.model.waiting())
    @rule(house=HOUSES)
    def resume(self, house: int) -> None:
        """Let a worker go on with what waits, one after the other: nothing before the leases are over, then all."""
        work = self.house(house).checkout.resume
        assert self.world.run(work(self.show)) == 0
        for name in self.model.waiting():
            self.world.run(end_lease(self.house(0).client, self.show, self.order_id(name)))
            self.model.go_on(name)
            assert self.world.run(work(self.show)) == 1

    def check_out(self, house: int, name: str, order: Order, *, lease_over: bool = False) -> None:
        """Pay and compare the outcome; what was acknowledged must be in the ledger when the answer is there."""
        self.model.orders.setdefault(name, order)
        request = Request(
            order=self.order_id(name),
            show=self.show,
            viewer=order.viewer,
            reservations=[] if order.items else [self.hold_id(held) for held in order.holds],
            details={"provider": "sandbox", "method": "card", "token": order.token},
            expected_total=None,
            items=tuple((self.drop_ids[number], units) for number, units in order.items),
            operation=name,
            address=order.address,
        )
        if lease_over:
            self.world.run(end_lease(self.house(0).client, self.show, request.order))
        expected = self.model.pay(name, order, lease_over=lease_over)
        outcome = self.world.run(self.house(house).checkout.pay(request))
        same(name, named(outcome), expected)
        if isinstance(outcome, Paid):
            assert self.world.run(self.house(house + 1).checkout.pay(request)) == outcome
            self.world.run(self.acknowledged(name))


def named(outcome: Paid | Pending | Problem) -> str:
    """Return an outcome in the model's words."""
    match outcome:
        case Paid():
            return "paid"
        case Pending():
            return "pending"
        case problem:
            return problem.code.value
