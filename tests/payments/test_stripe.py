"""The promise of a provider, kept by Stripe's PaymentIntents, on a stand-in that behaves as Stripe documents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.payments.provider import (
    ActionRequired,
    Authorized,
    Declined,
    Payment,
    Provider,
    RefusedError,
    Status,
    UnknownOutcomeError,
)
from server.payments.stripe import Stripe
from tests.payments.charges import LIBRARY_GAP, PIX, RETURN, charge

if TYPE_CHECKING:
    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)


async def authorized(stripe: Stripe, **more: Any) -> str:
    """Authorize a charge and return its reference."""
    verdict = await stripe.authorize(charge(**more))
    assert isinstance(verdict, Authorized)
    return verdict.reference


async def found(stripe: Stripe, name: str = "one") -> Payment:
    """Return the payment of an order that has one."""
    payment = await stripe.find(charge(name).order)
    assert payment is not None
    return payment


def test_it_is_a_provider() -> None:
    """The class has every call of the promise, under the name that orders are recorded with."""
    provider: Provider = Stripe("sk_test_x", "")
    assert provider.name == "stripe"


async def test_authorize_reserves_and_capture_moves(stripe: Stripe, account: StandIn) -> None:
    """A card's amount is reserved by a manual intent that names the order; capture moves it, however often."""
    one = charge()
    reference = await authorized(stripe)
    intent = account.only(one.order)
    assert (intent["id"], intent["status"], intent["capture_method"]) == (
        reference,
        "requires_capture",
        "manual",
    )
    assert (intent["amount"], intent["currency"], intent["metadata"]) == (2500, "eur", {"order": one.order})
    assert (await found(stripe)).status is Status.AUTHORIZED
    for _ in range(2):
        await stripe.capture(one, reference)
    assert await found(stripe) == Payment(one.order, reference, Status.CAPTURED, 2500, "EUR", captured=2500)


async def test_void_lets_go(stripe: Stripe, account: StandIn) -> None:
    """A void cancels, as often as it is asked; what it cancelled can neither be captured nor authorized again."""
    one = charge()
    reference = await authorized(stripe)
    for _ in range(2):
        await stripe.void(one, reference)
    assert account.only(one.order)["status"] == "canceled"
    assert await found(stripe) == Payment(one.order, reference, Status.VOIDED, 2500, "EUR")
    with pytest.raises(RefusedError, match="is canceled: there is nothing to capture"):
        await stripe.capture(one, reference)
    assert await stripe.authorize(one) == Declined("The payment was cancelled.")


async def test_what_was_captured_is_not_voided(stripe: Stripe) -> None:
    """A void that comes after the capture is refused, and the money stays moved."""
    one = charge()
    reference = await authorized(stripe)
    await stripe.capture(one, reference)
    with pytest.raises(RefusedError, match="was captured: it can only be refunded"):
        await stripe.void(one, reference)
    assert (await found(stripe)).status is Status.CAPTURED


async def test_every_change_has_a_key_of_the_order(stripe: Stripe, account: StandIn) -> None:
    """Authorize, capture, void and refund send keys made from the order's id and the refund's."""
    one, other = charge(), charge("other")
    await stripe.capture(one, await authorized(stripe))
    await stripe.refund(account.only(one.order)["id"], "rf_1", 100)
    await stripe.void(other, await authorized(stripe, name="other"))
    keys = [key for path, key, _asked in account.requests if path.startswith("POST")]
    assert keys == [
        f"livedrop authorize {one.order}",
        f"livedrop capture {one.order}",
        "livedrop refund rf_1",
        f"livedrop authorize {other.order}",
        f"livedrop void {other.order}",
    ]


async def test_a_decline_is_final(stripe: Stripe, account: StandIn) -> None:
    """The card's own sentence comes back, now and on a repeat; the intent is cancelled, so no other card can pay it."""
    one = charge(token="pm_card_visa_chargeDeclined")
    for _ in range(2):
        assert await stripe.authorize(one) == Declined("Your card was declined.")
    assert account.only(one.order)["status"] == "canceled"
    payment = await found(stripe)
    assert (payment.status, payment.reason) == (Status.DECLINED, "Your card was declined.")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"token": "tok_ok"}, "resource_missing"),
        ({"amount": 49}, "amount_too_small"),
        ({"token": "pm_ideal", "method": "ideal", "currency": "USD"}, "payment_intent_invalid_currency"),
        ({"token": "pm_pix"}, "payment_intent_invalid_parameter"),
    ],
)
async def test_what_stripe_does_not_take_is_declined(
    stripe: Stripe, account: StandIn, more: dict[str, Any], code: str
) -> None:
    """A token that it does not know, an amount that is too small, the wrong currency: a decline with Stripe's code."""
    assert await stripe.authorize(charge(**more)) == Declined(f"Stripe does not take this payment ({code}).")
    assert not account.intents


async def test_three_d_secure(stripe: Stripe, account: StandIn) -> None:
    """The buyer is sent to the bank's page and comes back to the shop; then the amount is reserved, not moved."""
    one = charge(token="pm_card_authenticationRequired")
    action = await stripe.authorize(one)
    assert isinstance(action, ActionRequired)
    waiting = await found(stripe)
    assert (waiting.status, waiting.url) == (Status.REQUIRES_ACTION, action.url)
    assert await stripe.authorize(one) == action
    async with httpx.AsyncClient() as buyer:
        page = await buyer.get(action.url)
    assert page.headers["location"] == RETURN
    assert (await found(stripe)).status is Status.AUTHORIZED
    assert await stripe.authorize(one) == Authorized(action.reference)
    await stripe.capture(one, action.reference)
    assert account.only(one.order)["amount_received"] == 2500


async def test_three_d_secure_that_fails(stripe: Stripe, account: StandIn) -> None:
    """A buyer who is not who they say is declined; the next ask closes the intent."""
    one = charge(token="pm_card_authenticationRequired")
    action = await stripe.authorize(one)
    assert isinstance(action, ActionRequired)
    account.finish(action.reference, paid=False)
    payment = await found(stripe)
    assert (payment.status, payment.reason) == (Status.DECLINED, "We are unable to authenticate you.")
    assert await stripe.authorize(one) == Declined("We are unable to authenticate you.")
    assert account.only(one.order)["status"] == "canceled"


@pytest.mark.parametrize(
    "more",
    [
        {"token": "pm_card_authenticationRequired", "return_url": ""},
        {"token": "pm_upi", "method": "upi", "currency": "INR"},
    ],
)
async def test_a_step_without_a_page_is_declined(
    stripe: Stripe, account: StandIn, more: dict[str, Any]
) -> None:
    """Where the buyer would not find back, or would be sent nowhere, nothing is left that waits for them."""
    assert await stripe.authorize(charge(**more)) == Declined(
        "This way to pay needs a step that cannot be shown here."
    )
    assert account.only(charge().order)["status"] == "canceled"


async def test_a_card_needs_no_way_back(stripe: Stripe) -> None:
    """A card that asks for nothing is taken without a page to return to."""
    assert await authorized(stripe, return_url="")


@pytest.mark.parametrize(
    "more",
    [
        PIX,
        {"method": "boleto", "currency": "BRL", "token": "pm_boleto"},
        {"method": "ideal", "currency": "EUR", "token": "pm_ideal"},
        {"method": "wechat_pay", "currency": "CNY", "token": "pm_wechat"},
    ],
)
async def test_a_method_that_moves_money_at_once(
    stripe: Stripe, account: StandIn, more: dict[str, Any]
) -> None:
    """It waits for the buyer and captures itself; capture checks that, void is refused, and all of it can go back."""
    one = charge(**more)
    action = await stripe.authorize(one)
    assert isinstance(action, ActionRequired)
    with pytest.raises(UnknownOutcomeError, match="is requires_action after its capture"):
        await stripe.capture(one, action.reference)
    account.finish(action.reference)
    payment = await found(stripe)
    assert (payment.status, payment.captured) == (Status.CAPTURED, 2500)
    assert await stripe.authorize(one) == Authorized(action.reference)
    await stripe.capture(one, action.reference)
    with pytest.raises(RefusedError, match="can only be refunded"):
        await stripe.void(one, action.reference)
    await stripe.refund(action.reference, one.order, 2500)
    with pytest.raises(RefusedError, match="was given back"):
        await stripe.capture(one, action.reference)
    assert await stripe.authorize(one) == Declined("The payment was given back.")
    assert not [path for path, _key, _asked in account.requests if path.endswith("/capture")]


async def test_a_method_that_waits_can_be_voided(stripe: Stripe, account: StandIn) -> None:
    """A voucher that nobody has paid is cancelled, and a capture of it refused."""
    one = charge(**PIX)
    action = await stripe.authorize(one)
    assert isinstance(action, ActionRequired)
    await stripe.void(one, action.reference)
    assert account.only(one.order)["status"] == "canceled"
    with pytest.raises(RefusedError, match="is canceled"):
        await stripe.capture(one, action.reference)


async def test_refunds(stripe: Stripe, account: StandIn) -> None:
    """Parts are given back once each, whatever is repeated; more than is left is refused with the numbers."""
    reference = await authorized(stripe)
    with pytest.raises(RefusedError, match="is requires_capture: there is nothing to refund"):
        await stripe.refund(reference, "rf_0", 1)
    await stripe.capture(charge(), reference)
    for refund, amount in (("rf_1", 500), ("rf_2", 700), ("rf_1", 500)):
        await stripe.refund(reference, refund, amount)
    assert (await found(stripe)).refunded == 1200
    with pytest.raises(RefusedError, match="Asked to give back 1301 of 2500 EUR, of which 1300 are left"):
        await stripe.refund(reference, "rf_3", 1301)
    account.forget_keys()
    await stripe.refund(reference, "rf_2", 700)
    assert [each["amount"] for each in account.refunds] == [700, 500]
    await stripe.refund(reference, "rf_4", 1300)
    assert (await found(stripe)).refunded == 2500


async def test_two_refunds_at_once_give_back_no_more_than_there_is(stripe: Stripe, account: StandIn) -> None:
    """Of two that read the same rest, Stripe takes one and the other is refused."""
    reference = await authorized(stripe)
    await stripe.capture(charge(), reference)
    both = (stripe.refund(reference, name, 2000) for name in ("rf_1", "rf_2"))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] == [RefusedError]
    assert [each["amount"] for each in account.refunds] == [2000]


async def test_a_refund_that_failed_is_refused(stripe: Stripe, account: StandIn) -> None:
    """A refund that Stripe could not carry out is no success, also not when it is asked for again."""
    reference = await authorized(stripe)
    await stripe.capture(charge(), reference)
    await stripe.refund(reference, "rf_1", 500)
    account.refunds[0] |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    with pytest.raises(RefusedError, match="could not give the money back: lost_or_stolen_card"):
        await stripe.refund(reference, "rf_1", 500)


async def test_a_payment_that_does_not_exist(stripe: Stripe) -> None:
    """Neither capture nor refund of a payment of another account can ever be; its void stays unknown."""
    for call in (stripe.capture(charge(), "pi_other"), stripe.refund("pi_other", "rf_1", 1)):
        with pytest.raises(RefusedError, match="No such payment_intent"):
            await call
    with pytest.raises(UnknownOutcomeError, match="No such payment_intent"):
        await stripe.void(charge(), "pi_other")
