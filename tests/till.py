"""A payment provider for tests: it keeps its promise, and books what it was asked for and what really moved.

Its tokens play what real cards do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from server.payments.provider import (
    ActionRequired,
    Authorized,
    Declined,
    Payment,
    RefusedError,
    Status,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from server.house import House
    from server.payments.provider import Charge

DECLINES = frozenset({"tok_declined", "tok_insufficient_funds"})
UNANSWERED = "tok_timeout_then_ok"  # the first request is lost on its way to the provider
ANSWER_LOST = "tok_answer_lost"  # the first request is carried out, its answer is lost
ACTION = "tok_requires_action"
CAPTURE_LOST = "tok_capture_fails_once"  # the first capture is lost on its way
CAPTURE_ANSWER_LOST = "tok_capture_answer_lost"  # the first capture is carried out, its answer is lost
URL = "https://bank.example/act/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the books: what was asked (`authorize` …), or what happened at the provider (`status`)."""

    verb: str
    order: str
    amount: int = 0
    currency: str = ""
    status: str = ""
    reason: str = ""


class Till:
    """One provider, under the name that the tests' orders have."""

    name = "sandbox"

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    # -- its promise

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Reserve by the token; a repeat is answered by what became of the first."""
        first = not self.asked("authorize", charge.order)
        self._note(Entry("authorize", charge.order, charge.amount, charge.currency))
        payment = await self.find(charge.order)
        if payment is None:
            if charge.token == UNANSWERED and first:
                raise UnknownOutcomeError("The request was lost.")
            payment = self._decided(charge)
            if charge.token == ANSWER_LOST:
                raise UnknownOutcomeError("The answer was lost.")
        if payment.status in {Status.DECLINED, Status.VOIDED}:
            return Declined(payment.reason or "The payment was let go.")
        if payment.status is Status.REQUIRES_ACTION:
            return ActionRequired(payment.reference, payment.url)
        return Authorized(payment.reference)

    async def find(self, order: str) -> Payment | None:
        """Read the books."""
        payment: Payment | None = None
        for entry in self.entries():
            if entry.order != order or entry.verb != "status":
                continue
            if not entry.status:
                payment = None
                continue
            status = Status(entry.status)
            payment = Payment(
                order=order,
                reference=f"pay_{order}",
                status=status,
                amount=entry.amount,
                currency=entry.currency,
                captured=entry.amount if status is Status.CAPTURED else 0,
                refunded=entry.amount if self.asked("refunded", order) else 0,
                url=URL + order if status is Status.REQUIRES_ACTION else "",
                reason=entry.reason,
            )
        return payment

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move what is reserved."""
        first = not self.asked("capture", charge.order)
        self._note(Entry("capture", charge.order, charge.amount, charge.currency))
        payment = await self.find(charge.order)
        if payment is None or payment.reference != reference:
            raise UnknownOutcomeError("There is no such payment.")
        if charge.token == CAPTURE_LOST and first:
            raise UnknownOutcomeError("The request was lost.")
        if payment.status is Status.CAPTURED:
            return
        if payment.status is not Status.AUTHORIZED:
            raise RefusedError(f"The payment is {payment.status}.")
        self.say(charge.order, Status.CAPTURED)
        if charge.token == CAPTURE_ANSWER_LOST:
            raise UnknownOutcomeError("The answer was lost.")

    async def void(self, charge: Charge, reference: str) -> None:
        """Let it go, or see to it that nothing will be reserved."""
        self._note(Entry("void", charge.order))
        payment = await self.find(charge.order)
        assert payment is None or reference in {"", payment.reference}
        if payment is not None and payment.status is Status.CAPTURED:
            raise RefusedError("It was captured.")
        if payment is None or payment.status not in {Status.DECLINED, Status.VOIDED}:
            self.say(charge.order, Status.VOIDED, amount=charge.amount, currency=charge.currency)

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Give money back; of orders that never were only, all of it, under the order's id."""
        self._note(Entry("refund", refund, amount))
        payment = await self.find(refund)
        if payment is None or payment.reference != reference or payment.captured < amount:
            raise RefusedError("There is nothing to give back.")
        if not payment.refunded:
            self._note(Entry("refunded", refund, amount))

    async def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give all payments."""
        del since
        for order in dict.fromkeys(entry.order for entry in self.entries()):
            payment = await self.find(order)
            if payment is not None:
                yield payment

    def heard(self, headers: Mapping[str, str], body: bytes) -> str:
        """Take every webhook for one about the order that it names."""
        del headers
        return body.decode()

    async def aclose(self) -> None:
        """Have nothing to close."""

    # -- what happens at the provider

    def say(self, order: str, status: Status | None, **more: Any) -> None:
        """Let a payment be this from now on: its buyer acted, its time was over, somebody took it by hand.

        None: the provider knows nothing of it any more.
        """
        known = next(
            (entry for entry in self.entries()[::-1] if entry.order == order and entry.amount),
            Entry("", order),
        )
        fresh = Entry("status", order, known.amount, known.currency, status.value if status else "")
        self._note(replace(fresh, **more))

    def forget(self) -> None:
        """Begin again, with empty books."""
        self._entries.clear()

    # -- its books

    def entries(self) -> list[Entry]:
        """Return all lines, the oldest first."""
        return self._entries

    def asked(self, verb: str, order: str = "") -> list[str]:
        """Return the orders for which something was asked, once for every time; of one order, or of all."""
        return [entry.order for entry in self.entries() if entry.verb == verb and order in {"", entry.order}]

    def of(self, *statuses: Status) -> set[str]:
        """Return the orders whose payments are one of these now."""
        last = {entry.order: entry.status for entry in self.entries() if entry.verb == "status"}
        return {order for order, status in last.items() if status in statuses}

    @property
    def authorized(self) -> list[str]:
        """The orders for which an authorization was asked, once for every time."""
        return self.asked("authorize")

    @property
    def captured(self) -> set[str]:
        """The orders whose money has moved."""
        return self.of(Status.CAPTURED)

    @property
    def voided(self) -> set[str]:
        """The orders whose money was let go."""
        return self.of(Status.VOIDED)

    @property
    def captures(self) -> Counter[str]:
        """How often the money of an order moved: once, or something is wrong."""
        moved = (entry for entry in self.entries() if entry.status == Status.CAPTURED.value)
        return Counter(entry.order for entry in moved)

    @property
    def amounts(self) -> dict[str, int]:
        """What moved, minor units by order."""
        moved = (entry for entry in self.entries() if entry.status == Status.CAPTURED.value)
        return {entry.order: entry.amount for entry in moved}

    def _decided(self, charge: Charge) -> Payment:
        status = Status.AUTHORIZED
        if charge.token in DECLINES:
            status = Status.DECLINED
        elif charge.token == ACTION:
            status = Status.REQUIRES_ACTION
        reason = "The card was declined." if status is Status.DECLINED else ""
        self.say(charge.order, status, amount=charge.amount, currency=charge.currency, reason=reason)
        return Payment(
            charge.order,
            f"pay_{charge.order}",
            status,
            charge.amount,
            charge.currency,
            url=URL + charge.order if status is Status.REQUIRES_ACTION else "",
            reason=reason,
        )

    def _note(self, entry: Entry) -> None:
        self._entries.append(entry)


def share(till: Till, *houses: House) -> None:
    """Let houses pay at one till."""
    for house in houses:
        house.methods._providers[till.name] = till
