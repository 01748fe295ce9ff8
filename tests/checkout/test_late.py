"""Answers that are late, doubled, out of order or missing, and what is told where the units could not wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from server import ids
from server.checkout import acts
from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.ledger.tables import outbox
from server.payments.provider import Status, UnknownOutcomeError
from tests.checkout.buying import balanced, ledger, lose, make_overdue, record, request, resume, state, stock
from tests.till import ANSWER_LOST, CAPTURE_ANSWER_LOST, CAPTURE_LOST, UNANSWERED, Till

if TYPE_CHECKING:
    from server.checkout.saga import Request
    from server.house import House
    from server.payments.provider import Charge


async def told(house: House, order: str) -> list[str]:
    """Return what the shop is told of an order, in its order."""

    def read(connection: Any) -> list[str]:
        query = select(outbox.c.type).where(outbox.c.subject == order).order_by(outbox.c.number)
        return list(connection.execute(query).scalars())

    return await house.ledger.read(read)


# -- late


@pytest.mark.parametrize("card", [UNANSWERED, ANSWER_LOST])
async def test_a_late_yes_takes_units_that_are_still_there(house: House, till: Till, card: str) -> None:
    """The units lapsed while nobody knew, and nobody else wanted them: the order is paid, and nothing is short."""
    one = await request(house, card=card)
    assert isinstance(await house.checkout.pay(one), Pending)
    await lose(house, one, taken=False)
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    assert (await stock(house, one), await state(house, one)) == ((8, 0, 2), "sold")
    assert (await told(house, one.order), till.captured) == (["order.paid"], {one.order})
    assert await balanced(house, one.show)


async def test_a_late_yes_for_units_that_are_gone_is_a_shortfall(house: House, till: Till) -> None:
    """Others have them: the payment is let go before anything else, and the shop hears of the shortfall, once."""
    one = await request(house, card=ANSWER_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    await lose(house, one, taken=True)
    await resume(house, one)
    assert till.voided == {one.order}
    assert not till.captured
    assert await ledger(house, one) == ("cancelled", "voided")
    assert await told(house, one.order) == ["order.shortfall", "order.cancelled"]
    assert await stock(house, one) == (0, 10, 0)
    assert await balanced(house, one.show)
    late = await house.checkout.pay(one)
    assert isinstance(late, Problem)
    assert (late.code, await told(house, one.order)) == (
        Code.RESERVATION_EXPIRED,
        ["order.shortfall", "order.cancelled"],
    )


async def test_a_late_no_is_no_shortfall(house: House, till: Till) -> None:
    """Declined after all: there was no payment that anything could have been short of."""
    one = await request(house, card=UNANSWERED)
    assert isinstance(await house.checkout.pay(one), Pending)
    await lose(house, one, taken=True)
    till.say(one.order, Status.DECLINED)
    await resume(house, one)
    assert await told(house, one.order) == ["order.cancelled"]
    assert await house.orders.find(one.order) is not None


async def test_one_of_two_reservations_is_gone(house: House, till: Till) -> None:
    """All or nothing: the other one is held again, and can be paid by another order."""
    one = await request(house, card=ANSWER_LOST, quantity=3)
    found = await house.holds.find(one.reservations[0])
    assert found is not None
    more = await house.holds.reserve(one.show, "buyer", "more", found[0]["drop"], 1)
    assert isinstance(more, Held)
    other = more.reservation["id"]
    both = ids.order(one.show, "buyer", "both")
    one = type(one)(both, one.show, "buyer", [*one.reservations, other], one.details, None)
    assert isinstance(await house.checkout.pay(one), Pending)
    first = type(one)(both, one.show, "buyer", one.reservations[:1], one.details, None)
    await lose(house, first, taken=True)
    await resume(house, one)
    assert till.voided == {both}
    kept = await house.holds.find(other)
    assert kept is not None
    assert kept[0]["state"] == "held"
    details = {**one.details, "token": "tok_ok"}
    again = type(one)(ids.order(one.show, "buyer", "again"), one.show, "buyer", [other], details, None)
    assert isinstance(await house.checkout.pay(again), Paid)


# -- doubled and out of order


async def test_a_slow_worker_and_the_one_that_took_over(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first authorization comes back when others have finished the order: it changes nothing, and sees it paid."""
    one = await request(house)
    original, thinking, answered = till.authorize, asyncio.Event(), asyncio.Event()

    async def slow(charge: Charge) -> Any:
        verdict = await original(charge)
        thinking.set()
        await answered.wait()
        return verdict

    monkeypatch.setattr(till, "authorize", slow)
    paying = asyncio.create_task(house.checkout.pay(one))
    await thinking.wait()
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    answered.set()
    assert isinstance(await paying, Paid)
    assert till.captures == {one.order: 1}
    assert await balanced(house, one.show)


async def test_a_yes_that_comes_after_the_order_was_undone(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider has been told to let go: whoever hears the old yes sells and captures nothing."""
    one = await request(house)
    original, thinking, answered = till.authorize, asyncio.Event(), asyncio.Event()

    async def slow(charge: Charge) -> Any:
        verdict = await original(charge)
        thinking.set()
        await answered.wait()
        return verdict

    monkeypatch.setattr(till, "authorize", slow)
    paying = asyncio.create_task(house.checkout.pay(one))
    await thinking.wait()
    till.say(one.order, Status.PENDING)
    await make_overdue(house, one)
    await resume(house, one)
    answered.set()
    outcome = await paying
    assert isinstance(outcome, Problem)
    assert (outcome.code, till.captured, till.voided) == (Code.RESERVATION_EXPIRED, set(), {one.order})
    assert await state(house, one) == "held"


@pytest.mark.parametrize("card", [CAPTURE_LOST, CAPTURE_ANSWER_LOST])
async def test_a_capture_that_nobody_answered_is_asked_again(house: House, till: Till, card: str) -> None:
    """Under the same key: it moves once, whether the first was lost on its way or carried out."""
    one = await request(house, card=card)
    outcome = await house.checkout.pay(one)
    assert isinstance(outcome, Pending)
    assert outcome.order["status"] == "confirming"
    assert await ledger(house, one) == ("confirming", "authorized")
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    assert (till.asked("capture"), till.captures) == ([one.order] * 2, {one.order: 1})


# -- missing


async def test_no_answer_ends_in_time(house: House, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that never answers is not waited for; at the deadline the order is undone, the provider told first."""
    one = await request(house)
    monkeypatch.setattr(acts, "CALL_SECONDS", 0.05)

    async def never(*_args: object) -> Any:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        for call in ("authorize", "find", "void"):
            patch.setattr(till, call, never)
        assert isinstance(await house.checkout.pay(one), Pending)
        await make_overdue(house, one)
        await resume(house, one)
        assert (await record(house, one))["step"] == "claimed"
        assert await state(house, one) == "paying"
    await resume(house, one)
    assert (await ledger(house, one), till.voided) == (("cancelled", "voided"), {one.order})


async def test_a_provider_that_is_away_for_long(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the units could wait: back, it is asked what it has, and the order is paid while they are there."""
    one = await request(house, card=ANSWER_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    await make_overdue(house, one)
    with monkeypatch.context() as patch:

        async def away(*_args: object) -> None:
            raise UnknownOutcomeError("away")

        patch.setattr(till, "find", away)
        for _ in range(3):
            await resume(house, one)
    await lose(house, one, taken=False)
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")


# -- the money that was promised does not come


async def refused(house: House, till: Till) -> Request:
    """Return an order whose authorization is over when its money is to move."""
    one = await request(house, card=CAPTURE_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    till.say(one.order, Status.VOIDED)
    await resume(house, one)
    return one


async def test_an_authorization_that_expired_before_its_capture(house: House, till: Till) -> None:
    """The order is cancelled where it was confirming, its units are on sale again, the shop and a repeat hear of it."""
    one = await refused(house, till)
    assert await ledger(house, one) == ("cancelled", "voided")
    assert (await stock(house, one), await state(house, one)) == ((10, 0, 0), "released")
    assert await told(house, one.order) == ["order.cancelled"]
    assert await record(house, one) is None
    assert await balanced(house, one.show)
    again = await house.checkout.pay(one)
    assert isinstance(again, Problem)
    assert again.status in {402, 410}
    assert not till.captured


async def test_money_that_moved_and_was_given_back_since(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process died before the record was forgotten, and the provider refuses a capture that is over: it is paid."""
    one = await request(house)
    original = house.scripts.run

    async def away(name: str, *args: Any, **fields: Any) -> Any:
        if name == "order_settle":
            raise Problem(Code.UNAVAILABLE, "the store does not answer")
        return await original(name, *args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(house.scripts, "run", away)
        assert isinstance(await house.checkout.pay(one), Pending)
    assert await ledger(house, one) == ("paid", "captured")
    till.say(one.order, Status.VOIDED)
    await resume(house, one)
    assert await record(house, one) is None
    assert await ledger(house, one) == ("paid", "captured")
    assert (await stock(house, one), await state(house, one)) == ((8, 0, 2), "sold")
    assert await told(house, one.order) == ["order.paid"]
    assert await balanced(house, one.show)


async def test_units_of_such_an_order_are_sold_again(house: House, till: Till) -> None:
    """To another order, or to the same buyer with another card."""
    one = await refused(house, till)
    found = await house.holds.find(one.reservations[0])
    assert found is not None
    held = await house.holds.reserve(one.show, "buyer", "anew", found[0]["drop"], 2)
    assert isinstance(held, Held)
    details = {**one.details, "token": "tok_ok"}
    order = ids.order(one.show, "buyer", "anew")
    anew = type(one)(order, one.show, "buyer", [held.reservation["id"]], details, None)
    assert isinstance(await house.checkout.pay(anew), Paid)
    assert await stock(house, anew) == (8, 0, 2)
    assert await balanced(house, one.show)


async def test_money_that_somebody_took_by_hand_goes_back(house: House, till: Till) -> None:
    """The units are gone and the payment cannot be let go: what was taken is given back, all of it, once."""
    one = await request(house, card=ANSWER_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    await lose(house, one, taken=True)
    till.say(one.order, Status.CAPTURED)
    await resume(house, one)
    assert till.asked("refunded") == [one.order]
    assert await ledger(house, one) == ("cancelled", "voided")


# -- the ledger


@pytest.mark.parametrize("call", ["commit", "captured"])
async def test_a_ledger_that_is_away_is_caught_up_with(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """202 `confirming`, never 201; nothing is captured that is not written down; then it goes on by itself."""
    one = await request(house)
    with monkeypatch.context() as patch:

        async def down(*_args: object) -> None:
            raise Problem(Code.UNAVAILABLE, "the ledger does not answer")

        patch.setattr(house.orders, call, down)
        outcome = await house.checkout.pay(one)
        assert isinstance(outcome, Pending)
        assert outcome.order["status"] == "confirming"
        assert bool(till.captured) is (call == "captured")
        for _ in range(2):
            await resume(house, one)
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    assert till.captures == {one.order: 1}
    assert await told(house, one.order) == ["order.paid"]
    assert await balanced(house, one.show)


async def test_a_commit_whose_answer_is_lost(
    house: House, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written and nobody heard: the same is written again, and is there once."""
    one = await request(house)
    original = house.orders.commit
    with monkeypatch.context() as patch:

        async def lost(show: str, record: dict[str, Any]) -> None:
            await original(show, record)
            raise Problem(Code.UNAVAILABLE, "the answer is lost")

        patch.setattr(house.orders, "commit", lost)
        assert isinstance(await house.checkout.pay(one), Pending)
        assert not till.captured
    await resume(house, one)
    assert await ledger(house, one) == ("paid", "captured")
    assert sum((await house.orders.units_by_drop(one.show)).values()) == 2
