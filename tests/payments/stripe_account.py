"""The account behind the stand-in for Stripe: intents with their statuses, refunds, search, and signed events.

Written from Stripe's public documentation: statuses from docs.stripe.com/payments/paymentintents/lifecycle, magic
payment methods from docs.stripe.com/testing, the search that lags from docs.stripe.com/search, the refused parameter
`payment_method_types` from docs.stripe.com/changelog/endive, signatures from docs.stripe.com/webhooks/signature.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

SECRET = "whsec_standin"
Fields = dict[str, Any]

# What each magic payment method is, and where its buyer has to go: the member of `next_action` that has the page.
KINDS = {
    "pm_card_visa": "card",
    "pm_card_visa_chargeDeclined": "card",
    "pm_card_authenticationRequired": "card",
    "pm_ideal": "ideal",
    "pm_pix": "pix",
    "pm_boleto": "boleto",
    "pm_wechat": "wechat_pay",
    "pm_upi": "upi",
}
ACTIONS = {
    "card": ("redirect_to_url", "url"),
    "ideal": ("redirect_to_url", "url"),
    "pix": ("pix_display_qr_code", "hosted_instructions_url"),
    "boleto": ("boleto_display_details", "hosted_voucher_url"),
    "wechat_pay": ("wechat_pay_display_qr_code", "hosted_instructions_url"),
    "upi": ("upi_await_notification", ""),  # an app on the buyer's phone rings: there is no page
}
CURRENCIES = {"ideal": "eur", "pix": "brl", "boleto": "brl", "upi": "inr"}


class StripeProblem(Exception):  # noqa: N818  an answer of the API, not an error here
    """An error that the API answers."""

    def __init__(self, status: int, kind: str, code: str, message: str, intent: Fields | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kept = True  # under the request's key: all but what is refused before the endpoint begins
        told = {"type": kind, "code": code, "message": message}
        self.body = {"error": told | ({"payment_intent": intent} if intent else {})}


def _invalid(code: str, message: str, status: int = 400) -> StripeProblem:
    problem = StripeProblem(status, "invalid_request_error", code, message)
    problem.kept = False
    return problem


@dataclass(slots=True)
class Account:
    """An account at Stripe, at the address `url`, and what becomes of the payments in it."""

    url: str = ""
    searches: bool = True  # whether the account has search: in India it has none
    intents: dict[str, Fields] = field(default_factory=dict)
    refunds: list[Fields] = field(default_factory=list)
    _searchable: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def index(self) -> None:
        """Let a minute go by for the search."""
        self._searchable = list(self.intents)

    def age(self, seconds: int) -> None:
        """Make everything that is there so much older."""
        for intent in self.intents.values():
            intent["created"] -= seconds

    def finish(self, reference: str, *, paid: bool = True) -> Fields:
        """Do what the buyer does on the page that they were sent to."""
        intent = self.intents[reference]
        assert intent["status"] == "requires_action", intent["status"]
        intent["next_action"] = None
        if paid:
            self._succeed(intent)
        else:
            _fail(intent, "payment_intent_authentication_failure", "We are unable to authenticate you.")
        return intent

    def event(
        self, kind: str, told: Fields, *, secret: str = SECRET, age: int = 0
    ) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of a webhook about an object."""
        event = {
            "id": f"evt_{next(self._numbers)}",
            "object": "event",
            "type": kind,
            "data": {"object": told},
        }
        return self.signed(json.dumps(event).encode(), secret=secret, age=age)

    def signed(self, body: bytes, *, secret: str = SECRET, age: int = 0) -> tuple[dict[str, str], bytes]:
        """Return a body with the headers that sign it, so many seconds ago."""
        at = str(int(time.time()) - age)
        signature = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"stripe-signature": f"t={at},v1={signature}"}, body

    def of(self, order: str) -> list[Fields]:
        """Return the intents of an order."""
        return [each for each in self.intents.values() if each["metadata"].get("order") == order]

    def only(self, order: str) -> Fields:
        """Return the one intent of an order."""
        (intent,) = self.of(order)
        return intent

    # -- the endpoints: each carries out a request and returns its answer, or raises a StripeProblem

    def create(self, _reference: str, asked: Fields) -> Fields:
        """POST /v1/payment_intents."""
        if "payment_method_types" in asked:
            raise _invalid("payment_method_types_no_longer_supported", "Use allowed_payment_method_types.")
        if int(asked["amount"]) < 50:
            raise _invalid("amount_too_small", "Amount must be at least 50 cents.")
        if asked.get("confirm") == "true":
            _check_confirmable(asked)
        number = next(self._numbers)
        intent = {
            "id": f"pi_{number:06}",
            "object": "payment_intent",
            "created": int(time.time()),
            "amount": int(asked["amount"]),
            "amount_received": 0,
            "currency": asked["currency"],
            "capture_method": asked.get("capture_method", "automatic"),
            "metadata": asked.get("metadata", {}),
            "status": "requires_payment_method",
            "latest_charge": None,
            "next_action": None,
            "last_payment_error": None,
        }
        self.intents[intent["id"]] = intent
        if asked.get("confirm") == "true":
            self._confirm(intent, asked)
        return intent

    def retrieve(self, reference: str, _asked: Fields) -> Fields:
        """GET /v1/payment_intents/{id}."""
        return self._found(reference)

    def capture(self, reference: str, _asked: Fields) -> Fields:
        """POST /v1/payment_intents/{id}/capture."""
        intent = self._found(reference)
        self._require(intent, "captured", "requires_capture")
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        return intent

    def cancel(self, reference: str, _asked: Fields) -> Fields:
        """POST /v1/payment_intents/{id}/cancel."""
        intent = self._found(reference)
        waits = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")
        self._require(intent, "canceled", *waits)
        if intent["latest_charge"]:  # letting a reserved amount go shows as a refund of its charge
            intent["latest_charge"]["amount_refunded"] = intent["amount"]
        intent |= {"status": "canceled", "next_action": None}
        return intent

    def list(self, _reference: str, asked: Fields) -> Fields:
        """GET /v1/payment_intents, newest first."""
        since = int(asked.get("created", {}).get("gte", 0))
        rows = [each for each in reversed(self.intents.values()) if each["created"] >= since]
        after = asked.get("starting_after")
        if after:
            rows = rows[[each["id"] for each in rows].index(after) + 1 :]
        limit = int(asked.get("limit", 10))
        return {
            "object": "list",
            "url": "/v1/payment_intents",
            "data": rows[:limit],
            "has_more": len(rows) > limit,
        }

    def search(self, _reference: str, asked: Fields) -> Fields:
        """GET /v1/payment_intents/search: what was there when it was last indexed."""
        if not self.searches:
            raise _invalid("feature_not_available", "Search is not available to merchants in India.")
        prefix, suffix = "metadata['order']:'", "'"
        order = asked["query"].removeprefix(prefix).removesuffix(suffix)
        found = [self.intents[each] for each in self._searchable]
        rows = [each for each in found if each["metadata"].get("order") == order]
        url = "/v1/payment_intents/search"
        return {"object": "search_result", "url": url, "data": rows, "has_more": False, "next_page": None}

    def refund(self, _reference: str, asked: Fields) -> Fields:
        """POST /v1/refunds."""
        intent = self._found(asked["payment_intent"])
        if intent["status"] != "succeeded":
            raise _invalid("charge_not_captured", f"{intent['id']} has no successful charge to refund.")
        left = intent["amount_received"] - intent["latest_charge"]["amount_refunded"]
        amount = int(asked["amount"])
        if amount > left:
            raise _invalid(
                "amount_too_large", f"Refund amount {amount} is greater than unrefunded amount {left}."
            )
        intent["latest_charge"]["amount_refunded"] += amount
        made = {
            "id": f"re_{next(self._numbers):06}",
            "object": "refund",
            "payment_intent": intent["id"],
            "amount": amount,
            "metadata": asked.get("metadata", {}),
            "status": "succeeded",
            "failure_reason": None,
        }
        self.refunds.insert(0, made)
        return made

    def refund_list(self, _reference: str, asked: Fields) -> Fields:
        """GET /v1/refunds."""
        rows = [each for each in self.refunds if each["payment_intent"] == asked["payment_intent"]]
        return {"object": "list", "url": "/v1/refunds", "data": rows, "has_more": False}

    def _confirm(self, intent: Fields, asked: Fields) -> None:
        token = asked["payment_method"]
        kind = KINDS[token]
        if token == "pm_card_visa_chargeDeclined":
            _fail(intent, "card_declined", "Your card was declined.")
            raise StripeProblem(402, "card_error", "card_declined", "Your card was declined.", intent)
        if kind == "card" and token != "pm_card_authenticationRequired":
            self._succeed(intent)
            return
        named, member = ACTIONS[kind]
        page = f"{self.url}/pages/{intent['id']}"
        intent["status"] = "requires_action"
        if "return_url" in asked:
            intent["return_url"] = asked["return_url"]
            intent["next_action"] = {"type": named, named: {member: page} if member else {}}
        else:  # only Stripe's own script in a page could go on with it
            intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure"}}

    def _succeed(self, intent: Fields) -> None:
        intent["latest_charge"] = {
            "id": f"ch_{next(self._numbers):06}",
            "object": "charge",
            "amount_refunded": 0,
            "metadata": dict(intent["metadata"]),
        }
        intent["last_payment_error"] = None
        if intent["capture_method"] == "manual":
            intent["status"] = "requires_capture"
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}

    def _found(self, reference: str) -> Fields:
        if reference not in self.intents:
            raise _invalid("resource_missing", f"No such payment_intent: '{reference}'", 404)
        return self.intents[reference]

    def _require(self, intent: Fields, verb: str, *statuses: str) -> None:
        if intent["status"] not in statuses:
            raise StripeProblem(
                400,
                "invalid_request_error",
                "payment_intent_unexpected_state",
                f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}.",
                intent,
            )


def _fail(intent: Fields, code: str, message: str) -> None:
    intent["status"] = "requires_payment_method"
    intent["last_payment_error"] = {"type": "card_error", "code": code, "message": message}


def _check_confirmable(asked: Fields) -> None:
    """Check what an endpoint does before it begins: such an answer is kept by no key."""
    kind = KINDS.get(asked["payment_method"])
    if kind is None:
        raise _invalid("resource_missing", f"No such PaymentMethod: '{asked['payment_method']}'")
    if asked.get("capture_method") == "manual" and kind != "card":
        raise _invalid("payment_intent_invalid_parameter", f"{kind} does not support manual capture.")
    if CURRENCIES.get(kind, asked["currency"]) != asked["currency"]:
        raise _invalid("payment_intent_invalid_currency", f"{kind} does not support {asked['currency']}.")
    redirects = asked.get("automatic_payment_methods", {}).get("allow_redirects") != "never"
    if redirects and "return_url" not in asked:
        raise _invalid("parameter_missing", "You must provide a `return_url` when confirming.")
    allowed = asked.get("allowed_payment_method_types", {}).values() or [kind]
    if kind not in allowed or (kind != "card" and not redirects):
        raise _invalid("payment_method_not_available", f"{kind} is not among the allowed types.")
