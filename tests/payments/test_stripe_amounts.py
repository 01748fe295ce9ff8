"""Amounts as Stripe counts them, for every currency that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.catalog.money import _currencies, decimals
from server.payments.provider import Authorized, Declined, RefusedError
from server.payments.stripe_amounts import from_stripe, to_stripe
from tests.payments.charges import LIBRARY_GAP, charge

if TYPE_CHECKING:
    from server.payments.stripe import Stripe
    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)

# docs.stripe.com/currencies, "Zero-decimal currencies" and "Special cases" (ISK and UGX count in whole hundreds).
WITHOUT_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
WITH_THREE = "BHD JOD KWD OMR TND"
# Units of account and currencies that Stripe does not take at all: it says so itself.
NOT_AT_STRIPE = {"CLF", "UYI", "UYW", "IQD", "LYD"}


def stripe_decimals(currency: str) -> int:
    """Return how many decimals Stripe's amounts of a currency have."""
    return 0 if currency in WITHOUT_DECIMALS else 3 if currency in WITH_THREE else 2


def test_an_amount_is_the_same_money_at_stripe() -> None:
    """Ten whole units are ten whole units at Stripe, there and back, in every currency that is in use."""
    currencies = _currencies() - NOT_AT_STRIPE
    assert len(currencies) > 150
    for currency in currencies:
        ours, theirs = 10 * 10 ** decimals(currency), 10 * 10 ** stripe_decimals(currency)
        assert (to_stripe(ours, currency), from_stripe(theirs, currency)) == (theirs, ours), currency


@pytest.mark.parametrize(
    ("amount", "currency", "counted"),
    [
        (2500, "EUR", 2500),
        (500, "JPY", 500),
        (5, "ISK", 500),
        (5, "UGX", 500),
        (500, "MGA", 5),
        (550, "MGA", None),
        (5120, "KWD", 5120),
        (5124, "KWD", None),
    ],
)
def test_the_differences(amount: int, currency: str, counted: int | None) -> None:
    """Where Stripe counts otherwise than ISO 4217, and what it cannot take at all."""
    assert to_stripe(amount, currency) == counted


async def test_they_reach_stripe_and_come_back(stripe: Stripe, account: StandIn) -> None:
    """A payment in krónur is asked for, captured, given back and listed in our own minor units."""
    one = charge(amount=700, currency="ISK")
    verdict = await stripe.authorize(one)
    assert isinstance(verdict, Authorized)
    assert account.only(one.order)["amount"] == 70_000
    await stripe.capture(one, verdict.reference)
    await stripe.refund(verdict.reference, "rf_1", 200)
    assert account.refunds[0]["amount"] == 20_000
    payment = await stripe.find(one.order)
    assert payment is not None
    assert (payment.amount, payment.captured, payment.refunded) == (700, 700, 200)


async def test_an_amount_that_stripe_cannot_take(stripe: Stripe, account: StandIn) -> None:
    """It is declined with its number before anything is asked, and refused as a refund."""
    declined = await stripe.authorize(charge(amount=5124, currency="KWD"))
    assert declined == Declined("Stripe cannot take 5124 minor units of KWD.")
    assert not account.requests
    verdict = await stripe.authorize(charge(amount=20_000, currency="MGA"))
    assert isinstance(verdict, Authorized)
    await stripe.capture(charge(), verdict.reference)
    with pytest.raises(RefusedError, match="Asked to give back 150 of 20000 MGA"):
        await stripe.refund(verdict.reference, "rf_1", 150)
