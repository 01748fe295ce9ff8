"""Where an order's payment is found: in memory, by a search that lags, in a list that does not, and who may say no."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.payments import stripe_lookup
from server.payments.provider import ActionRequired, Authorized, Payment, Status, UnknownOutcomeError
from tests.payments.charges import LIBRARY_GAP, PIX, charge

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.payments.stripe import Stripe
    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)


@pytest.fixture
def fresh(process: Callable[..., Stripe]) -> Stripe:
    """Give the provider of a process that remembers nothing."""
    return process()


def asked(account: StandIn) -> list[str]:
    """Return the requests that came in, and forget them."""
    came = [path for path, _key, _asked in account.requests]
    account.requests.clear()
    return came


async def test_what_is_remembered_is_read_at_once(stripe: Stripe, account: StandIn) -> None:
    """The process that asked needs one request to know how it is now."""
    verdict = await stripe.authorize(charge())
    assert isinstance(verdict, Authorized)
    asked(account)
    assert await stripe.find(charge().order) is not None
    assert asked(account) == [f"GET /v1/payment_intents/{verdict.reference}"]


async def test_a_fresh_payment_is_found_before_the_search_knows_it(
    stripe: Stripe, fresh: Stripe, account: StandIn
) -> None:
    """Another process finds it in the list, which does not lag; once the search knows it, nothing is listed."""
    verdict = await stripe.authorize(charge())
    assert isinstance(verdict, Authorized)
    asked(account)
    payment = await fresh.find(charge().order)
    assert payment == Payment(charge().order, verdict.reference, Status.AUTHORIZED, 2500, "EUR")
    assert asked(account) == ["GET /v1/payment_intents/search", "GET /v1/payment_intents"]
    account.index()
    fresh._lookup._references.clear()
    await stripe.capture(charge(), payment.reference)
    asked(account)
    found = await fresh.find(charge().order)
    assert found is not None
    assert found.status is Status.CAPTURED
    assert asked(account)[0] == "GET /v1/payment_intents/search"


async def test_no_payment_is_none_only_where_everything_was_looked_at(
    stripe: Stripe, account: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None needs a search and the whole hour: without search, or with more than the list takes, it is unknown."""
    order = charge("nobody").order
    assert await stripe.find(order) is None
    assert await stripe.find("or_') OR status:'succeeded") is None
    assert await stripe.find("order 17 of somebody else") is None
    account.searches = False
    with pytest.raises(
        UnknownOutcomeError, match=r"lists no payment of order \w+ in an hour, and cannot search"
    ):
        await stripe.find(order)
    account.searches = True
    for number in range(3):
        await stripe.authorize(charge(f"{number}"))
    monkeypatch.setattr(stripe_lookup, "PAGE", 1)
    monkeypatch.setattr(stripe_lookup, "RECENT_PAGES", 2)
    with pytest.raises(UnknownOutcomeError, match="more than 2 payments since"):
        await stripe.find(order)
    account.age(3601)
    assert await stripe.find(order) is None


async def test_without_search_the_last_hour_is_found(stripe: Stripe, fresh: Stripe, account: StandIn) -> None:
    """An account that has no search finds what is younger than an hour."""
    account.searches = False
    await stripe.authorize(charge())
    assert await fresh.find(charge().order) is not None


async def test_of_two_payments_the_furthest_counts(
    fresh: Stripe, process: Callable[..., Stripe], account: StandIn
) -> None:
    """Should Stripe ever have two of one order, the one that holds the money is what became of it."""
    references = []
    for _ in range(2):
        account.forget_keys()
        verdict = await process().authorize(charge())
        assert isinstance(verdict, Authorized)
        references.append(verdict.reference)
    account.cancel(references[1], {})
    account.index()
    found = await fresh.find(charge().order)
    assert found is not None
    assert (found.reference, found.status) == (references[0], Status.AUTHORIZED)


async def test_memory_is_bounded(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest order is forgotten for a new one."""
    monkeypatch.setattr(stripe_lookup, "REMEMBERED", 2)
    for number in range(3):
        await stripe.authorize(charge(f"{number}"))
    assert list(stripe._lookup._references) == [charge("1").order, charge("2").order]


async def test_the_books_list_every_payment_of_ours(
    stripe: Stripe, account: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, newest first, from a time on, with what moved and what went back; others' payments are left out."""
    monkeypatch.setattr(stripe_lookup, "PAGE", 2)
    await stripe.authorize(charge("old"))
    account.age(7200)
    account.create("", {"amount": "900", "currency": "eur", "metadata": {"order": "17"}})
    pix = await stripe.authorize(charge("pix", **PIX))
    reserved = await stripe.authorize(charge("reserved"))
    paid = await stripe.authorize(charge("paid"))
    voided = await stripe.authorize(charge("voided"))
    assert isinstance(pix, ActionRequired)
    assert isinstance(reserved, Authorized)
    assert isinstance(paid, Authorized)
    assert isinstance(voided, Authorized)
    await stripe.capture(charge("paid"), paid.reference)
    await stripe.refund(paid.reference, "rf_1", 400)
    await stripe.void(charge("voided"), voided.reference)
    since = stripe._now() - 3_600_000
    listed = [each async for each in stripe.payments(since)]
    assert [(each.reference, each.status, each.captured, each.refunded) for each in listed] == [
        (voided.reference, Status.VOIDED, 0, 0),
        (paid.reference, Status.CAPTURED, 2500, 400),
        (reserved.reference, Status.AUTHORIZED, 0, 0),
        (pix.reference, Status.REQUIRES_ACTION, 0, 0),
    ]
    assert len([each async for each in stripe.payments(0)]) == 5


async def test_books_that_are_too_long_are_an_error(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was cut would make an audit find differences that are none."""
    monkeypatch.setattr(stripe_lookup, "PAGE", 1)
    monkeypatch.setattr("server.payments.stripe.BOOK_PAGES", 2)
    for number in range(3):
        await stripe.authorize(charge(f"{number}"))
    with pytest.raises(UnknownOutcomeError, match="more than 2 payments since 0: too many to list"):
        [each async for each in stripe.payments(0)]
