"""Webhooks of Stripe: only signed and young ones count, and they name the order that is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.payments.provider import Authorized, ForgedError, Status
from server.payments.stripe import Stripe
from tests.payments.charges import LIBRARY_GAP, charge
from tests.payments.stripe_account import SECRET, Account
from tests.payments.stripe_stand_in import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)


async def test_an_event_leads_to_its_order(
    stripe: Stripe, process: Callable[..., Stripe], account: StandIn
) -> None:
    """An intent's event names the order, and the payment is then read at once, long before a search knows it."""
    await process().authorize(charge())
    intent = account.only(charge().order)
    headers, body = account.event("payment_intent.amount_capturable_updated", intent)
    assert stripe.heard(headers, body) == charge().order
    account.requests.clear()
    payment = await stripe.find(charge().order)
    assert payment is not None
    assert payment.status is Status.AUTHORIZED
    assert [path for path, _key, _asked in account.requests] == [f"GET /v1/payment_intents/{intent['id']}"]


async def test_a_charges_event_leads_to_its_order(stripe: Stripe, account: StandIn) -> None:
    """Stripe copies the intent's metadata to its charge: what is refunded there by hand is heard too."""
    await stripe.authorize(charge())
    told = account.only(charge().order)["latest_charge"]
    assert stripe.heard(*account.event("charge.refunded", told)) == charge().order


def test_the_header_is_found_in_any_case() -> None:
    """Header names have no case."""
    stripe, account = Stripe(KEY, SECRET), Account()
    headers, body = account.event("payment_intent.succeeded", _intent())
    named = {"Stripe-Signature": headers["stripe-signature"]}
    assert stripe.heard(named, body) == charge().order


@pytest.mark.parametrize(
    "told",
    [
        {"id": "cus_1", "object": "customer"},
        {"id": "pi_1", "object": "payment_intent", "metadata": {}},
        {"id": "pi_1", "object": "payment_intent", "metadata": {"order": "1001"}},
        {"id": "pi_1", "object": "payment_intent", "metadata": {"order": "or_x"}},
        {"id": "di_1", "object": "dispute", "metadata": None},
    ],
)
def test_others_events_are_about_nothing_of_ours(told: dict[str, object]) -> None:
    """The account may have other sellers: their events are taken, and lead nowhere."""
    assert Stripe(KEY, SECRET).heard(*Account().event("any", told)) == ""


def test_a_forged_event_is_refused() -> None:
    """Another secret, a changed body, no or a broken header, five minutes of age, no secret of our own: all forged."""
    stripe, account = Stripe(KEY, SECRET), Account()
    headers, body = account.event("payment_intent.succeeded", _intent())
    assert stripe.heard(headers, body)
    forgeries = [
        account.event("payment_intent.succeeded", _intent(), secret="whsec_other"),
        account.event("payment_intent.succeeded", _intent(), age=301),
        (headers, body + b" "),
        (headers, body.replace(b"pi_1", b"pi_2")),
        (headers, b"\xff\xfe"),
        ({}, body),
        ({"stripe-signature": ""}, body),
        ({"stripe-signature": "t=x,v1=y"}, body),
        ({"stripe-signature": headers["stripe-signature"].replace("v1=", "v0=")}, body),
        ({"stripe-signature": "t=1,v1=\u00e9"}, body),
    ]
    for header, text in forgeries:
        with pytest.raises(ForgedError, match="not from Stripe"):
            stripe.heard(header, text)
    with pytest.raises(ForgedError, match="No webhook secret"):
        Stripe(KEY, "").heard(headers, body)


def test_an_event_of_four_minutes_is_taken() -> None:
    """Within the tolerance a slow delivery counts."""
    told = Account().event("payment_intent.succeeded", _intent(), age=240)
    assert Stripe(KEY, SECRET).heard(*told) == charge().order


def test_a_signed_text_that_is_no_event_is_about_nothing() -> None:
    """Stripe's thin events have no object: nothing here waits for one."""
    account = Account()
    assert Stripe(KEY, SECRET).heard(*account.signed(b'{"object": "v2.core.event"}')) == ""
    assert Stripe(KEY, SECRET).heard(*account.signed(b"not JSON")) == ""


async def test_hearing_twice_and_late_is_harmless(stripe: Stripe, account: StandIn) -> None:
    """What an event says of the state is not believed: a late one from before the capture leads to what is now."""
    verdict = await stripe.authorize(charge())
    assert isinstance(verdict, Authorized)
    late = account.event("payment_intent.amount_capturable_updated", account.only(charge().order))
    await stripe.capture(charge(), verdict.reference)
    for _ in range(2):
        assert stripe.heard(*late) == charge().order
        payment = await stripe.find(charge().order)
        assert payment is not None
        assert payment.status is Status.CAPTURED


def _intent() -> dict[str, object]:
    return {"id": "pi_1", "object": "payment_intent", "metadata": {"order": charge().order}}
