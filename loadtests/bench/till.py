"""A payment provider within this process that is as slow as one says: it keeps the promise, and no money moves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from server.payments.provider import Authorized, Payment, RefusedError, Status, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from server.payments.provider import Charge


class Till:
    """Every call that would go over a network takes `seconds`, or less once `hurry` was called."""

    name = "till"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.waiting = 0  # calls that have no answer yet
        self._hurry = asyncio.Event()
        self._payments: dict[str, Payment] = {}

    def hurry(self) -> None:
        """Answer every call at once from now on, those that wait too."""
        self._hurry.set()

    def forget(self) -> None:
        """Take the time again that a call takes, and know no payment any more."""
        self._hurry.clear()
        self._payments.clear()

    async def authorize(self, charge: Charge) -> Authorized:
        """Reserve the amount."""
        await self._think()
        known = self._payments.get(charge.order)
        if known is None:
            reference = f"till_{charge.order}"
            known = Payment(charge.order, reference, Status.AUTHORIZED, charge.amount, charge.currency)
            self._payments[charge.order] = known
        return Authorized(known.reference)

    async def find(self, order: str) -> Payment | None:
        """Return an order's payment."""
        await self._think()
        return self._payments.get(order)

    async def capture(self, charge: Charge, reference: str) -> None:
        """Take the reserved amount."""
        del reference
        await self._think()
        payment = self._known(charge.order)
        if payment.status is Status.VOIDED:
            raise RefusedError("The payment was voided.")
        captured = replace(payment, status=Status.CAPTURED, captured=payment.amount)
        self._payments[charge.order] = captured

    async def void(self, charge: Charge, reference: str) -> None:
        """Let the reserved amount go."""
        del reference
        await self._think()
        payment = self._known(charge.order)
        if payment.status is Status.CAPTURED:
            raise RefusedError("The payment was captured.")
        self._payments[charge.order] = replace(payment, status=Status.VOIDED)

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Refuse: nobody gives anything back here."""
        raise RefusedError(f"The till gives nothing back: {refund}, {amount} of {reference}.")

    async def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give all payments; of none is known when it was made."""
        del since
        for payment in list(self._payments.values()):
            yield payment

    def heard(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return that a webhook is about no order: the till sends none."""
        del headers, body
        return ""

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    async def _think(self) -> None:
        if not self.seconds:
            return
        self.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.seconds):
                    await self._hurry.wait()
        finally:
            self.waiting -= 1

    def _known(self, order: str) -> Payment:
        try:
            return self._payments[order]
        except KeyError:
            raise UnknownOutcomeError(f"The till knows no payment of {order}.") from None
