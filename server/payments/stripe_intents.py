"""Stripe's PaymentIntents as they come off the wire, read into what a payment is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from server import ids
from server.payments.provider import Payment, Status, UnknownOutcomeError
from server.payments.stripe_amounts import from_stripe

if TYPE_CHECKING:
    import stripe

ORDER = "order"  # the metadata that names our order
NO_REASON = "The payment was declined."
# What is to be done says where in a member called after it. The first of these that is there is a page for the buyer.
PAGES = ("url", "hosted_voucher_url", "hosted_instructions_url", "mobile_auth_url")


class Failure(Struct):
    """Why the last try to pay failed; the message is meant for the buyer."""

    message: str | None = None


class Taken(Struct):
    """The charge that an intent led to."""

    amount_refunded: int = 0


class Intent(Struct, kw_only=True):
    """A PaymentIntent, as far as it matters here; amounts as Stripe counts them."""

    id: str
    status: str
    amount: int
    currency: str
    amount_received: int = 0
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    latest_charge: Taken | str | None = None
    next_action: dict[str, Any] | None = None
    last_payment_error: Failure | None = None

    @property
    def order(self) -> str:
        """Return the order of ours that this is for, or nothing: the account may serve others too."""
        return order_of(self.metadata)

    @property
    def url(self) -> str:
        """Return the page on which the buyer does their part, or nothing."""
        action = self.next_action or {}
        told = action.get(str(action.get("type")))
        links = [told.get(name) for name in PAGES] if isinstance(told, dict) else []
        return next((link for link in links if isinstance(link, str) and link), "")

    @property
    def given_back(self) -> bool:
        """Whether all that was taken has been refunded; only known where the charge was read too."""
        return (
            isinstance(self.latest_charge, Taken)
            and 0 < self.amount_received <= self.latest_charge.amount_refunded
        )

    @property
    def reason(self) -> str:
        """Return why it was declined."""
        return (self.last_payment_error and self.last_payment_error.message) or NO_REASON

    @property
    def what(self) -> Status:
        """Return what the payment is.

        One that failed for want of a good card could be tried with another at Stripe; here it is declined.
        """
        match self.status:
            case "succeeded":
                return Status.CAPTURED
            case "requires_capture":
                return Status.AUTHORIZED
            case "requires_action":
                return Status.REQUIRES_ACTION
            case "requires_payment_method":
                return Status.DECLINED
            case "canceled":
                return Status.DECLINED if self.last_payment_error else Status.VOIDED
            case _:  # requires_confirmation, processing, and what may come
                return Status.PENDING


def intent_of(answer: stripe.PaymentIntent) -> Intent:
    """Return the intent in an answer. Raises UnknownOutcomeError where it cannot be understood."""
    try:
        return msgspec.convert(answer.to_dict(), Intent)
    except msgspec.ValidationError as error:
        raise UnknownOutcomeError(f"Stripe's answer cannot be read: {error}") from None


def order_of(metadata: Any) -> str:
    """Return the order that an object's metadata names, empty where that is none of ours."""
    named = metadata.get(ORDER) if isinstance(metadata, dict) else None
    return named if isinstance(named, str) and ids.show_of(named, "or") else ""


def payment_of(intent: Intent) -> Payment:
    """Return the payment that an intent is."""
    currency = intent.currency.upper()
    charge = intent.latest_charge
    refunded = charge.amount_refunded if isinstance(charge, Taken) else 0
    what = intent.what
    return Payment(
        order=intent.order,
        reference=intent.id,
        status=what,
        amount=from_stripe(intent.amount, currency),
        currency=currency,
        captured=from_stripe(intent.amount_received, currency),
        refunded=from_stripe(refunded, currency) if what is Status.CAPTURED else 0,
        url=intent.url if what is Status.REQUIRES_ACTION else "",
        reason=intent.reason if what is Status.DECLINED else "",
    )
