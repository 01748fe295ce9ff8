"""The saga on real Valkey and a real ledger: what a buyer is answered, and what becomes of units and money."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.checkout.saga import Paid, Pending, Request
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.orders.orders import DifferentOrderError
from tests.checkout.buying import balanced, drop_of, ledger, lose, request, resume, stock
from tests.deadlines import end_lease
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.house import House
    from server.payments.provider import ActionRequired, Authorized, Charge, Declined
    from tests.till import Till


async def test_a_repeat_of_a_paid_order_is_the_same_order(house: House, till: Till) -> None:
    """Paying again under the same key returns the order and asks the provider for nothing."""
    one = await request(house)
    first = await house.checkout.pay(one)
    asked = list(till.authorized)
    again = await house.checkout.pay(one)
    assert isinstance(first, Paid)
    assert again == first
    assert till.authorized == asked


async def test_a_decline_gives_the_reservation_back_with_its_old_deadline(house: House, till: Till) -> None:
    """Declined: no order, no capture; the hold is `held` until the same moment as before and can be paid anew."""
    one = await request(house, card="tok_declined")
    before = await house.holds.find(one.reservations[0])
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.PAYMENT_DECLINED
    assert await house.holds.find(one.reservations[0]) == before
    assert await house.orders.find(one.order) is None
    other = Request(
        ids.order(one.show, "buyer", "again"),
        one.show,
        one.viewer,
        one.reservations,
        {**one.details, "token": "tok_ok"},
        expected_total=2500,
    )
    assert isinstance(await house.checkout.pay(other), Paid)
    assert till.captured == {other.order}


async def thinking_long(till: Till, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Let something happen while the provider thinks about an authorization."""
    original = till.authorize

    async def slow(charge: Charge) -> Authorized | ActionRequired | Declined:
        verdict = await original(charge)
        await meanwhile()
        return verdict

    till.authorize = slow  # type: ignore[method-assign]  # this one only


async def test_units_that_are_lost_while_the_provider_thinks_cost_nothing(house: House, till: Till) -> None:
    """They went to others during the authorization: it is voided, nothing is captured, 410 is answered."""
    one = await request(house)
    await thinking_long(till, lambda: lose(house, one, taken=True))
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.RESERVATION_EXPIRED
    assert till.voided == {one.order}
    assert not till.captured
    assert await ledger(house, one) == ("cancelled", "voided")
    assert await stock(house, one) == (0, 10, 0)
    assert await balanced(house, one.show)


async def test_units_that_lapse_while_the_provider_thinks_are_taken_again(house: House, till: Till) -> None:
    """They lapsed during the authorization and nobody else wanted them: one paid order, and a repeat is the same."""
    one = await request(house)
    await thinking_long(till, lambda: lose(house, one, taken=False))
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Paid)
    assert till.captured == {one.order}
    assert await stock(house, one) == (8, 0, 2)
    assert await house.checkout.pay(one) == outcome
    assert await balanced(house, one.show)


@pytest.mark.parametrize("card", ["tok_timeout_then_ok", "tok_capture_fails_once"])
async def test_an_unknown_outcome_is_pending_and_ends_paid(house: House, till: Till, card: str) -> None:
    """No answer from the provider is no decline: 202 `confirming`, then a worker repeats with the same key."""
    one = await request(house, card=card)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Pending)
    assert outcome.order["status"] == "confirming"
    assert await resume(house, one) == 1
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "paid"
    assert till.captured == {one.order}


async def test_a_ledger_that_is_down_makes_the_order_wait(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the ledger there is no 201 and no capture; once it is back, the order is finished by itself."""
    one = await request(house)
    with monkeypatch.context() as patch:

        async def down(*_args: object) -> None:
            raise Problem(Code.UNAVAILABLE, "the ledger does not answer")

        patch.setattr(house.orders, "commit", down)
        assert isinstance(await house.checkout.pay(one), Pending)
        assert not till.captured
    await resume(house, one)
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "paid"


async def test_two_workers_at_the_same_order_capture_once(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was only slow and the one that took over end with one order and one capture."""
    one = await request(house, card="tok_timeout_then_ok")
    assert isinstance(await house.checkout.pay(one), Pending)
    found = await house.checkout.find(one.order)
    assert found is not None
    assert found[0]["status"] == "confirming"
    original, capturing, taken_over = till.capture, asyncio.Event(), asyncio.Event()

    async def together(charge: Charge, reference: str) -> None:
        if not capturing.is_set():
            capturing.set()
            await taken_over.wait()
        taken_over.set()
        await original(charge, reference)

    monkeypatch.setattr(till, "capture", together)
    slow = asyncio.create_task(resume(house, one))
    await capturing.wait()
    assert await resume(house, one) == 1
    assert await slow == 1
    assert len(till.asked("capture")) == 2
    assert isinstance(await house.checkout.pay(one), Paid)
    assert till.captures == {one.order: 1}
    assert await balanced(house, one.show)


async def test_a_total_that_changed_is_not_charged(house: House, till: Till) -> None:
    """Where the buyer was shown another total, nothing is claimed; the answer has the right one."""
    one = await request(house, expected_total=2400)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.TOTAL_CHANGED
    assert outcome.extras == {"current_total": 2500}
    assert "2500" in outcome.detail
    assert "2400" in outcome.detail
    assert not till.authorized


async def test_an_order_id_that_means_something_else_sells_nothing_unrecorded(
    house: House, till: Till
) -> None:
    """The id of a finished order with other reservations: the units stay accounted for, nothing is acknowledged."""
    one = await request(house)
    assert isinstance(await house.checkout.pay(one), Paid)
    drop = await drop_of(house, one)
    held = await house.holds.reserve(one.show, "buyer", "more", drop, 1)
    assert isinstance(held, Held)
    other = Request(one.order, one.show, one.viewer, [held.reservation["id"]], one.details, None)
    with pytest.raises(DifferentOrderError):
        await house.checkout.pay(other)
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["total"] == 2500
    assert till.captured == {one.order}


async def test_one_reservation_is_paid_once(house: House, till: Till) -> None:
    """Named twice it is refused, before the provider is asked for anything."""
    one = await request(house)
    twice = replace(one, reservations=one.reservations * 2)
    outcome = await house.checkout.pay(twice)
    assert isinstance(outcome, Problem)
    assert (outcome.code, till.authorized) == (Code.INVALID_MESSAGE, [])
    assert await stock(house, one) == (8, 2, 0)
    assert await balanced(house, one.show)


async def test_one_order_that_cannot_be_finished_holds_up_no_other(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug that one order brings out is logged; the orders behind it are finished in the same round."""
    show = await live_show(house)
    drop = await open_drop(house, show)
    waiting = []
    for name in ("ann", "bea", "cyd"):
        held = await house.holds.reserve(show, name, "take", drop, 1)
        assert isinstance(held, Held)
        details = {"provider": "sandbox", "method": "card", "token": "tok_timeout_then_ok"}
        one = Request(ids.order(show, name, "pay"), show, name, [held.reservation["id"]], details, None)
        assert isinstance(await house.checkout.pay(one), Pending)
        await end_lease(house.client, one.show, one.order)
        waiting.append(one)
    bad = min(waiting, key=lambda one: one.order)
    original = till.authorize

    async def breaks(charge: Charge) -> Authorized | ActionRequired | Declined:
        if charge.order == bad.order:
            raise RuntimeError("a bug")
        return await original(charge)

    monkeypatch.setattr(till, "authorize", breaks)
    await house.checkout.resume(show)
    assert till.captured == {one.order for one in waiting} - {bad.order}
