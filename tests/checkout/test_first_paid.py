"""Checkout of drops that hold nothing: taken at the claim for the provider's time, and let go whenever it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.checkout.saga import Paid, Pending, Request
from server.errors import Code, Problem
from server.inventory import asks
from server.workers.audit import audit
from tests.deadlines import end_lease, let_lapse
from tests.houses import live_show, numbers, open_drop

if TYPE_CHECKING:
    from server.house import House


class DiedError(BaseException):
    """The process ends here."""


async def request(house: House, card: str = "tok_ok", units: int = 2, **more: Any) -> Request:
    """Return the request to buy units of a new drop."""
    show = await live_show(house)
    drop = await open_drop(house, show, mode="first_paid", waitlist=False)
    details = {"provider": "sandbox", "method": "card", "token": card}
    return Request(
        order=ids.order(show, "buyer", "pay"),
        show=show,
        viewer="buyer",
        reservations=[],
        details=details,
        expected_total=more.pop("expected_total", None),
        items=((drop, units),),
        operation="pay",
        **more,
    )


async def stock(house: House, one: Request) -> tuple[int, int, int]:
    """Return (available, held, sold) of the request's drop."""
    return await numbers(house, one.show, one.items[0][0])


async def balanced(house: House, show: str) -> bool:
    """Whether the show's books balance."""
    return not any(drop.differences for drop in await audit(house.client, house.orders, show))


def reservation(one: Request) -> str:
    """Return the reservation that the request's item becomes."""
    claimed = asks.bundle(one.show, one.viewer, one.operation, list(one.items), claim=True)
    return ids.full(one.show, claimed.items[0][0])


async def test_paying_sells(house: House) -> None:
    """One order with the item's line; the same request again is the same order."""
    one = await request(house)
    paid = await house.checkout.pay(one)
    assert isinstance(paid, Paid)
    assert [(line["reservation"], line["quantity"]) for line in paid.order["lines"]] == [
        (reservation(one), 2)
    ]
    assert await stock(house, one) == (8, 0, 2)
    assert await house.checkout.pay(one) == paid
    assert await stock(house, one) == (8, 0, 2)
    assert await balanced(house, one.show)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"card": "tok_declined"}, Code.PAYMENT_DECLINED),
        ({"expected_total": 1}, Code.TOTAL_CHANGED),
        ({"units": 6}, Code.LIMIT_REACHED),
    ],
)
async def test_what_fails_holds_nothing(house: House, change: dict[str, Any], code: Code) -> None:
    """Declined, another total, above the limit: the units are there for others as soon as the answer is."""
    one = await request(house, **change)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert outcome.code is code
    assert await stock(house, one) == (10, 0, 0)
    assert await house.orders.find(one.order) is None
    assert await balanced(house, one.show)


async def test_a_process_that_dies_between_claim_and_order(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated, the request goes on with what it took; the units are taken once."""
    one = await request(house)
    await dying_before(house, monkeypatch, one, "hold_checkout")
    assert await stock(house, one) == (8, 2, 0)
    assert isinstance(await house.checkout.pay(one), Paid)
    assert await stock(house, one) == (8, 0, 2)


async def test_what_a_dead_process_took_lapses(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never repeated, the claim goes back when the provider's time is over; a late repeat is 410 and takes nothing."""
    one = await request(house)
    await dying_before(house, monkeypatch, one, "hold_checkout")
    await let_lapse(house.client, one.show, reservation(one))
    assert (await house.holds.sweep(one.show)).lapsed == 1
    assert await stock(house, one) == (10, 0, 0)
    late = await house.checkout.pay(one)
    assert isinstance(late, Problem)
    assert late.code is Code.RESERVATION_EXPIRED
    assert await stock(house, one) == (10, 0, 0)


async def test_a_claim_lives_for_the_providers_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the drop's own hold time counts, but how long a payment may take."""
    one = await request(house)
    await dying_before(house, monkeypatch, one, "hold_checkout")
    found = await house.holds.find(reservation(one))
    assert found is not None
    seconds, _micros = await house.client.time()
    left = found[0]["expires_at"] / 1000 - int(seconds)
    assert 0 < left <= house.settings.provider_seconds + 1


@pytest.mark.parametrize("script", ["order_step", "hold_finalize", "order_settle"])
async def test_a_process_that_dies_later_is_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """From the claim on, the order is one like any other: a worker finishes it."""
    one = await request(house)
    await dying_before(house, monkeypatch, one, script)
    await end_lease(house.client, one.show, one.order)
    assert await house.checkout.resume(one.show) == 1
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "paid"
    assert await stock(house, one) == (8, 0, 2)
    assert await balanced(house, one.show)


async def test_an_unknown_outcome_keeps_the_units(house: House) -> None:
    """No answer from the provider is no decline: the units stay with the order until it is known."""
    one = await request(house, card="tok_timeout_then_ok")
    assert isinstance(await house.checkout.pay(one), Pending)
    assert await stock(house, one) == (8, 2, 0)
    await end_lease(house.client, one.show, one.order)
    await house.checkout.resume(one.show)
    assert await stock(house, one) == (8, 0, 2)


async def test_two_buyers_of_the_last_unit(house: House) -> None:
    """One has it; the other is told that it is gone and is charged nothing."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1, mode="first_paid", waitlist=False)
    details = {"provider": "sandbox", "method": "card", "token": "tok_ok"}
    outcomes = []
    for viewer in ("ann", "bea"):
        order = ids.order(show, viewer, "pay")
        one = Request(order, show, viewer, [], details, None, ((drop, 1),), "pay")
        outcomes.append(await house.checkout.pay(one))
    assert isinstance(outcomes[0], Paid)
    assert isinstance(outcomes[1], Problem)
    assert outcomes[1].code is Code.OUT_OF_STOCK
    assert await numbers(house, show, drop) == (0, 0, 1)


async def dying_before(house: House, monkeypatch: pytest.MonkeyPatch, one: Request, script: str) -> None:
    """Let the process end before one of the saga's scripts."""
    original = house.scripts.run

    async def dies(name: str, *args: Any, **fields: Any) -> Any:
        if name == script:
            raise DiedError
        return await original(name, *args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(house.scripts, "run", dies)
        with pytest.raises(DiedError):
            await house.checkout.pay(one)
