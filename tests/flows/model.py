"""What a show should do, in plain Python without time, network or concurrency: the machine compares with it.

Everything is named by the test (`ann`, `op3`, `pay1`), drops by their number. Methods change the model and return
the outcome that the server must give: `held`, `paid`, … or the error's code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALIVE = frozenset({"held", "paying"})
COUNTED = frozenset({"held", "paying", "sold"})
DECLINED = "tok_declined"
UNANSWERED = "tok_timeout_then_ok"  # the first authorization has no answer
HALF_DONE = "tok_capture_fails_once"  # the order is in the ledger, the first capture has no answer


@dataclass(slots=True)
class Drop:
    """One drop's numbers and state."""

    available: int
    limit: int
    held: int = 0
    sold: int = 0
    status: str = "open"

    @property
    def quantity(self) -> int:
        """All units that were ever offered."""
        return self.available + self.held + self.sold


@dataclass(slots=True)
class Hold:
    """One reservation. `overdue`: its deadline is over, whether or not a sweep has come by."""

    viewer: str
    drop: int
    quantity: int
    state: str = "held"
    order: str = ""
    overdue: bool = False


@dataclass(slots=True)
class Order:
    """One request to pay: what for, how, and how far it has come. `step` is empty where nothing is under way."""

    viewer: str
    holds: list[str]
    token: str
    step: str = ""
    paid: bool = False


@dataclass(slots=True)
class Model:
    """A live show."""

    drops: list[Drop] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    restocks: set[str] = field(default_factory=set)
    live: bool = True

    def reserve(self, name: str, viewer: str, number: int, quantity: int) -> str:
        """Take units, or say why not."""
        known = self.holds.get(name)
        if known:
            same = (known.drop, known.quantity) == (number, quantity)
            return "replayed" if same else "idempotency-mismatch"
        refusal = self._refusal(viewer, number, quantity)
        if refusal:
            return refusal
        self.drops[number].available -= quantity
        self.drops[number].held += quantity
        self.holds[name] = Hold(viewer, number, quantity)
        return "held"

    def _refusal(self, viewer: str, number: int, quantity: int) -> str:
        drop = self.drops[number]
        if drop.status == "closed":
            return "drop-closed"
        if not self.live:
            return "show-not-live"
        if drop.status != "open":
            return "drop-not-open"
        if self.taken(viewer, number) + quantity > drop.limit:
            return "limit-reached"
        return "out-of-stock" if drop.available < quantity else ""

    def taken(self, viewer: str, number: int) -> int:
        """Return a viewer's units of a drop that count for the limit."""
        mine = (hold for hold in self.holds.values() if (hold.viewer, hold.drop) == (viewer, number))
        return sum(hold.quantity for hold in mine if hold.state in COUNTED)

    def release(self, name: str, viewer: str) -> str:
        """Give units back, or say why not; what was let go already answers with its state."""
        hold = self.holds.get(name)
        if hold is None:
            return "not-found"
        if hold.viewer != viewer:
            return "not-allowed"
        if hold.state == "paying":
            return "in-progress"
        if hold.state == "sold":
            return "wrong-state"
        if hold.state == "held":
            self._let_go(hold, "released")
        return hold.state

    def sweep(self) -> int:
        """Let everything overdue go; return how many."""
        overdue = [hold for hold in self.holds.values() if hold.overdue and hold.state in ALIVE]
        for hold in overdue:
            self._let_go(hold, "expired")
        return len(overdue)

    def restock(self, number: int, quantity: int, operation: str) -> str:
        """Add units once per drop and operation."""
        drop = self.drops[number]
        if f"{number} {operation}" in self.restocks:
            return "moved"
        if drop.status == "closed":
            return "wrong-state"
        self.restocks.add(f"{number} {operation}")
        drop.available += quantity
        return "moved"

    def pay(self, name: str, order: Order, *, lease_over: bool = False) -> str:
        """Pay: the outcome is `paid`, `pending`, or a code."""
        known = self.orders.setdefault(name, order)
        if known.step:
            return self.go_on(name) if lease_over else "pending"
        refusal = self._claim(known, name)
        if refusal:
            return refusal
        if known.token == DECLINED:
            for hold in self._claimed_by(name):
                hold.state, hold.order = "held", ""
            return "payment-declined"
        if known.token == UNANSWERED:
            known.step = "claimed"
            return "pending"
        self._sell(name)
        if known.token == HALF_DONE:
            known.step = "committed"
            return "pending"
        known.paid = True
        return "paid"

    def go_on(self, name: str) -> str:
        """Go on with an order that waits; this time the provider answers."""
        order = self.orders[name]
        step, order.step = order.step, ""
        if step == "claimed":
            claimed = self._claimed_by(name)
            if len(claimed) < len(order.holds):
                for hold in claimed:
                    hold.state, hold.order = "held", ""
                    if hold.overdue:
                        self._let_go(hold, "expired")
                return "reservation-expired"
            self._sell(name)
        order.paid = True
        return "paid"

    def waiting(self) -> list[str]:
        """Return the orders that wait for a worker."""
        return [name for name, order in self.orders.items() if order.step]

    def _claim(self, order: Order, name: str) -> str:
        """Claim an order's holds; return why not, `paid` where they are bought already, or an empty string."""
        for wanted in order.holds:
            refusal = self._not_payable(self.holds[wanted], order.viewer, name)
            if refusal:
                return refusal
        holds = [self.holds[wanted] for wanted in order.holds]
        if any(hold.state == "sold" for hold in holds):
            return "paid"
        for hold in holds:
            hold.state, hold.order = "paying", name
        return ""

    def _not_payable(self, hold: Hold, viewer: str, order: str) -> str:
        if hold.viewer != viewer:
            return "not-allowed"
        if hold.state == "sold":
            return "" if hold.order == order else "wrong-state"
        if hold.state == "paying":
            return "in-progress"
        return "" if hold.state == "held" and not hold.overdue else "reservation-expired"

    def _claimed_by(self, name: str) -> list[Hold]:
        return [hold for hold in self.holds.values() if hold.state == "paying" and hold.order == name]

    def _sell(self, name: str) -> None:
        for hold in self._claimed_by(name):
            drop = self.drops[hold.drop]
            drop.held -= hold.quantity
            drop.sold += hold.quantity
            hold.state = "sold"

    def _let_go(self, hold: Hold, state: str) -> None:
        drop = self.drops[hold.drop]
        drop.available += hold.quantity
        drop.held -= hold.quantity
        hold.state, hold.order = state, ""
