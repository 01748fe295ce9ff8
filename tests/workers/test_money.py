"""The ledger's orders beside the provider's payments: each way in which they can differ is found, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert, update

from server import ids
from server.checkout.saga import Paid, Request
from server.inventory.outcomes import Held
from server.ledger.tables import entries, orders, payments
from server.payments.provider import Charge, Payment, Status, UnknownOutcomeError
from server.workers import money as comparing
from server.workers.money import Comparison
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Executable

    from server.house import House
    from server.workers.money import Money

TOTAL = 1250


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the looks follow each other at once: nothing moves here between them."""
    monkeypatch.setattr(comparing, "BETWEEN_LOOKS_SECONDS", 0.0)


async def bought(house: House) -> tuple[str, str]:
    """Sell one unit and return the show and the order."""
    show = await live_show(house)
    drop = await open_drop(house, show, 5)
    held = await house.holds.reserve(show, "ann", "op", drop, 1)
    assert isinstance(held, Held)
    order = ids.order(show, "ann", "op")
    details = {"provider": "sandbox", "method": "card", "token": "tok_ok"}
    paid = await house.checkout.pay(Request(order, show, "ann", [held.reservation["id"]], details, None))
    assert isinstance(paid, Paid)
    return show, order


async def looked(house: House, show: str) -> Money:
    return await Comparison(house.client, house.ledger, house.methods).look([show])


async def sentences(house: House, show: str) -> list[str]:
    return [line for _show, line in (await looked(house, show)).differences]


async def change(house: House, statement: Executable) -> None:
    """Write into the ledger behind everybody's back."""
    await house.ledger.write(lambda connection: connection.execute(statement) and None)


def charge(show: str, order: str = "") -> Charge:
    return Charge(order or ids.order(show, "zoe", "op"), 700, "EUR", "card", "tok_ok")


async def test_paid_is_paid(house: House) -> None:
    """An order that was paid agrees, and its provider owes by both books what it took."""
    show, _order = await bought(house)
    money = await looked(house, show)
    assert (money.differences, money.unasked) == ([], {})
    [account] = money.accounts
    assert (account.provider, account.currency, account.ledger, account.theirs) == (
        "sandbox",
        "EUR",
        TOTAL,
        TOTAL,
    )


async def test_taken_without_an_order(house: House) -> None:
    """Money that moved for an order that nobody has is found."""
    show, _order = await bought(house)
    stray = charge(show)
    provider = house.methods.provider("sandbox")
    answer = await provider.authorize(stray)
    await provider.capture(stray, getattr(answer, "reference", ""))
    assert await sentences(house, show) == [
        f"700 were taken for order {stray.order}, which is not in the ledger"
    ]


async def test_left_open(house: House) -> None:
    """An authorization of an order that nobody goes on with is found, until it is let go."""
    show, _order = await bought(house)
    stray = charge(show)
    provider = house.methods.provider("sandbox")
    answer = await provider.authorize(stray)
    assert await sentences(house, show) == [
        f"700 EUR are reserved for order {stray.order}, and nobody will take them"
    ]
    await provider.void(stray, getattr(answer, "reference", ""))
    assert await sentences(house, show) == []


async def test_paid_without_money(house: House) -> None:
    """An order that the ledger has as paid, and of which the provider knows nothing, is found."""
    show, order = await bought(house)
    listed(house, [])
    assert await sentences(house, show) == [
        f"order {order} is paid by the ledger, and its provider has taken nothing"
    ]


@pytest.mark.parametrize(
    ("captured", "refunded", "currency", "sentence"),
    [
        (TOTAL - 1, 0, "EUR", "the ledger has 1250 EUR, its provider took 1249 EUR"),
        (TOTAL, 0, "USD", "the ledger has 1250 EUR, its provider took 1250 USD"),
        (TOTAL, 50, "EUR", "the ledger has 0 paid back, its provider gave 50"),
    ],
)
async def test_amounts_differ(
    house: House, captured: int, refunded: int, currency: str, sentence: str
) -> None:
    """Another amount, another currency, and a refund that nobody asked for are each said with both numbers."""
    show, order = await bought(house)
    other = Payment(order, "x", Status.CAPTURED, captured, currency, captured, refunded)
    listed(house, [other])
    assert await sentences(house, show) == [f"order {order}: {sentence}"]


async def test_two_payments(house: House) -> None:
    """An order that was paid twice is found, by the payments' own names."""
    show, order = await bought(house)
    twice = [Payment(order, name, Status.CAPTURED, TOTAL, "EUR", TOTAL) for name in ("pi_1", "pi_2")]
    listed(house, twice)
    assert f"order {order} has 2 payments: pi_1, pi_2" in await sentences(house, show)


async def test_a_provider_that_cannot_be_asked(house: House) -> None:
    """It is named with what it said, and is no difference; nor is one that is not set up here any more."""
    show, order = await bought(house)
    listed(house, [], fails=True)
    money = await looked(house, show)
    assert (money.differences, money.unasked) == ([], {"sandbox": "It is away."})
    assert [account.theirs for account in money.accounts] == [None]
    await change(house, update(payments).where(payments.c.order_id == order).values(provider="gone"))
    listed(house, [])
    assert (await looked(house, show)).unasked == {"gone": "It is not set up here."}


async def test_entries_that_do_not_sum_to_nothing(house: House) -> None:
    """Half a movement is found, in whatever show it is."""
    show, order = await bought(house)
    half = {
        "movement": "half",
        "account": "sales",
        "order_id": order,
        "amount": 5,
        "currency": "EUR",
        "at": 1,
    }
    await change(house, insert(entries).values(half))
    try:
        assert await sentences(house, show) == ["the entries of half sum to 5 EUR, not to 0"]
    finally:
        await change(house, delete(entries).where(entries.c.movement == "half"))


async def test_an_order_that_nobody_goes_on_with(house: House) -> None:
    """One that is confirming, and on which no worker works, is found."""
    show, order = await bought(house)
    await change(house, update(orders).where(orders.c.id == order).values(status="confirming"))
    assert await sentences(house, show) == [f"order {order} is confirming, and nobody goes on with it"]


def listed(house: House, known: list[Payment], *, fails: bool = False) -> None:
    """Let the provider list these payments."""
    one: Any = Listing(known, fails=fails)
    house.methods._providers["sandbox"] = one


class Listing:
    """A provider of which only the list is asked for."""

    name = "sandbox"

    def __init__(self, known: list[Payment], *, fails: bool = False) -> None:
        self._known = known
        self._fails = fails

    async def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give what there is."""
        assert since >= 0
        if self._fails:
            raise UnknownOutcomeError("It is away.")
        for payment in self._known:
            yield payment

    async def aclose(self) -> None:
        """Do nothing."""
