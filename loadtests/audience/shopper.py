"""Taking, giving back and paying, and what is held against every answer.

Nobody gets more than their limit, a repeat meets its first result, what was asked for is what is held, sold out is
said only where it is true, a lapse comes neither early nor late, an order costs what its units cost.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from loadtests.audience.measures import CHECKOUT, LATENESS, ORDER, RELEASE, RESERVE
from loadtests.audience.person import Person
from loadtests.audience.venue import problem
from loadtests.habits import LAPSE_GRACE_SECONDS
from loadtests.seen import Take
from server.errors import Code

if TYPE_CHECKING:
    from loadtests.audience.http import Answer
    from loadtests.audience.numbers import Message

EARLY_SECONDS = 0.1  # clocks of two processes may disagree by so much about a lapse, beside the known error
ORDER_SECONDS = 20.0  # for an order that is not settled with its answer
LOOK_SECONDS = 0.5
GOOD_CARD, BAD_CARD = "tok_ok", "tok_declined"
TAKEN = ("held", "paid", "unknown")
USUAL_REFUSALS = frozenset({Code.OUT_OF_STOCK, Code.DROP_NOT_OPEN, Code.DROP_CLOSED, Code.LIMIT_REACHED})
UNDECIDED = frozenset({Code.UNAVAILABLE, Code.IN_PROGRESS})
CREATED, ACCEPTED = 201, 202


class Outcome(NamedTuple):
    """What came of a wish to take: the units, or the code why not and how many were available."""

    take: Take | None
    code: str = ""
    available: int = 0


class Shopper(Person):
    """A viewer who can take. Moments called `intended` are monotonic: measured from there, whenever it was sent."""

    async def reserve(  # noqa: PLR0913  what a tap is made of
        self,
        drop: str,
        quantity: int,
        intended: float,
        *,
        operation: str = "",
        again: bool = False,
        through_http: bool = False,
    ) -> Outcome:
        """Take units; `again` repeats an operation, which must meet its first result. Raises NoAnswerError."""
        asked_at, absences = time.monotonic(), self.absences
        name = operation or self.operation()
        if through_http:
            answer = await self._reserve_http(drop, quantity, name)
            self.answered_at = time.monotonic()
        else:
            command = {"type": "reserve", "id": name, "drop": drop, "quantity": quantity}
            answer = await self.ask(command)
        if not again and absences == self.absences:  # an absence of their own is not the server's time
            self.venue.measures.took(RESERVE, self.answered_at - intended)
        if answer["type"] == "error":
            if again:
                self.breach(f"a repeat of {name}, which was granted, got {answer['code']}")
            return self._not_taken(drop, quantity, answer, asked_at)
        if answer["reservation"]["state"] != "held" and not answer.get("replayed"):
            self.breach(f"asked for {quantity}, got what is {answer['reservation']['state']}")
        return Outcome(self._taken(answer["reservation"], quantity, name, asked_at))

    async def release(self, take: Take, intended: float) -> None:
        """Give units back. Raises NoAnswerError."""
        take.gone_at, absences = self.venue.server_time(), self.absences
        take.end = "unknown"
        answer = await self.ask({"type": "release", "reservation": take.reservation})
        if absences == self.absences:
            self.venue.measures.took(RELEASE, self.answered_at - intended)
        if answer["type"] == "error":
            self.venue.measures.refused(RELEASE, answer["code"])
            if answer["code"] not in {Code.WRONG_STATE, Code.RESERVATION_EXPIRED}:
                self.venue.measures.failed(RELEASE, f"{answer['code']}: {answer.get('message', '')}")
            state = "expired"
        else:
            state = answer["reservation"]["state"]
        take.end = state if state in {"released", "expired"} else "unknown"
        if state not in {"released", "expired"}:
            self.breach(f"{take.reservation} was given back and is {state}")
        if state == "expired":
            self._require_due(take)

    async def let_lapse(self, take: Take) -> None:
        """Wait until units have lapsed: the news must come in time to who is there to hear it."""
        line, due = self.line, self.venue.local(take.expires_at)
        slack = LAPSE_GRACE_SECONDS + self.venue.clock_error
        if await self.wait(lambda: take.end != "held", due + slack):
            return
        self._gone(take)
        if line is not None and self.line is line and not self.narrow:
            self.breach(f"no news of the lapse of {take.reservation} {slack:.1f} s after it was due")

    async def check_out(self, take: Take, card: str, intended: float) -> Answer:
        """Pay for units with a card of the sandbox. Raises NoAnswerError."""
        body = {
            "reservations": [take.reservation],
            "payment": {"method": "card", "token": card},
            "expected_total": take.unit_price * take.quantity,
        }
        answer = await self.call(CHECKOUT, "POST", "/v1/checkout", body, f"{take.reservation}-{card}")
        self.venue.measures.took(CHECKOUT, time.monotonic() - intended)
        if answer.code:
            self.venue.measures.refused(CHECKOUT, answer.code)
        return answer

    async def pay(
        self, take: Take, tapped: float, decided: float, *, declined_first: bool, twice: bool
    ) -> None:
        """Pay, until there is a paid order or a reason why not: tapped, and decided to pay, at these moments."""
        if declined_first:
            declined = await self.check_out(take, BAD_CARD, decided)
            decided = time.monotonic()
            if declined.status == ACCEPTED or declined.code in UNDECIDED:
                take.end = "unknown" if take.end == "held" else take.end
                return  # the provider is slow: whether it will decline is not known yet, so no second card
            if declined.code not in {Code.PAYMENT_DECLINED, Code.RESERVATION_EXPIRED}:
                self.breach(f"a card that is declined was answered with {problem(declined)}")
        before, take.end = take.end, "unknown" if take.end == "held" else take.end
        answer = await self.check_out(take, GOOD_CARD, decided)
        if answer.code == Code.RESERVATION_EXPIRED:
            self._gone(take)
            self._require_due(take)
            return
        if answer.code:
            take.end = before
            self.venue.measures.failed(CHECKOUT, problem(answer))
            return
        await self._ordered(take, answer, tapped)
        if twice and take.orders:
            again = await self.check_out(take, GOOD_CARD, time.monotonic())
            name = again.body.get("order", {}).get("id", again.code)
            if name not in take.orders:
                take.orders.append(name)
                self.breach(f"a repeat of the checkout of {take.orders[0]} got {name}")

    def lapsed(self, take: Take) -> None:
        """Hear that the server has let units lapse."""
        now = self.venue.server_time()
        if take.end == "paid":
            self.breach(f"{take.reservation} is paid with {take.order} and was said to have lapsed")
            return
        if take.end == "held":
            self.venue.measures.took(LATENESS, now - take.expires_at)
        self._gone(take)
        self._require_due(take)

    def end(self) -> None:
        """Complete what is known of the units."""
        now = self.venue.server_time()
        if not (self.busy or self.account.unanswered):
            for reservation in self.strange:
                self.breach(f"was told of {reservation}, which they have not taken")
        for take in self.account.takes:
            if take.end == "held" and take.expires_at <= now:
                self._gone(take)
        super().end()

    async def _reserve_http(self, drop: str, quantity: int, key: str) -> Message:
        """Reserve through the HTTP door; return what the live socket would have answered."""
        path = f"/v1/shows/{self.venue.show}/drops/{drop}/reservations"
        answer = await self.call(RESERVE, "POST", path, {"quantity": quantity}, key)
        if answer.code:
            return {"message": answer.body.get("detail", ""), **answer.body, "type": "error"}
        if answer.status not in {200, CREATED} or "id" not in answer.body:
            return {"type": "error", "code": str(answer.status), "message": "no reservation in the answer"}
        return {"type": "reservation", "reservation": answer.body}

    def _taken(self, reservation: Message, quantity: int, operation: str, asked_at: float) -> Take:
        """Write down what is held, once, and hold it against the promises."""
        known = self.takes.get(reservation["id"])
        if known is not None:
            return known
        earlier = next((take for take in self.account.takes if take.operation == operation), None)
        if earlier is not None:
            self.breach(f"a repeat of {earlier.reservation} got {reservation['id']}")
        drop = reservation["drop"]
        take = Take(
            reservation=reservation["id"],
            drop=drop,
            operation=operation,
            quantity=reservation["quantity"],
            unit_price=reservation["unit_price"],
            asked_at=self.venue.server_time(asked_at),
            held_at=self.venue.server_time(max(self.answered_at, asked_at)),
            expires_at=reservation["expires_at"] / 1000,
        )
        if take.quantity != quantity:
            self.breach(f"asked for {quantity}, got {take.quantity}")
        if reservation["state"] in {"released", "expired"}:  # the answer to a repeat, after a break
            take.end, take.gone_at = reservation["state"], take.held_at
        self.takes[take.reservation] = take
        self.account.takes.append(take)
        if self.strange.pop(take.reservation, "") == "expired":
            self.lapsed(take)
        terms = self.venue.terms.get(drop)
        has = self.has(drop)
        if terms is not None and has > terms.limit_per_viewer:
            self.breach(
                f"{has} units of {drop} were given to one viewer, the limit is {terms.limit_per_viewer}"
            )
        return take

    def has(self, drop: str) -> int:
        """Return how many units of a drop this viewer has taken and not given back or lost."""
        return sum(take.quantity for take in self.account.takes if take.drop == drop and take.end in TAKEN)

    def _gone(self, take: Take) -> None:
        """Know that units have lapsed: they were not had for certain after they were due, or given back."""
        moment = min(self.venue.server_time(), take.expires_at)
        take.end, take.gone_at = "expired", take.gone_at or max(take.held_at, moment)

    def _not_taken(self, drop: str, quantity: int, error: Message, asked_at: float) -> Outcome:
        code, available = error["code"], error.get("available", 0)
        self.refused(RESERVE, drop, code, asked_at, quantity)
        if code == Code.OUT_OF_STOCK and available >= quantity:
            self.breach(f"out-of-stock for {quantity} of {drop} though {available} are available")
        terms = self.venue.terms.get(drop)
        if code == Code.LIMIT_REACHED and terms is not None and quantity <= terms.limit_per_viewer:
            if not any(take.drop == drop for take in self.account.takes):
                self.breach(f"limit-reached for {quantity} of {drop} by who has taken nothing")
        elif code not in USUAL_REFUSALS:
            self.venue.measures.failed(RESERVE, f"{code}: {error.get('message', '')}")
        return Outcome(None, code, available)

    def _require_due(self, take: Take) -> None:
        """Note a breach where units have lapsed before they may."""
        early = take.expires_at - self.venue.server_time()
        if early > EARLY_SECONDS + self.venue.clock_error:
            self.breach(f"{take.reservation} lapsed {early:.1f} s before it may")

    async def _ordered(self, take: Take, answer: Answer, tapped: float) -> None:
        """Follow an order until it is paid or not, and write it down."""
        order: Message = answer.body.get("order", {})
        if not order:
            self.venue.measures.failed(CHECKOUT, f"{answer.status} without an order")
            return
        take.orders.append(order["id"])
        total = take.unit_price * take.quantity
        if order["total"] != total:
            self.breach(f"the order {order['id']} costs {order['total']}, its units {total}")
        deadline = time.monotonic() + ORDER_SECONDS
        while order.get("status") == "confirming" and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            looked = await self.call(ORDER, "GET", f"/v1/orders/{order['id']}", None)
            order = looked.body.get("order", looked.body)
        if order.get("status") not in {"paid", "fulfilled"}:
            self.venue.measures.failed(
                ORDER, f"an order is {order.get('status', 'gone')} after {ORDER_SECONDS:g} s"
            )
            return
        self.venue.measures.took(ORDER, time.monotonic() - tapped)
        if take.end == "expired":
            self.breach(f"{take.reservation} was said to have lapsed, and then paid with {order['id']}")
        take.end, take.order = "paid", order["id"]
