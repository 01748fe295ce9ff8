"""The sandbox plays each method as its like do: cards at once, the others on a page of the buyer's, now or later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import pytest

from server.checkout.saga import Pending
from server.payments.bank import plays
from server.payments.bank.ways import WAYS, answers_at_once, moves_at_once
from server.payments.methods import TABLE
from server.payments.provider import (
    ActionRequired,
    Authorized,
    Declined,
    Payment,
    RefusedError,
    Status,
    UnknownOutcomeError,
)
from tests.checkout.buying import balanced, ledger, lose, make_overdue, request, resume, state, stock
from tests.payments.sandboxes import charge

if TYPE_CHECKING:
    import httpx

    from server.checkout.saga import Request
    from server.house import House
    from server.payments.bank.api import Bank
    from server.payments.sandbox import Sandbox

BACK = "https://shop.example/back?a=1&b=2"
REDIRECTS = ("ideal", "alipay", "wechat_pay")
LATER = ("upi", "boleto", "pix", "mpesa")
PAGE = "http://sandbox.test/actions/sb_or_1"


@pytest.fixture
async def shop(house: House, sandbox: Sandbox) -> House:
    """Give a house with a sandbox to itself."""
    house.methods._providers[sandbox.name] = sandbox
    return house


async def press(buyer: httpx.AsyncClient, verdict: str, order: str = "or_1") -> httpx.Response:
    """Press one of the buttons of an order's page."""
    return await buyer.post(f"/actions/sb_{order}", data={"verdict": verdict})


async def payment_of(sandbox: Sandbox, order: str = "or_1") -> Payment:
    """Return the payment of an order that was asked for."""
    found = await sandbox.find(order)
    assert found is not None
    return found


def test_each_method_of_the_table_has_its_way() -> None:
    """What the table has as answered later asks its buyer, and nothing else does; their money moves when they pay."""
    later = {row.name for row in TABLE if not row.synchronous}
    assert WAYS.keys() == later == {*REDIRECTS, *LATER}
    for row in TABLE:
        assert answers_at_once(row.name) is row.synchronous
        assert moves_at_once(row.name) is not row.separate_capture
    assert answers_at_once("shells")
    assert not moves_at_once("shells")
    assert {name for name, way in WAYS.items() if way.leads_back} == set(REDIRECTS)


@pytest.mark.parametrize("token", [*plays.PLAYS, "tok_of_nobody"])
def test_tokens_play_the_same_by_wallet_as_by_card(token: str) -> None:
    """A wallet is a card in a phone: every token plays to the letter what is published of it."""
    published = plays.PLAYS.get(token, plays.UNKNOWN)
    assert plays.play_of(token, "card") == plays.play_of(token, "wallet") == published


@pytest.mark.parametrize("method", [*REDIRECTS, *LATER])
async def test_a_method_waits_for_its_buyer(sandbox: Sandbox, buyer: httpx.AsyncClient, method: str) -> None:
    """The best of tokens reserves nothing; once its buyer has paid, all of it has moved, once, and can go back."""
    asked = charge(method=method, return_url=BACK)
    for _ in range(2):
        assert await sandbox.authorize(asked) == ActionRequired("sb_or_1", PAGE)
    with pytest.raises(UnknownOutcomeError, match="not authorized yet"):
        await sandbox.capture(asked, "sb_or_1")
    await press(buyer, "approve")
    paid = Payment("or_1", "sb_or_1", Status.CAPTURED, 1250, "EUR", captured=1250)
    assert await payment_of(sandbox) == paid
    await press(buyer, "decline")
    assert await sandbox.authorize(asked) == Authorized("sb_or_1")
    for _ in range(2):
        await sandbox.capture(asked, "sb_or_1")
    assert await payment_of(sandbox) == paid
    with pytest.raises(RefusedError, match="goes back as a refund"):
        await sandbox.void(asked, "sb_or_1")
    await sandbox.refund("sb_or_1", "rf_1", 1000)
    await sandbox.capture(asked, "sb_or_1")
    await sandbox.refund("sb_or_1", "rf_2", 250)
    with pytest.raises(RefusedError, match="given back"):
        await sandbox.capture(asked, "sb_or_1")


@pytest.mark.parametrize("method", [*REDIRECTS, *LATER])
async def test_a_buyer_who_does_not_pay(sandbox: Sandbox, buyer: httpx.AsyncClient, method: str) -> None:
    """A payment that its buyer refused is declined for good, and nothing has moved."""
    asked = charge(method=method)
    await sandbox.authorize(asked)
    await press(buyer, "decline")
    await press(buyer, "approve")
    found = await payment_of(sandbox)
    assert (found.status, found.captured) == (Status.DECLINED, 0)
    assert isinstance(await sandbox.authorize(asked), Declined)
    with pytest.raises(RefusedError, match="declined"):
        await sandbox.capture(asked, "sb_or_1")


@pytest.mark.parametrize("method", REDIRECTS)
async def test_a_redirect_leads_back(sandbox: Sandbox, buyer: httpx.AsyncClient, method: str) -> None:
    """The page names whom the buyer is at, has no other way on than an answer, and goes back with it."""
    await sandbox.authorize(charge(method=method, return_url=BACK))
    page = (await buyer.get(PAGE)).text
    assert escape(WAYS[method].says) in page
    assert ">Approve</button>" in page
    assert ">Decline</button>" in page
    assert "Back to the shop" not in page
    sent = await press(buyer, "approve")
    assert (sent.status_code, sent.headers["location"]) == (303, BACK)


@pytest.mark.parametrize("method", LATER)
async def test_a_voucher_may_be_left_and_paid_later(
    sandbox: Sandbox, buyer: httpx.AsyncClient, method: str
) -> None:
    """From the page the buyer goes back with nothing paid; whenever they pay, the page says so and sends nobody on."""
    await sandbox.authorize(charge(method=method, return_url=BACK))
    page = (await buyer.get(PAGE)).text
    way = WAYS[method]
    assert escape(way.says.format(reference="sb_or_1")) in page
    assert f">{way.approve}</button>" in page
    assert f">{way.decline}</button>" in page
    assert 'href="https://shop.example/back?a=1&amp;b=2"' in page
    assert (await payment_of(sandbox)).status is Status.REQUIRES_ACTION
    sent = await press(buyer, "approve")
    assert sent.status_code == 200
    assert "The payment is made." in sent.text
    assert "Back to the shop" in sent.text


async def test_a_voucher_that_was_voided_is_not_paid(sandbox: Sandbox, buyer: httpx.AsyncClient) -> None:
    """Once the shop has let a payment go, its page says so, and pressing its buttons moves nothing."""
    asked = charge(method="boleto")
    await sandbox.authorize(asked)
    await sandbox.void(asked, "sb_or_1")
    await press(buyer, "approve")
    found = await payment_of(sandbox)
    assert (found.status, found.captured) == (Status.VOIDED, 0)
    assert "The payment was cancelled." in (await buyer.get(PAGE)).text


async def test_buyers_may_find_their_page_elsewhere(sandbox: Sandbox, till: Bank) -> None:
    """Where buyers know the bank by another address than servers do, every answer has the page at that one."""
    till.page_url = "https://bank.example/"
    page = "https://bank.example/actions/sb_or_1"
    assert await sandbox.authorize(charge(method="pix")) == ActionRequired("sb_or_1", page)
    assert (await payment_of(sandbox)).url == page
    assert [each.url async for each in sandbox.payments(0)] == [page]


@pytest.mark.parametrize("token", ["tok_declined", "tok_insufficient_funds", "tok_of_nobody"])
async def test_declining_tokens_decline_at_once(sandbox: Sandbox, token: str) -> None:
    """Where a token says no there is nothing to ask a buyer."""
    assert isinstance(await sandbox.authorize(charge(token, method="pix")), Declined)


async def test_what_goes_wrong_goes_wrong_with_every_method(
    sandbox: Sandbox, buyer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost answer, a slow one and a capture that fails once are played around the buyer's part."""
    lost = charge("tok_timeout_then_ok", "or_1", method="ideal")
    with pytest.raises(UnknownOutcomeError, match="cut"):
        await sandbox.authorize(lost)
    assert isinstance(await sandbox.authorize(lost), ActionRequired)

    monkeypatch.setitem(plays.PLAYS, "tok_slow_10s", plays.Play(thinks_ms=100))
    assert isinstance(await sandbox.authorize(charge("tok_slow_10s", "or_2", method="pix")), ActionRequired)

    failing = charge("tok_capture_fails_once", "or_3", method="upi")
    await sandbox.authorize(failing)
    await press(buyer, "approve", "or_3")
    with pytest.raises(UnknownOutcomeError, match="500"):
        await sandbox.capture(failing, "sb_or_3")
    await sandbox.capture(failing, "sb_or_3")
    assert (await payment_of(sandbox, "or_3")).captured == 1250


# -- the checkout with them


async def bought(shop: House, method: str) -> Request:
    """Take two units and ask to pay them by a method: the order waits for its buyer."""
    one = await request(shop)
    one = replace(one, details={**one.details, "method": method, "return_url": BACK})
    outcome = await shop.checkout.pay(one)
    assert isinstance(outcome, Pending)
    assert outcome.order["status"] == "requires_action"
    assert outcome.order["action_url"] == f"http://sandbox.test/actions/sb_{one.order}"
    return one


@pytest.mark.parametrize("method", ["alipay", "boleto"])
async def test_webhook_return_and_worker_make_one_order(
    shop: House, sandbox: Sandbox, buyer: httpx.AsyncClient, method: str
) -> None:
    """All of them at once, ten times each, once the buyer has paid: one order, and its money has moved once."""
    one = await bought(shop, method)
    for look in (shop.checkout.look(one.order), resume(shop, one)):
        await look
    assert await ledger(shop, one) == ("", "")
    await press(buyer, "approve", one.order)
    await asyncio.gather(
        *(shop.checkout.look(one.order) for _ in range(10)),
        *(shop.checkout.find(one.order) for _ in range(10)),
        *(resume(shop, one) for _ in range(10)),
    )
    await resume(shop, one)
    assert await ledger(shop, one) == ("paid", "captured")
    found = await payment_of(sandbox, one.order)
    assert (found.captured, found.refunded) == (2500, 0)
    assert await stock(shop, one) == (8, 0, 2)
    assert await balanced(shop, one.show)


@pytest.mark.parametrize("method", ["ideal", "mpesa"])
async def test_a_buyer_who_refuses_keeps_the_units(
    shop: House, buyer: httpx.AsyncClient, method: str
) -> None:
    """The order is cancelled, and its reservations are held as before, to be paid in another way."""
    one = await bought(shop, method)
    await press(buyer, "decline", one.order)
    await shop.checkout.look(one.order)
    assert await ledger(shop, one) == ("cancelled", "voided")
    assert (await stock(shop, one), await state(shop, one)) == ((8, 2, 0), "held")


async def test_a_voucher_that_nobody_pays(shop: House, sandbox: Sandbox, buyer: httpx.AsyncClient) -> None:
    """At the order's deadline the voucher is let go first: whoever comes to pay it then pays nothing."""
    one = await bought(shop, "boleto")
    await make_overdue(shop, one)
    assert await resume(shop, one) == 1
    await press(buyer, "approve", one.order)
    found = await payment_of(sandbox, one.order)
    assert (found.status, found.captured) == (Status.VOIDED, 0)
    assert await ledger(shop, one) == ("cancelled", "voided")
    assert await balanced(shop, one.show)


@pytest.mark.parametrize("method", ["wechat_pay", "pix"])
async def test_units_that_are_gone_when_the_buyer_pays(
    shop: House, sandbox: Sandbox, buyer: httpx.AsyncClient, method: str
) -> None:
    """The money has moved by then, so all of it is given back, once, and the order is cancelled."""
    one = await bought(shop, method)
    await lose(shop, one, taken=True)
    await press(buyer, "approve", one.order)
    await shop.checkout.look(one.order)
    await resume(shop, one)
    found = await payment_of(sandbox, one.order)
    assert (found.status, found.captured, found.refunded) == (Status.CAPTURED, 2500, 2500)
    assert await ledger(shop, one) == ("cancelled", "voided")
    assert await balanced(shop, one.show)
