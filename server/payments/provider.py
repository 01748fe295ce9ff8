"""The promise that every payment provider keeps: when money may move.

`authorize` reserves the amount and moves nothing; `capture` moves it; `void` lets a reserved amount go; `refund` moves
some of it back. They take the order's id (a refund its own) as idempotency key, so repeating one of them never reserves
or moves twice. An answer that does not come is `UnknownOutcomeError`, never a decline: whoever asked repeats with the
same key, or looks the payment up (`find`). What a provider tells by webhook is only a reason to look it up: so the
buyer's return, the webhook and a worker's look all do the same, in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@dataclass(frozen=True, slots=True)
class Authorized:
    """The amount is reserved; `reference` is the provider's own name for the payment."""

    reference: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The buyer has to do something at `url` first; nothing is reserved yet."""

    reference: str
    url: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The provider said no, for good; `reason` is a sentence for the buyer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What is asked of a provider: an amount in minor units for one order, by one method and token.

    `return_url` is where a buyer who had to leave the page comes back to; empty: nowhere. `asked_at` is when the order
    was first asked to be paid (Unix ms), for providers that forget idempotency keys; 0: just now.
    """

    order: str
    amount: int
    currency: str
    method: str
    token: str
    return_url: str = ""
    asked_at: int = 0


class Status(StrEnum):
    """What a payment is at its provider."""

    REQUIRES_ACTION = "requires_action"  # the buyer has not done their part
    PENDING = "pending"  # the provider has not decided
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as its provider has it now: amounts in minor units, `reason` where it was declined."""

    order: str
    reference: str
    status: Status
    amount: int
    currency: str
    captured: int = 0
    refunded: int = 0
    url: str = ""  # where action is required
    reason: str = ""


class UnknownOutcomeError(Exception):
    """The provider did not answer, or not understandably: nothing may be assumed, the same key may be repeated."""


class RefusedError(Exception):
    """The provider will not do this, now or later; the sentence says why. Nothing has moved."""


class ForgedError(Exception):
    """A webhook that this provider did not send, or sent too long ago."""


class Provider(Protocol):
    """One payment provider. Calls may raise `UnknownOutcomeError` and end within `CALL_SECONDS`."""

    name: str

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Reserve the amount; no money moves. Idempotent by the order's id."""

    async def find(self, order: str) -> Payment | None:
        """Return what has become of an order's payment, or None where nothing was ever asked for. Changes nothing."""

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move the reserved amount. Idempotent by the order's id; returns once it has moved.

        Raises `RefusedError` where it was voided, or its time is over.
        """

    async def void(self, charge: Charge, reference: str) -> None:
        """Let the reserved amount go, or see to it that none will be; no money moves. Idempotent by the order's id.

        Raises `RefusedError` where it was captured.
        """

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Move a captured amount back, in part or whole. Idempotent by the refund's id; returns once that is accepted.

        Raises `RefusedError` where more is asked for than was captured and not yet given back.
        """

    def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give all payments that were made since a time (Unix ms), for the comparison of the books."""

    def heard(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the order that a webhook of the provider is about, empty where it is about none of ours.

        Raises `ForgedError` where its signature is not right.
        """

    async def aclose(self) -> None:
        """Close the connections."""


CALL_SECONDS = 12.0  # a provider call that takes longer has an unknown outcome
