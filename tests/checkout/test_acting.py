"""Orders whose buyer has to act at the provider: they wait, somebody looks, and they end as the payment does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.checkout.saga import FRESH_MS, Paid, Pending
from server.errors import Code, Problem
from server.payments.provider import Status
from tests.checkout.buying import (
    balanced,
    drop_of,
    ledger,
    lose,
    make_overdue,
    record,
    request,
    resume,
    state,
    stock,
)
from tests.deadlines import redis_now
from tests.houses import numbers
from tests.till import ACTION, ANSWER_LOST, UNANSWERED, URL, Till

if TYPE_CHECKING:
    from server.checkout.saga import Request
    from server.house import House


@pytest.fixture
async def acting(house: House, till: Till) -> Request:
    """Give an order that waits for its buyer."""
    assert not till.authorized
    one = await request(house, card=ACTION)
    assert isinstance(await house.checkout.pay(one), Pending)
    return one


async def test_it_waits_for_its_buyer(house: House, acting: Request) -> None:
    """202 with the address; the same from GET and from a repeat; the units are kept for as long, and longer."""
    found = await house.checkout.find(acting.order)
    assert found is not None
    view, viewer = found
    assert (viewer, view["status"], view["action_url"]) == (
        "buyer",
        "requires_action",
        URL + acting.order,
    )
    assert view["payment"] == {"provider": "sandbox", "status": "pending"}
    again = await house.checkout.pay(acting)
    assert isinstance(again, Pending)
    assert again.order == view
    left = (await record(house, acting))["deadline_at"] - await redis_now(house.client)
    assert 0 < left <= house.settings.action_seconds * 1000
    assert (await stock(house, acting), await state(house, acting)) == ((8, 2, 0), "paying")
    assert await balanced(house, acting.show)


@pytest.mark.parametrize("who", ["webhook", "return", "worker"])
async def test_whoever_comes_first_finishes_it(house: House, till: Till, acting: Request, who: str) -> None:
    """The provider's webhook, the buyer's return and a worker do the same: one order, paid once."""
    till.say(acting.order, Status.AUTHORIZED)
    if who == "webhook":
        await house.checkout.look(acting.order)
    elif who == "return":
        found = await house.checkout.find(acting.order)
        assert found is not None
        assert found[0]["status"] == "paid"
    else:
        assert await resume(house, acting) == 1
    assert await ledger(house, acting) == ("paid", "captured")
    assert till.captures == {acting.order: 1}
    assert await stock(house, acting) == (8, 0, 2)
    assert await record(house, acting) is None
    assert isinstance(await house.checkout.pay(acting), Paid)


async def test_all_at_once(house: House, till: Till, acting: Request) -> None:
    """Ten of each of them in the same moment: one order, one capture, books in balance."""
    till.say(acting.order, Status.AUTHORIZED)
    await asyncio.gather(
        *(house.checkout.look(acting.order) for _ in range(10)),
        *(house.checkout.find(acting.order) for _ in range(10)),
        *(resume(house, acting) for _ in range(10)),
        *(house.checkout.pay(acting) for _ in range(10)),
    )
    assert await ledger(house, acting) == ("paid", "captured")
    assert till.captures == {acting.order: 1}
    assert await stock(house, acting) == (8, 0, 2)
    assert await balanced(house, acting.show)


@pytest.mark.parametrize("status", [Status.REQUIRES_ACTION, Status.PENDING, None])
async def test_a_look_that_brings_nothing_changes_nothing(
    house: House, till: Till, acting: Request, status: Status | None
) -> None:
    """As long as the provider has not decided, the order waits as before."""
    till.say(acting.order, status)
    await house.checkout.look(acting.order)
    assert await resume(house, acting) == 1
    found = await house.checkout.find(acting.order)
    assert found is not None
    assert (found[0]["status"], await state(house, acting)) == ("requires_action", "paying")


async def test_a_buyer_who_declines(house: House, till: Till, acting: Request) -> None:
    """The order is cancelled where it can be found, the reservation is held until its old deadline, nothing moved."""
    till.say(acting.order, Status.DECLINED)
    await house.checkout.look(acting.order)
    assert await ledger(house, acting) == ("cancelled", "voided")
    assert (await stock(house, acting), await state(house, acting)) == ((8, 2, 0), "held")
    again = await house.checkout.pay(acting)
    assert isinstance(again, Problem)
    assert again.code is Code.PAYMENT_DECLINED
    assert not till.captured
    assert await balanced(house, acting.show)


@pytest.mark.parametrize("status", [Status.REQUIRES_ACTION, Status.PENDING])
async def test_its_deadline(house: House, till: Till, acting: Request, status: Status) -> None:
    """Then the payment is let go first, and the units after it; a yes that comes later finds nothing."""
    till.say(acting.order, status)
    await make_overdue(house, acting)
    over_at = await redis_now(house.client)
    assert await resume(house, acting) == 1
    assert till.voided == {acting.order}
    assert await ledger(house, acting) == ("cancelled", "voided")
    detail = await house.orders.detail(acting.order)
    assert detail is not None
    assert detail.history[-1]["at"] >= over_at
    assert await state(house, acting) == "held"
    await house.checkout.look(acting.order)
    late = await house.checkout.pay(acting)
    assert isinstance(late, Problem)
    assert late.code is Code.RESERVATION_EXPIRED
    assert till.authorized == [acting.order]


async def test_a_provider_that_is_away_at_the_deadline(
    house: House, till: Till, acting: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units stay with the order until it is known that nothing is reserved for it."""
    await make_overdue(house, acting)
    with monkeypatch.context() as patch:

        async def away(*_args: object) -> None:
            raise TimeoutError

        patch.setattr(till, "void", away)
        await resume(house, acting)
    assert (await record(house, acting))["step"] == "voiding"
    found = await house.checkout.find(acting.order)
    assert found is not None
    assert (found[0]["status"], found[0]["payment"]["status"]) == ("confirming", "pending")
    assert await state(house, acting) == "paying"
    await resume(house, acting)
    assert await ledger(house, acting) == ("cancelled", "voided")


async def test_a_yes_at_the_last_moment(house: House, till: Till, acting: Request) -> None:
    """A buyer who acted in time is not undone, however late somebody looks."""
    till.say(acting.order, Status.AUTHORIZED)
    await make_overdue(house, acting)
    await resume(house, acting)
    assert await ledger(house, acting) == ("paid", "captured")


async def test_it_cannot_be_acted_for_units_that_are_gone(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they lapsed while the provider thought, its buyer is not sent there: it is undone, and no shortfall."""
    one = await request(house, card=ACTION)
    original = till.authorize

    async def slow(charge: object) -> object:
        verdict = await original(charge)  # type: ignore[arg-type]  # a charge
        await lose(house, one, taken=False)
        return verdict

    monkeypatch.setattr(till, "authorize", slow)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Problem)
    assert (outcome.code, till.voided) == (Code.RESERVATION_EXPIRED, {one.order})
    assert await stock(house, one) == (10, 0, 0)


async def test_who_asks_again_is_told_what_was_found(house: House, till: Till, acting: Request) -> None:
    """A buyer who polls asks the provider no more than once a second; a webhook always does."""
    looks = 0
    original = till.find

    async def counted(order: str) -> object:
        nonlocal looks
        looks += 1
        return await original(order)

    till.find = counted  # type: ignore[method-assign, assignment]  # this one only
    began = await redis_now(house.client)
    for _ in range(5):
        await house.checkout.find(acting.order)
    most = 1 + (await redis_now(house.client) - began) // FRESH_MS
    assert 1 <= looks <= most + 1
    before = looks
    await house.checkout.look(acting.order)
    assert looks == before + 1


@pytest.mark.parametrize("order", ["", "or_", "or_abc_def", "sh_abc", "something else"])
async def test_nobody_knows_such_an_order(house: House, till: Till, order: str) -> None:
    """A look at what is no order of ours asks nobody anything."""
    await house.checkout.look(order)
    assert await house.checkout.find(order) is None
    assert not till.entries()


async def test_a_look_at_one_that_is_worked_on(house: House, till: Till) -> None:
    """A webhook that comes before the answer it tells of leaves the order to whoever waits for that answer."""
    one = await request(house, card=UNANSWERED)
    assert isinstance(await house.checkout.pay(one), Pending)
    await house.checkout.look(one.order)
    assert till.authorized == [one.order]
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")


async def test_looking_before_asking_again(house: House, till: Till) -> None:
    """Where the answer was lost the provider is asked what it has, and not to reserve a second time."""
    one = await request(house, card=ANSWER_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    assert till.authorized == [one.order]


async def test_an_order_that_nobody_answered_for_in_time(house: House, till: Till) -> None:
    """Its provider's time is over and it was never asked, as far as it knows: nothing is reserved any more."""
    one = await request(house, card=UNANSWERED)
    assert isinstance(await house.checkout.pay(one), Pending)
    await make_overdue(house, one)
    await resume(house, one)
    assert till.voided == {one.order}
    assert await ledger(house, one) == ("cancelled", "voided")
    assert await numbers(house, one.show, await drop_of(house, one)) == (8, 2, 0)
    other = ids.order(one.show, one.viewer, "other")
    assert await house.checkout.find(other) is None


# -- another way to pay


async def instead(house: House, one: Request, card: str) -> Paid | Pending | Problem:
    """Pay the same reservations with another card."""
    order = ids.order(one.show, one.viewer, f"instead {card}")
    return await house.checkout.pay(replace(one, order=order, details={**one.details, "token": card}))


async def test_a_buyer_who_pays_in_another_way(house: House, till: Till, acting: Request) -> None:
    """The old payment is let go first; then the new one is asked for, and is the only one that moves."""
    assert isinstance(await instead(house, acting, "tok_ok"), Paid)
    verbs = [entry.verb for entry in till.entries() if entry.verb in {"authorize", "void", "capture"}]
    assert verbs == ["authorize", "void", "authorize", "capture"]
    assert await ledger(house, acting) == ("cancelled", "voided")
    assert await stock(house, acting) == (8, 0, 2)
    assert len(till.captured) == 1
    assert await balanced(house, acting.show)


async def test_a_buyer_who_had_paid_already(house: House, till: Till, acting: Request) -> None:
    """Where the provider says yes to the old payment, the new one is refused, and the old order is paid."""
    till.say(acting.order, Status.AUTHORIZED)
    outcome = await instead(house, acting, "tok_ok")
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.WRONG_STATE
    assert await ledger(house, acting) == ("paid", "captured")
    assert till.captured == {acting.order}


async def test_a_buyer_whose_provider_is_away(
    house: House, till: Till, acting: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is asked for as long as it is not known that the old payment is gone."""

    async def away(*_args: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(till, "void", away)
    outcome = await instead(house, acting, "tok_ok")
    assert isinstance(outcome, Problem)
    assert outcome.code is Code.IN_PROGRESS
    assert till.authorized == [acting.order]
