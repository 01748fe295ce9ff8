"""What a show should do, in plain Python without time, network or concurrency: the machine compares with it.

Methods change the model and return what the server must say: `moved`, `paid`, … or the error's code.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.flows.model_show import ALIVE
from tests.flows.model_steps import Steps, Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.flows.model_show import Place

DECLINED = "tok_declined"
UNANSWERED = "tok_timeout_then_ok"  # the first authorization has no answer
HALF_DONE = "tok_capture_fails_once"  # the order is in the ledger, the first capture has no answer
# verb -> from which states, to which
MOVES = {
    "pause": ({"open"}, "paused"),
    "resume": ({"paused"}, "open"),
    "close": ({"open", "paused"}, "closed"),
}
PAST = {"pause": "paused", "resume": "resumed", "close": "closed"}


@dataclass(slots=True)
class Order:
    """One request to pay: what for, how, and how far it has come. `step` is empty where nothing is under way.

    With `items`, units of drops that hold nothing, `holds` are what it takes of them.
    """

    viewer: str
    holds: list[str]
    token: str
    items: tuple[tuple[int, int], ...] = ()
    address: str = ""
    step: str = ""
    paid: bool = False


@dataclass(slots=True)
class Model(Steps):
    """A live show."""

    orders: dict[str, Order] = field(default_factory=dict)
    restocks: set[str] = field(default_factory=set)

    # -- the host's moves

    def move(self, number: int, verb: str) -> str:
        """Pause, resume or close a drop. A draw is closed by `draw`."""
        known, status = MOVES[verb]
        drop = self.drops[number]
        if drop.status not in known:
            return "wrong-state"
        drop.status = status
        self.events.append(f"drop.{PAST[verb]}")
        if verb != "pause":
            self.touch(number, change=True)
            self.settle()
        return "moved"

    def draw(self, number: int, seed: str, own: Callable[[str], str]) -> None:
        """Close a draw: the entries get what is there in the order that the seed gives their ids."""
        drop = self.drops[number]
        drop.status = "closed"
        self.events += ["drop.drawn", "drop.closed"]
        order: dict[int, Place] = {}
        for place in drop.queue:
            its = int(
                hashlib.sha1((seed + own(place.name)).encode(), usedforsecurity=False).hexdigest()[:10], 16
            )
            while its in order:
                its += 1
            order[its] = place
        self.touch(number, change=True)
        self.serve(number, [order[its] for its in sorted(order)], drop.available)
        self.settle(serving=False)

    def move_show(self) -> str:
        """Pause a live show, let a paused one go on; return which of the two."""
        verb = "pause" if self.live else "resume"
        self.live = not self.live
        self.events.append("show.resumed" if self.live else "show.paused")
        return verb

    def restock(self, number: int, quantity: int, operation: str) -> str:
        """Add units once per drop and operation."""
        if f"{number} {operation}" in self.restocks:
            return "moved"
        if self.drops[number].status == "closed":
            return "wrong-state"
        self.restocks.add(f"{number} {operation}")
        self._add(number, quantity)
        return "moved"

    def release_wave(self, number: int, operation: str) -> str:
        """Let the next wave come, once per operation."""
        drop = self.drops[number]
        if operation and any(wave.operation == operation for wave in drop.waves):
            return "moved"
        wave = next((wave for wave in drop.waves if not wave.released), None)
        if drop.status == "closed" or wave is None:
            return "wrong-state"
        wave.released, wave.operation = True, operation
        self._add(number, wave.quantity)
        return "moved"

    def _add(self, number: int, quantity: int) -> None:
        self.drops[number].available += quantity
        self.events.append("drop.restocked")
        self.touch(number, change=True)
        self.settle()

    # -- what workers do

    def look_again(self, number: int) -> None:
        """Bring units and those who wait for them together."""
        self.touch(number, change=True)
        self.settle()

    def waits_in_vain(self) -> list[int]:
        """Return the drops where units and somebody who could have them wait for each other."""
        return [
            number
            for number, drop in enumerate(self.drops)
            if drop.mode == "fifo" and drop.status == "open" and self.live and drop.available > 0
            if any(self.is_here(place) for place in drop.queue)
        ]

    def sweep(self) -> int:
        """Let everything overdue go, in the order of the deadlines; return how many."""
        overdue = [name for name, hold in self.holds.items() if hold.overdue and hold.state in ALIVE]
        for name in sorted(overdue, key=lambda name: self.holds[name].overdue):
            self.unmet += self.holds[name].quantity
            self.let_go(name, "expired")
        self.settle()
        return len(overdue)

    def go_on(self, name: str) -> str:
        """Go on with an order that waits; this time the provider answers."""
        order = self.orders[name]
        step, order.step = order.step, ""
        if step == "claimed":
            if not self._all_there(name):
                self._unclaim(name)
                return "reservation-expired"
            self._sell(name)
        order.paid = True
        return "paid"

    def waiting(self) -> list[str]:
        """Return the orders that wait for a worker."""
        return [name for name, order in self.orders.items() if order.step]

    # -- money

    def pay(self, name: str, order: Order, *, lease_over: bool = False) -> str:
        """Pay: the outcome is `paid`, `pending`, or a code."""
        known = self.orders.setdefault(name, order)
        if not known.items:
            return self._pay(name, known, lease_over=lease_over)
        claim = Wish("claim", name, known.viewer, known.items, known.address, bundle=True)
        word, *_ = self.step(claim)[0]
        if word not in {"held", "replayed"}:
            return str(word)
        known.holds = claim.names
        outcome = self._pay(name, known, lease_over=lease_over)
        if outcome not in {"paid", "pending"}:
            for taken in claim.names:
                self.step(Wish("release", taken, known.viewer))
        return outcome

    def _pay(self, name: str, order: Order, *, lease_over: bool) -> str:
        if order.step:
            return self.go_on(name) if lease_over else "pending"
        refusal = self._claim(order, name)
        if refusal:
            return refusal
        if order.token == DECLINED:
            self._unclaim(name)
            return "payment-declined"
        if order.token == UNANSWERED:
            order.step = "claimed"
            return "pending"
        self._sell(name)
        if order.token == HALF_DONE:
            order.step = "committed"
            return "pending"
        order.paid = True
        return "paid"

    def _claim(self, order: Order, name: str) -> str:
        """Claim an order's holds; return why not, `paid` where they are bought already, or an empty string."""
        for wanted in order.holds:
            refusal = self._not_payable(wanted, order.viewer, name)
            if refusal:
                return refusal
        holds = [self.holds[wanted] for wanted in order.holds]
        sold = [hold for hold in holds if hold.state == "sold"]
        if sold:
            return "paid" if len(sold) == len(holds) else "wrong-state"
        for hold in holds:
            hold.state, hold.order = "paying", name
        return ""

    def _not_payable(self, wanted: str, viewer: str, order: str) -> str:
        hold = self.holds[wanted]
        if hold.viewer != viewer:
            return "not-allowed"
        if hold.state == "sold":
            return "" if hold.order == order else "wrong-state"
        if hold.state == "paying":
            return "in-progress"
        return "" if hold.state == "held" and not hold.overdue else "reservation-expired"

    def _all_there(self, name: str) -> bool:
        """Take again what lapsed under a payment, one after the other; whether the order has all of its holds then.

        Where one of them is gone nothing has been taken again.
        """
        mine, taken = copy.deepcopy(self.mine), []
        kept = self._claimed_by(name)
        for held in self.orders[name].holds:
            if held not in kept:
                if not self._retake(held, name):
                    break
                taken.append(held)
        else:
            return True
        for held in taken:
            hold = self.holds[held]
            hold.state, hold.order = "expired", ""
            self.drops[hold.drop].available += hold.quantity
            self.drops[hold.drop].held -= hold.quantity
        self.mine = mine
        return False

    def _retake(self, held: str, name: str) -> bool:
        hold = self.holds[held]
        number, units = hold.drop, hold.quantity
        room = self.room(hold.viewer, number, hold.address)
        if hold.state != "expired" or self.free(number) < units or room < units:
            return False
        drop = self.touch(number, change=True)
        drop.available -= units
        drop.held += units
        hold.state, hold.order, hold.overdue = "paying", name, 0
        rows = self.mine.setdefault(hold.viewer, [])
        at = next((at for at, row in enumerate(rows) if row[0] > 0 and row[2] == held), len(rows))
        rows[at : at + 1] = [(number + 1, units, held)]
        return True

    def _claimed_by(self, name: str) -> list[str]:
        claimed = ("paying", name)
        return [held for held in self.orders[name].holds if self._state(held) == claimed]

    def _state(self, held: str) -> tuple[str, str]:
        return self.holds[held].state, self.holds[held].order

    def _unclaim(self, name: str) -> None:
        """Hold again what an order claimed, or let it go where its time is over or its drop holds nothing."""
        for held in self._claimed_by(name):
            hold = self.holds[held]
            if hold.overdue or self.drops[hold.drop].mode == "first_paid":
                self.touch(hold.drop)
                self.let_go(held, "expired")
            else:
                self.touch(hold.drop)
                hold.state, hold.order = "held", ""
        self.settle()

    def _sell(self, name: str) -> None:
        for held in self._claimed_by(name):
            hold = self.holds[held]
            drop = self.touch(hold.drop, change=True)
            drop.held -= hold.quantity
            drop.sold += hold.quantity
            hold.state = "sold"
        self.settle(serving=False)
