"""Checkout with Stripe: the saga, the ledger and the stock on one side, the stand-in's books on the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.payments.provider import Status
from tests.checkout.buying import balanced, ledger, lose, make_overdue, request, resume, state, stock
from tests.houses import house_at
from tests.payments.charges import LIBRARY_GAP, RETURN
from tests.payments.stripe_account import SECRET
from tests.payments.stripe_stand_in import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House
    from server.store.embedded import Embedded
    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)

SECURE = "pm_card_authenticationRequired"


@pytest.fixture
async def shop(private_valkey: Embedded, tmp_path: Path, account: StandIn) -> AsyncIterator[House]:
    """Give a house whose money is at the stand-in."""
    keys = {"stripe_secret_key": KEY, "stripe_webhook_secret": SECRET, "stripe_api_base": account.url}
    async with house_at(private_valkey.url, tmp_path, **keys) as house:
        yield house


async def buying(shop: House, card: str = "pm_card_visa", method: str = "card") -> Request:
    """Take two units and return the request to pay them by Stripe."""
    one = await request(shop, card=card)
    details = {**one.details, "provider": "stripe", "method": method, "return_url": RETURN}
    return replace(one, details=details)


async def tell(shop: House, account: StandIn, order: str) -> None:
    """Let Stripe tell by webhook that the order's payment has moved."""
    told = account.event("payment_intent.updated", account.only(order))
    await shop.checkout.look(shop.methods.provider("stripe").heard(*told))


async def test_a_card_pays(shop: House, account: StandIn) -> None:
    """One order, one intent, captured once; the ledger has it and the books balance; a repeat changes nothing."""
    one = await buying(shop)
    for _ in range(2):
        assert isinstance(await shop.checkout.pay(one), Paid)
    intent = account.only(one.order)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)
    assert await ledger(shop, one) == ("paid", "captured")
    assert await stock(shop, one) == (8, 0, 2)
    assert await balanced(shop, one.show)


async def test_a_declined_card(shop: House, account: StandIn) -> None:
    """402 with the card's sentence; the units stay reserved, and no intent waits for another card."""
    one = await buying(shop, "pm_card_visa_chargeDeclined")
    outcome = await shop.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert (outcome.code, str(outcome.detail)) == (Code.PAYMENT_DECLINED, "Your card was declined.")
    assert await state(shop, one) == "held"
    assert account.only(one.order)["status"] == "canceled"


@pytest.mark.parametrize("fault", ["lost", "half_broken", "limited"])
async def test_an_authorization_without_an_answer(shop: House, account: StandIn, fault: str) -> None:
    """202; a worker goes on with the same payment: one intent, captured once."""
    one = await buying(shop)
    account.break_next("create", fault)
    assert isinstance(await shop.checkout.pay(one), Pending)
    assert await resume(shop, one) == 1
    assert account.only(one.order)["amount_received"] == 2500
    assert await ledger(shop, one) == ("paid", "captured")
    assert await stock(shop, one) == (8, 0, 2)


@pytest.mark.parametrize("fault", ["lost", "broken", "half_broken", "limited"])
async def test_a_capture_without_an_answer(shop: House, account: StandIn, fault: str) -> None:
    """202 with the order in the ledger; a worker's repeat settles it, and the money has moved once."""
    one = await buying(shop)
    account.break_next("capture", fault)
    assert isinstance(await shop.checkout.pay(one), Pending)
    assert await ledger(shop, one) == ("confirming", "authorized")
    assert await resume(shop, one) == 1
    assert account.only(one.order)["amount_received"] == 2500
    assert await ledger(shop, one) == ("paid", "captured")


async def test_three_d_secure_ends_by_webhook(shop: House, account: StandIn) -> None:
    """202 with the bank's page; the webhook after the buyer's consent makes the order; ten more change nothing."""
    one = await buying(shop, SECURE)
    outcome = await shop.checkout.pay(one)
    assert isinstance(outcome, Pending)
    intent = account.only(one.order)
    assert outcome.order["status"] == "requires_action"
    assert outcome.order["action_url"] == f"{account.url}/pages/{intent['id']}"
    account.finish(intent["id"])
    for _ in range(10):
        await tell(shop, account, one.order)
    assert await ledger(shop, one) == ("paid", "captured")
    assert account.only(one.order)["amount_received"] == 2500


async def test_the_webhook_and_the_return_make_one_order(shop: House, account: StandIn) -> None:
    """Webhook, buyer's return and worker at once: one order, and the money moves once."""
    one = await buying(shop, SECURE)
    await shop.checkout.pay(one)
    account.finish(account.only(one.order)["id"])
    ways = [tell(shop, account, one.order), shop.checkout.find(one.order), resume(shop, one)]
    await asyncio.gather(*ways)
    await resume(shop, one)
    assert await ledger(shop, one) == ("paid", "captured")
    # Whoever comes late may ask for the capture again: with the same key, which moves nothing twice.
    keys = {key for path, key, _asked in account.requests if path.endswith("/capture")}
    assert keys == {f"livedrop capture {one.order}"}
    assert account.only(one.order)["amount_received"] == 2500
    assert await stock(shop, one) == (8, 0, 2)


async def test_a_buyer_who_never_acts(shop: House, account: StandIn) -> None:
    """After the order's deadline the intent is cancelled: who pays later pays nothing, and the units are free."""
    one = await buying(shop, SECURE)
    await shop.checkout.pay(one)
    await make_overdue(shop, one)
    assert await resume(shop, one) == 1
    assert account.only(one.order)["status"] == "canceled"
    assert (await ledger(shop, one))[0] == "cancelled"
    assert await balanced(shop, one.show)


async def test_units_that_are_gone_when_a_redirect_is_paid(shop: House, account: StandIn) -> None:
    """The bank moves the money at once: where the units went to others meanwhile, all of it is given back."""
    one = await buying(shop, "pm_ideal", "ideal")
    assert isinstance(await shop.checkout.pay(one), Pending)
    await lose(shop, one, taken=True)
    account.finish(account.only(one.order)["id"])
    await tell(shop, account, one.order)
    await resume(shop, one)
    intent = account.only(one.order)
    assert (intent["status"], intent["latest_charge"]["amount_refunded"]) == ("succeeded", 2500)
    assert (await ledger(shop, one))[0] == "cancelled"
    assert await balanced(shop, one.show)


async def test_a_redirect_that_is_paid(shop: House, account: StandIn) -> None:
    """The buyer's bank has paid: the order is made, and nothing is captured twice."""
    one = await buying(shop, "pm_ideal", "ideal")
    await shop.checkout.pay(one)
    account.finish(account.only(one.order)["id"])
    await tell(shop, account, one.order)
    assert await ledger(shop, one) == ("paid", "captured")
    listed = [each async for each in shop.methods.provider("stripe").payments(0)]
    assert [(each.order, each.status, each.captured) for each in listed] == [
        (one.order, Status.CAPTURED, 2500)
    ]
