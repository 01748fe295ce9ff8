"""The saga on real Valkey and a real ledger, ended at every step and taken up by another process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.checkout.saga import Paid, Pending, Request
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.orders.orders import DifferentOrderError
from server.payments.methods import Method, Methods
from server.payments.sandbox import Sandbox
from server.store.keys import key
from server.workers.audit import audit
from tests.deadlines import end_lease, let_lapse
from tests.houses import live_show, numbers, open_drop

if TYPE_CHECKING:
    from server.app import House
    from server.payments.provider import Authorized, Charge, Declined


class DiedError(BaseException):
    """The process ends here."""


class Till(Sandbox):
    """The sandbox with a till roll: what was asked, and what really moved, by order."""

    def __init__(self) -> None:
        super().__init__()
        self.authorized: list[str] = []
        self.captured: set[str] = set()
        self.voided: set[str] = set()

    async def authorize(self, charge: Charge) -> Authorized | Declined:
        self.authorized.append(charge.order)
        return await super().authorize(charge)

    async def capture(self, charge: Charge, reference: str) -> None:
        await super().capture(charge, reference)
        self.captured.add(charge.order)

    async def void(self, charge: Charge, reference: str) -> None:
        await super().void(charge, reference)
        self.voided.add(charge.order)


@pytest.fixture
def till(house: House) -> Till:
    roll = Till()
    house.checkout._methods = Methods([roll], [Method("card", "sandbox")])
    return roll


async def request(house: House, card: str = "tok_ok", expected_total: int | None = None) -> Request:
    """Take two units of a new drop and return the request to pay them."""
    show = await live_show(house)
    drop = await open_drop(house, show)
    held = await house.holds.reserve(show, "buyer", "take", drop, 2)
    assert isinstance(held, Held)
    return Request(
        order=ids.order(show, "buyer", "pay"),
        show=show,
        viewer="buyer",
        reservations=[held.reservation["id"]],
        details={"provider": "sandbox", "method": "card", "token": card, "email": "buyer@example.com"},
        expected_total=expected_total,
    )


async def drop_of(house: House, one: Request) -> str:
    """Return the drop of the request's reservation."""
    found = await house.holds.find(one.reservations[0])
    assert found is not None
    drop: str = found[0]["drop"]
    return drop


async def balanced(house: House, show: str) -> bool:
    """Whether the show's books balance."""
    return not any(drop.differences for drop in await audit(house.client, house.orders, show))


def dying_at(house: House, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Make the process end before or after one of the saga's calls, the first time."""
    when, _, call = place.partition(" ")
    target: Any = {
        "authorize": house.checkout._methods.provider("sandbox"),
        "capture": house.checkout._methods.provider("sandbox"),
        "commit": house.orders,
        "captured": house.orders,
        "_record": house.checkout,
        "_settle": house.checkout,
        "run": house.scripts,
    }[call.partition(":")[0]]
    name, _, script = call.partition(":")
    original = getattr(target, name)

    async def dies(*args: Any, **fields: Any) -> Any:
        if script and args[0] != script:
            return await original(*args, **fields)
        if when == "after":
            await original(*args, **fields)
        raise DiedError

    monkeypatch.setattr(target, name, dies, raising=True)


PLACES = [
    "before authorize",
    "after authorize",
    "after run:order_step",
    "before run:hold_finalize",
    "after run:hold_finalize",
    "before commit",
    "after commit",
    "before capture",
    "after capture",
    "before captured",
    "after captured",
    "before run:order_settle",
    "after run:order_settle",
]


@pytest.mark.parametrize("place", PLACES)
async def test_a_process_that_dies_anywhere_leaves_one_paid_order(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Killed before or after any step: another worker finishes; one order, one capture, books in balance."""
    one = await request(house)
    with monkeypatch.context() as patch:
        dying_at(house, patch, place)
        with pytest.raises(DiedError):
            await house.checkout.pay(one)
    await end_lease(house.client, one.show, one.order)
    await house.checkout.resume(one.show)

    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "paid"
    assert found[0]["payment"]["status"] == "captured"
    assert till.captured == {one.order}
    assert not till.voided
    drop = await drop_of(house, one)
    assert await numbers(house, one.show, drop) == (8, 0, 2)
    assert await balanced(house, one.show)
    assert await house.client.hlen(key("orders", show=one.show)) == 0


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


async def test_a_hold_that_lapses_while_the_provider_thinks_costs_nothing(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units went to others during the authorization: it is voided, nothing is captured, 410 is answered."""
    one = await request(house)
    original = till.authorize

    async def slow(charge: Charge) -> Authorized | Declined:
        verdict = await original(charge)
        await let_lapse(house.client, one.show, one.reservations[0])
        assert (await house.holds.sweep(one.show)).lapsed == 1
        return verdict

    monkeypatch.setattr(till, "authorize", slow)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.RESERVATION_EXPIRED
    assert till.voided == {one.order}
    assert not till.captured
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "cancelled"
    assert await numbers(house, one.show, await drop_of(house, one)) == (10, 0, 0)
    assert await balanced(house, one.show)


@pytest.mark.parametrize("card", ["tok_timeout_then_ok", "tok_capture_fails_once"])
async def test_an_unknown_outcome_is_pending_and_ends_paid(house: House, till: Till, card: str) -> None:
    """No answer from the provider is no decline: 202 `confirming`, then a worker repeats with the same key."""
    one = await request(house, card=card)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Pending)
    assert outcome.order["status"] == "confirming"
    await end_lease(house.client, one.show, one.order)
    assert await house.checkout.resume(one.show) == 1
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
    await end_lease(house.client, one.show, one.order)
    await house.checkout.resume(one.show)
    found = await house.orders.find(one.order)
    assert found is not None
    assert found[0]["status"] == "paid"


async def test_two_workers_at_the_same_order_capture_once(house: House, till: Till) -> None:
    """A worker that was only slow and the one that took over end with one order and one capture."""
    one = await request(house, card="tok_timeout_then_ok")
    assert isinstance(await house.checkout.pay(one), Pending)
    await end_lease(house.client, one.show, one.order)
    found = await house.checkout.find(one.order)
    assert found is not None
    assert found[0]["status"] == "confirming"
    await house.checkout.resume(one.show)
    assert isinstance(await house.checkout.pay(one), Paid)
    assert till.captured == {one.order}


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
    assert await numbers(house, one.show, await drop_of(house, one)) == (8, 2, 0)
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

    async def breaks(charge: Charge) -> Authorized | Declined:
        if charge.order == bad.order:
            raise RuntimeError("a bug")
        return await original(charge)

    monkeypatch.setattr(till, "authorize", breaks)
    await house.checkout.resume(show)
    assert till.captured == {one.order for one in waiting} - {bad.order}


async def test_a_sold_order_cannot_be_unclaimed(house: House, till: Till) -> None:
    """Once its units are sold, an order's record stays until the ledger has it, whoever wants to undo the claim."""
    one = await request(house)
    assert not till.authorized
    with pytest.MonkeyPatch.context() as patch:
        dying_at(house, patch, "before commit")
        with pytest.raises(DiedError):
            await house.checkout.pay(one)
    record = {"id": one.order}
    with pytest.raises(Problem, match="finalized"):
        await house.checkout._unclaim(one.show, record)
    await end_lease(house.client, one.show, one.order)
    await house.checkout.resume(one.show)
    assert await house.orders.find(one.order) is not None
