"""A till that also gives money back, by the refund's id, and plays what providers do then."""

from __future__ import annotations

from server.payments.provider import RefusedError, UnknownOutcomeError
from tests.till import Till


class Counter(Till):
    """What went back, by the refund's id; every call is noted.

    `lost` calls fail before anything moved, `unheard` ones after that; `closed` refuses all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, int] = {}
        self.calls: list[str] = []
        self.lost = 0
        self.unheard = 0
        self.closed = False

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Give captured money back, once for the refund's id and never more than came."""
        self.calls.append(refund)
        if self.lost:
            self.lost -= 1
            raise UnknownOutcomeError("The request was lost.")
        if self.closed:
            raise RefusedError("The account is closed.")
        order = reference.removeprefix("pay_")
        payment = await self.find(order)
        assert payment is not None
        assert payment.reference == reference
        if refund not in self.given:
            assert sum(self.given.values()) + amount <= payment.captured, "more went back than came"
            self.given[refund] = amount
        if self.unheard:
            self.unheard -= 1
            raise UnknownOutcomeError("The answer was lost.")
