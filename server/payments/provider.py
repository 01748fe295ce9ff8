"""The promise that every payment provider keeps: when money may move.

`authorize` reserves the amount and moves nothing; `capture` moves it; `void` lets a reserved amount go. All three
take the order's id as idempotency key, so repeating one of them never reserves or moves twice. An answer that does
not come is `UnknownOutcomeError`, never a decline: whoever asked repeats with the same key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Authorized:
    """The amount is reserved; `reference` is the provider's own name for the payment."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The provider said no, for good; `reason` is a sentence for the buyer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What is asked of a provider: an amount in minor units for one order, by one method and token."""

    order: str
    amount: int
    currency: str
    method: str
    token: str


class UnknownOutcomeError(Exception):
    """The provider did not answer, or not understandably: nothing may be assumed, the same key may be repeated."""


class Provider(Protocol):
    """One payment provider. All calls may raise `UnknownOutcomeError` and end within `CALL_SECONDS`."""

    name: str

    async def authorize(self, charge: Charge) -> Authorized | Declined:
        """Reserve the amount; no money moves. Idempotent by the order's id."""

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move the reserved amount. Idempotent by the order's id; returns once it has moved."""

    async def void(self, charge: Charge, reference: str) -> None:
        """Let the reserved amount go; no money moves. Idempotent by the order's id."""


CALL_SECONDS = 12.0  # a provider call that takes longer has an unknown outcome
