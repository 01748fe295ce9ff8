"""What viewers of a recording may do beside what simulated ones do: queue, take several drops together, pay at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadtests.audience.measures import CHECKOUT, ORDER, RESERVE
from loadtests.audience.shopper import USUAL_REFUSALS
from loadtests.audience.venue import problem
from loadtests.audience.viewers import Lurker
from loadtests.seen import Take
from server.errors import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue

WAITLIST = "waitlist"
UNPLAYED = "not played"  # among the refusals: what could not be asked for, because of what came before it
NO_SALE = USUAL_REFUSALS | {
    Code.PAYMENT_DECLINED,
    Code.RESERVATION_EXPIRED,
    Code.WRONG_STATE,
    Code.SHOW_NOT_LIVE,
}


class Spender(Lurker):
    """A viewer who can do all that a recording may ask for. Moments called `intended` are monotonic."""

    def __init__(self, venue: Venue, number: int) -> None:
        super().__init__(venue, number)
        self.claimed: set[str] = set()  # drops that hold nothing, of which they have asked to pay some

    def unplayed(self, command: str) -> None:
        """Count what cannot be asked for."""
        self.venue.measures.refused(command, UNPLAYED)

    def noted(self, reservation: Message, operation: str, asked_at: float) -> Take:
        """Write units down, as many as they are."""
        return self._taken(reservation, reservation["quantity"], operation, asked_at)

    async def take_part(self, drop: str, quantity: int, operation: str, intended: float) -> Take | None:
        """Take what is left, with a place in the queue for the rest. Raises NoAnswerError."""
        wanted = {"type": "reserve", "id": operation, "drop": drop, "quantity": quantity, "part": True}
        answer, asked_at = await self._took(wanted, drop, intended)
        return self.noted(answer["reservation"], operation, asked_at) if "reservation" in answer else None

    async def take_bundle(
        self, wanted: Sequence[tuple[str, int]], operation: str, intended: float
    ) -> list[Take | None]:
        """Take units of several drops together. Raises NoAnswerError."""
        items = [{"drop": drop, "quantity": units} for drop, units in wanted]
        answer, asked_at = await self._took(
            {"type": "bundle", "id": operation, "items": items}, wanted[0][0], intended
        )
        return [
            self.noted(reservation, f"{operation}+{turn}", asked_at)
            for turn, reservation in enumerate(answer.get("reservations", ()))
        ]

    async def queue(self, command: Message) -> None:
        """Join a queue, or leave it. Raises NoAnswerError."""
        began = time.monotonic()
        answer = await self.ask(command)
        self.venue.measures.took(WAITLIST, time.monotonic() - began)
        if answer["type"] == "error":
            self._no(WAITLIST, command["drop"], answer, began)

    async def order(
        self,
        takes: Sequence[Take],
        items: Sequence[tuple[str, int]],
        card: str,
        key: str,
        intended: float,
    ) -> None:
        """Pay several takes as one order, or units of drops that hold nothing. Raises NoAnswerError."""
        asked_at, total = time.monotonic(), sum(take.unit_price * take.quantity for take in takes)
        body: Message = {"payment": {"method": "card", "token": card}}
        if takes:
            body |= {"reservations": [take.reservation for take in takes], "expected_total": total}
        else:
            self.claimed.update(drop for drop, _ in items)
            body["items"] = [{"drop": drop, "quantity": units} for drop, units in items]
        for take in takes:
            take.end = "unknown"
        answer = await self.call(CHECKOUT, "POST", "/v1/checkout", body, key)
        self.venue.measures.took(CHECKOUT, time.monotonic() - intended)
        if answer.code:
            self._not_paid(takes)
            self.venue.measures.refused(CHECKOUT, answer.code)
            if answer.code not in NO_SALE:
                self.venue.measures.failed(CHECKOUT, problem(answer))
            return
        order: Message = answer.body["order"]
        if takes and order["total"] != total:
            self.breach(f"the order {order['id']} costs {order['total']}, its units {total}")
        for line in order["lines"]:
            self._ordered_line(order, line, asked_at)
        if order["status"] == "paid":
            self.venue.measures.took(ORDER, time.monotonic() - intended)

    async def _took(self, command: Message, drop: str, intended: float) -> tuple[Message, float]:
        asked_at = time.monotonic()
        answer = await self.ask(command)
        self.venue.measures.took(RESERVE, time.monotonic() - intended)
        if answer["type"] == "error":
            self._no(RESERVE, drop, answer, asked_at)
        return answer, asked_at

    def _no(self, command: str, drop: str, error: Message, asked_at: float) -> None:
        self.refused(command, drop, error["code"], asked_at)
        if error["code"] not in NO_SALE:
            self.venue.measures.failed(command, f"{error['code']}: {error.get('message', '')}")

    def _not_paid(self, takes: Sequence[Take]) -> None:
        """Have takes again that were not paid, if their time is not over."""
        now = self.venue.server_time()
        for take in takes:
            take.end = "held" if take.expires_at > now else "expired"
            if take.end == "expired":
                take.gone_at = take.gone_at or take.expires_at

    def _ordered_line(self, order: Message, line: Message, asked_at: float) -> None:
        """Write down which order a reservation has become part of; one that was never held is taken with it."""
        take = self.takes.get(line["reservation"])
        if take is None:
            now = self.venue.server_time()
            take = Take(
                reservation=line["reservation"],
                drop=line["drop"],
                operation=order["id"],
                quantity=line["quantity"],
                unit_price=line["unit_price"],
                asked_at=self.venue.server_time(asked_at),
                held_at=now,
                expires_at=now,
                end="unknown",
            )
            self.takes[take.reservation] = take
            self.account.takes.append(take)
        take.orders.append(order["id"])
        if order["status"] == "paid":
            take.end, take.order = "paid", order["id"]
