"""What a viewer does who buys: wait for a drop, take units, pay, give them back or let them lapse.

Every repeat must meet its first result, nobody gets more than their limit, a lapse comes neither early nor late.
What breaks a promise is a failure in Locust's statistics.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from loadtests import habits
from loadtests.habits import PROGRAMME, chance, drawn
from loadtests.presence import Presence
from loadtests.transport import WireClosedError
from server.errors import Code

if TYPE_CHECKING:
    from loadtests.doors import Doors
    from loadtests.transport import Wire
    from loadtests.watch import Message
    from server.protocol.codec import Codec

EARLY_SECONDS = 0.1  # clocks of two processes may disagree by so much about a lapse
REFUSALS = frozenset({Code.OUT_OF_STOCK, Code.DROP_NOT_OPEN, Code.DROP_CLOSED})
GOOD_CARD, BAD_CARD = "tok_ok", "tok_declined"


class Shopper(Presence):
    """A viewer who buys. `shop`, `cheer` and `come_back` are what they do next; each ends by itself."""

    def __init__(self, doors: Doors, show: str, name: str, codec: Codec) -> None:
        super().__init__(doors, show, codec)
        self._name = name
        self._tries: dict[str, int] = {}
        self._done: set[str] = set()
        self._operations = itertools.count(1)

    def cheer(self) -> None:
        """React, and look whether the server still answers."""
        wire = self.connected()
        if wire is not None:
            try:
                wire.send({"type": "react", "kind": "heart", "count": 1})
            except WireClosedError as error:
                self.doors.score("react", 0, error)
            else:
                self.doors.ask(wire, {"type": "ping"})

    def shop(self) -> None:
        """Wait for something to take, take it, and do with it what this viewer does."""
        wire = self.connected()
        drop = self._choose(wire) if wire is not None else None
        if wire is None or drop is None:
            return
        asked_at = time.monotonic()
        reservation = self._reserve(wire, drop)
        if reservation is None:
            return
        self._done.add(drop)
        self.doors.tally.reservations += 1
        if chance(habits.LETS_LAPSE):
            self._let_lapse(wire, reservation, asked_at)
            return
        time.sleep(drawn(habits.THINKING))
        if chance(habits.RELEASES):
            self._release(wire, reservation, asked_at)
        else:
            self._pay(reservation, asked_at)

    def _choose(self, wire: Wire) -> str | None:
        early = chance(habits.TOO_EARLY)

        def found() -> str | None:
            return self.watch.on_offer(self._done) or (self.watch.announced(self._done) if early else None)

        try:
            wire.wait(lambda: found() is not None, habits.PATIENCE_SECONDS)
        except WireClosedError:
            return None
        drop = found()
        if drop is not None:
            time.sleep(drawn(habits.HESITATION))
        return drop

    def _reserve(self, wire: Wire, drop: str) -> Message | None:
        """Take units and return the reservation, or None where there was none to have."""
        quantity = 2 if chance(habits.ASKS_FOR_TWO) else 1
        greedy = chance(habits.ASKS_TOO_MUCH)
        if greedy:
            quantity = PROGRAMME.limit_per_viewer + 1
        operation = f"{self._name}-{next(self._operations)}"
        ask = self._reserve_http if chance(habits.THROUGH_HTTP) else self._reserve_ws
        answer = ask(wire, drop, quantity, operation, greedy=greedy)
        if answer is None:
            return None
        if "code" in answer:
            self._refused(drop, quantity, answer)
            return None
        if greedy or answer["quantity"] != quantity or answer["state"] != "held":
            self.breach("reserve", f"asked for {quantity}, got {answer['quantity']} {answer['state']}")
        if chance(habits.REPEATS):
            again = ask(wire, drop, quantity, operation, greedy=False)
            if again is not None and again.get("id") != answer["id"]:
                self.breach("reserve", f"a repeat of {answer['id']} got {again.get('id', again.get('code'))}")
        return answer

    def _reserve_ws(
        self, wire: Wire, drop: str, quantity: int, operation: str, *, greedy: bool
    ) -> Message | None:
        message: Message = {"type": "reserve", "id": operation, "drop": drop, "quantity": quantity}
        answer = self.doors.ask(wire, message, _refusals(greedy=greedy))
        return answer["reservation"] if answer is not None and "reservation" in answer else answer

    def _reserve_http(
        self, _wire: Wire, drop: str, quantity: int, operation: str, *, greedy: bool
    ) -> Message | None:
        return self.doors.call(
            "POST",
            f"/v1/shows/{self.show}/drops/{drop}/reservations",
            "/v1/…/reservations",
            body={"quantity": quantity},
            key=operation,
            refusals=_refusals(greedy=greedy),
        )

    def _refused(self, drop: str, quantity: int, answer: Message) -> None:
        if answer["code"] == Code.OUT_OF_STOCK and answer["available"] >= quantity:
            self.breach("reserve", f"out-of-stock for {quantity} though {answer['available']} are available")
        if answer["code"] == Code.DROP_NOT_OPEN:
            return
        self._tries[drop] = self._tries.get(drop, 0) + 1
        if self._tries[drop] >= habits.TRIES_PER_DROP:
            self._done.add(drop)

    def _release(self, wire: Wire, reservation: Message, asked_at: float) -> None:
        message = {"type": "release", "reservation": reservation["id"]}
        answer = self.doors.ask(wire, message, {Code.WRONG_STATE})
        if answer is None:
            return
        state = answer["reservation"]["state"] if "reservation" in answer else "expired"
        if state not in {"released", "expired"}:
            self.breach("release", f"a released reservation is {state}")
        if state == "expired":
            self._require_due("release", asked_at)

    def _let_lapse(self, wire: Wire, reservation: Message, asked_at: float) -> None:
        hold = PROGRAMME.hold_seconds
        began = time.monotonic()
        try:
            told = wire.wait(lambda: self._state(reservation) == "expired", hold + habits.LAPSE_GRACE_SECONDS)
        except WireClosedError:
            return  # counted when the next task finds it
        now = time.monotonic()
        if not told:
            self.breach("lapse (lateness)", f"no news of a lapse {now - began - hold:.1f} s after it was due")
        else:
            self._require_due("lapse (lateness)", asked_at)
            self.doors.score("lapse (lateness)", max(0.0, now - began - hold))

    def _require_due(self, name: str, asked_at: float) -> None:
        """Note a breach where a reservation asked for at `asked_at` has lapsed and cannot have been due."""
        age = time.monotonic() - asked_at
        if age < PROGRAMME.hold_seconds - EARLY_SECONDS:
            self.breach(name, f"lapsed after {age:.1f} s, held for {PROGRAMME.hold_seconds} s")

    def _pay(self, reservation: Message, asked_at: float) -> None:
        if chance(habits.DECLINED_FIRST):
            self._check_out(reservation, BAD_CARD)
        answer = self._check_out(reservation, GOOD_CARD)
        if answer is None:
            return
        if "code" in answer:  # the one refusal that a good card may meet
            self._require_due("checkout", asked_at)
            return
        order: Message = answer["order"]
        total = reservation["unit_price"] * reservation["quantity"]
        if order["total"] != total:
            self.breach("checkout", f"the order costs {order['total']}, its units {total}")
        if order["status"] == "paid":
            self.doors.tally.orders.append(order["id"])
        if chance(habits.REPEATS):
            again = self._check_out(reservation, GOOD_CARD)
            if again is not None and again.get("order", {}).get("id") != order["id"]:
                self.breach("checkout", f"a repeat of {order['id']} got {again.get('order', again)}")

    def _check_out(self, reservation: Message, card: str) -> Message | None:
        refusals = {Code.PAYMENT_DECLINED} if card == BAD_CARD else set()
        return self.doors.call(
            "POST",
            "/v1/checkout",
            "/v1/checkout",
            body={
                "reservations": [reservation["id"]],
                "payment": {"method": "card", "token": card},
                "expected_total": reservation["unit_price"] * reservation["quantity"],
            },
            key=f"{reservation['id']}-{card}",
            refusals=refusals | {Code.RESERVATION_EXPIRED},
        )

    def _state(self, reservation: Message) -> str:
        newest = self.watch.reservations.get(reservation["id"], reservation)
        return str(newest["state"])


def _refusals(*, greedy: bool) -> frozenset[str]:
    return REFUSALS | {Code.LIMIT_REACHED} if greedy else REFUSALS
