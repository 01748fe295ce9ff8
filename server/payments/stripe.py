"""The provider `stripe`: PaymentIntents that reserve first and move the money when they are captured.

Every call that changes something carries an idempotency key made from our order's id, or from the refund's. Stripe
keeps the first answer to a key for a day, failures of its own too, and replays it: so a replayed answer only says
where to look, and the intent is read again. A payment without an answer, or older than its key, is looked up by the
order in its metadata (`stripe_lookup`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe
import structlog

from server.clock import now_ms
from server.payments.methods import captures_separately
from server.payments.provider import (
    ActionRequired,
    Authorized,
    Charge,
    Declined,
    ForgedError,
    Payment,
    RefusedError,
    Status,
    UnknownOutcomeError,
)
from server.payments.stripe_amounts import to_stripe
from server.payments.stripe_answers import answering, replayed
from server.payments.stripe_intents import ORDER, Intent, intent_of, order_of, payment_of
from server.payments.stripe_lookup import PAGE, Lookup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from stripe import RequestOptions
    from stripe.params import PaymentIntentCreateParams

ANSWER_SECONDS = 10.0  # for one answer of Stripe's; a call of ours may need several, within CALL_SECONDS
KEY_MS = 23 * 3_600_000  # Stripe forgets a key after 24 h: a repeat would then be a second payment
BOOK_PAGES = 2000  # of a comparison of the books; more is an error, never a short list
TOLERANCE_SECONDS = 300  # how old a webhook may be
REFUND = "refund"  # the metadata of a refund that names ours
TYPES = {"wallet": "card"}  # our methods by Stripe's names, where they differ

log = structlog.get_logger(__name__)

stripe.enable_telemetry = False  # it would keep a name of this machine in its user's home


class Stripe:
    """Payments by Stripe. `base` is where its API is; empty: Stripe's own. Close it with `aclose`."""

    name = "stripe"

    def __init__(
        self, key: str, webhook_secret: str, base: str = "", *, now: Callable[[], int] = now_ms
    ) -> None:
        self._http = stripe.HTTPXClient(timeout=ANSWER_SECONDS)
        self._client = stripe.StripeClient(
            key,
            http_client=self._http,
            max_network_retries=0,  # who asked repeats, with the same key and in its own time
            base_addresses={"api": base.rstrip("/")} if base else None,
        )
        self._intents = self._client.v1.payment_intents
        self._secret = webhook_secret
        self._now = now
        self._lookup = Lookup(self._intents, now)

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Reserve the amount, or take it where the method cannot reserve."""
        amount = to_stripe(charge.amount, charge.currency)
        if amount is None:
            return Declined(f"Stripe cannot take {charge.amount} minor units of {charge.currency}.")
        async with answering("authorize", charge.order):
            made = await self._kept(charge) or await self._made(charge, amount)
            return made if isinstance(made, Declined) else await self._verdict(charge, made)

    async def find(self, order: str) -> Payment | None:
        """Return what has become of an order's payment. Unknown where Stripe's search and list cannot say."""
        async with answering("find", order):
            intent = await self._lookup.find(order)
        return payment_of(intent) if intent else None

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move the reserved amount; of a method that moved it at once, check that it is there."""
        async with answering("capture", charge.order, refusals=True):
            if captures_separately(charge.method):
                intent = await self._change(self._intents.capture_async, reference, _key(charge, "capture"))
            else:
                intent = await self._lookup.read(reference)
        match intent.what:
            case Status.CAPTURED if captures_separately(charge.method) or not intent.given_back:
                return
            case Status.CAPTURED:
                raise RefusedError(f"The payment {reference} was given back.")
            case Status.VOIDED | Status.DECLINED:
                raise RefusedError(
                    f"The payment {reference} is {intent.status}: there is nothing to capture."
                )
            case _:
                raise UnknownOutcomeError(f"The payment {reference} is {intent.status} after its capture.")

    async def void(self, charge: Charge, reference: str) -> None:
        """Cancel the payment.

        Without a reference, because no answer ever came: what was made is looked up, and what was not never will be.
        """
        async with answering("void", charge.order):
            reference = reference or await self._closed(charge)
            if not reference:
                return
            intent = await self._change(self._intents.cancel_async, reference, _key(charge, "void"))
        if intent.what is Status.CAPTURED:
            raise RefusedError(f"The payment {reference} was captured: it can only be refunded.")
        if intent.status != "canceled":
            raise UnknownOutcomeError(f"The payment {reference} is {intent.status} after its cancellation.")

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Move a captured amount back, in part or whole.

        Without a reference it is looked up by the refund's id: what is given back of an order that came to nothing
        goes by the order's own.
        """
        async with answering("refund", refund, refusals=True):
            intent = await (self._lookup.read(reference) if reference else self._made_before(refund))
            payment = payment_of(intent)
            if payment.status is not Status.CAPTURED:
                raise RefusedError(f"The payment {intent.id} is {intent.status}: there is nothing to refund.")
            await self._give_back(intent, refund, amount)

    async def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give the payments of our orders, newest first, page by page. Raises where there are too many to list."""
        async for intent in self._lookup.listed(since, BOOK_PAGES):
            yield payment_of(intent)

    def heard(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the order that the event's object names, and remember its payment."""
        signature = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
        try:
            event = self._client.construct_event(body, signature, self._secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError) as error:
            reason = getattr(error, "user_message", None) or "It cannot be read."
            raise ForgedError(f"This webhook is not from Stripe: {reason}") from None
        except ValueError:
            return ""  # signed, but not about one object: nothing here waits for those
        told = event.to_dict().get("data", {}).get("object", {})
        order = order_of(told.get("metadata"))
        if order and told.get("object") == "payment_intent":
            self._lookup.remember(order, told["id"])
        return order

    async def aclose(self) -> None:
        """Close the connections."""
        closed: Awaitable[None] = self._http.close_async()  # type: ignore[no-untyped-call]  # the library's own gap
        await closed

    async def _kept(self, charge: Charge) -> Intent | None:
        """Return the payment of an order that is older than its key: to ask again would make another one."""
        outlived = charge.asked_at and self._now() - charge.asked_at > KEY_MS
        return await self._lookup.find(charge.order) if outlived else None

    async def _made(self, charge: Charge, amount: int) -> Intent | Declined:
        """Ask for the payment, and return it as it is now: the same one, however often it is asked for."""
        try:
            made = await self._intents.create_async(_asked(charge, amount), _key(charge, "authorize"))
        except stripe.CardError as error:
            return await self._declined(charge, error)
        except stripe.IdempotencyError:
            # It was asked in other words before, say to return to another page: that payment counts.
            return await self._made_before(charge.order)
        except stripe.InvalidRequestError as error:
            log.warning("stripe.refused", order=charge.order, code=error.code, reason=error.user_message)
            return Declined(f"Stripe does not take this payment ({error.code or 'invalid request'}).")
        except stripe.StripeError as error:
            if not replayed(error.headers):
                raise
            return await self._made_before(charge.order)
        if made.last_response and replayed(made.last_response.headers):
            return await self._lookup.read(made.id)
        return intent_of(made)

    async def _verdict(self, charge: Charge, intent: Intent) -> Authorized | ActionRequired | Declined:
        """Return what an intent means for who asked; see to it that a refused one is refused for good."""
        payment = payment_of(intent)
        if (payment.amount, payment.currency) != (charge.amount, charge.currency):
            raise UnknownOutcomeError(
                f"Order {charge.order} asks for {charge.amount} {charge.currency}, and its payment {intent.id} is of "
                f"{payment.amount} {payment.currency}."
            )
        self._lookup.remember(charge.order, intent.id)
        match payment.status:
            case Status.CAPTURED if intent.given_back:
                return Declined("The payment was given back.")
            case Status.AUTHORIZED | Status.CAPTURED:
                return Authorized(intent.id)
            case Status.REQUIRES_ACTION if payment.url:
                return ActionRequired(intent.id, payment.url)
            case Status.VOIDED:
                return Declined("The payment was cancelled.")
            case Status.PENDING:
                raise UnknownOutcomeError(
                    f"Stripe has not decided on the payment {intent.id}: {intent.status}."
                )
        if intent.status != "canceled":
            left = await self._change(self._intents.cancel_async, intent.id, _key(charge, "void"))
            if left.what in {Status.AUTHORIZED, Status.CAPTURED}:
                return Authorized(left.id)  # the buyer was faster
        return Declined(payment.reason or "This way to pay needs a step that cannot be shown here.")

    async def _declined(self, charge: Charge, error: stripe.CardError) -> Declined:
        """Close what a declined card leaves behind: it would wait for another card, which nobody here would see."""
        body = error.json_body if isinstance(error.json_body, dict) else {}
        left = body.get("error", {}).get("payment_intent") or {}
        if left.get("id"):
            await self._change(self._intents.cancel_async, left["id"], _key(charge, "void"))
        return Declined(error.user_message or "The card was declined.")

    async def _closed(self, charge: Charge) -> str:
        """Return the payment of an order whose answer never came, or one that takes its key and moves nothing.

        Empty where Stripe takes no such amount: then it never took the order's payment either.
        """
        known = await self._lookup.find(charge.order)
        if known is None:
            amount = to_stripe(charge.amount, charge.currency) or charge.amount
            empty: PaymentIntentCreateParams = {
                "amount": amount,
                "currency": charge.currency.lower(),
                "metadata": {ORDER: charge.order},
            }
            try:
                return (await self._intents.create_async(empty, _key(charge, "authorize"))).id
            except stripe.IdempotencyError:
                known = await self._made_before(charge.order)
            except stripe.InvalidRequestError:
                return ""
        return known.id

    async def _change(
        self, call: Callable[..., Awaitable[stripe.PaymentIntent]], reference: str, key: RequestOptions
    ) -> Intent:
        """Capture or cancel, and return the intent as it is then: whether it was this call or an earlier one."""
        try:
            try:
                return intent_of(await call(reference, {}, key))
            except stripe.APIError as error:
                if not replayed(error.headers):
                    raise
                # Stripe keeps its own failure under our key. The intent's state makes a repeat under another harmless.
                return intent_of(await call(reference))
        except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError):
            return await self._lookup.read(reference)  # not in the state for it: because it has been done?

    async def _give_back(self, intent: Intent, refund: str, amount: int) -> None:
        """Refund once: a refund that Stripe lists counts, however long ago its key was forgotten."""
        payment = payment_of(intent)
        left = payment.captured - payment.refunded
        if payment.refunded:
            made = await self._client.v1.refunds.list_async({"payment_intent": intent.id, "limit": PAGE})
            for each in made.data:
                if each.metadata and each.metadata.to_dict().get(REFUND) == refund:
                    _require_accepted(each)
                    return
        counted = to_stripe(amount, payment.currency)
        if amount > left or counted is None:
            raise RefusedError(
                f"Asked to give back {amount} of {payment.captured} {payment.currency}, of which {left} are left."
            )
        try:
            answer = await self._client.v1.refunds.create_async(
                {"payment_intent": intent.id, "amount": counted, "metadata": {REFUND: refund}},
                {"idempotency_key": f"livedrop refund {refund}"},
            )
        except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            raise RefusedError(f"Stripe does not give back {amount}: {error.user_message}") from None
        _require_accepted(answer)

    async def _made_before(self, order: str) -> Intent:
        """Return the payment that must be there, as its key has been used; unknown while it cannot be found."""
        known = await self._lookup.find(order)
        if known is None:
            raise UnknownOutcomeError(f"Stripe was asked for order {order} before, and shows no payment yet.")
        return known


def _asked(charge: Charge, amount: int) -> PaymentIntentCreateParams:
    """Return what is asked of Stripe: the same for the same charge, as a key demands."""
    asked: PaymentIntentCreateParams = {
        "amount": amount,
        "currency": charge.currency.lower(),
        "confirm": True,
        "payment_method": charge.token,
        "capture_method": "manual" if captures_separately(charge.method) else "automatic",
        "metadata": {ORDER: charge.order},
    }
    if charge.return_url:
        asked["return_url"] = charge.return_url
        asked["allowed_payment_method_types"] = [TYPES.get(charge.method, charge.method)]
    else:  # whoever leaves the page would not find back
        asked["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    if charge.method == "wechat_pay":
        asked["payment_method_options"] = {"wechat_pay": {"client": "web"}}
    return asked


def _key(charge: Charge, step: str) -> RequestOptions:
    return {"idempotency_key": f"livedrop {step} {charge.order}"}


def _require_accepted(refund: stripe.Refund) -> None:
    if refund.status in {"failed", "canceled"}:
        raise RefusedError(f"Stripe could not give the money back: {refund.failure_reason or refund.status}.")
