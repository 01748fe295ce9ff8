"""Payments that other shops took twice, lost, or took for what they could not give: one order, one charge, or none."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from server import ids
from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.ledger.tables import outbox
from server.payments.provider import Status
from tests.checkout.buying import (
    balanced,
    drop_of,
    ledger,
    lose,
    make_overdue,
    request,
    resume,
    state,
    stock,
)
from tests.deadlines import let_lapse
from tests.flows.named.apart_money import Forgetful, pay_at_once, with_a_fault
from tests.flows.torn import Torn, nothing
from tests.houses import house_at, numbers
from tests.till import ACTION, ANSWER_LOST, CAPTURE_ANSWER_LOST, UNANSWERED, Till, share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House
    from server.store.embedded import Embedded

CLIENTS = 50
RESERVE_SECONDS = 0.05


@pytest.fixture
async def houses(private_valkey: Embedded, tmp_path: Path) -> AsyncIterator[list[House]]:
    """Give three houses on one store and one ledger."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(house_at(private_valkey.url, tmp_path)) for _ in range(3)]


@pytest.fixture
def till(houses: list[House]) -> Till:
    """Give the till of all of them."""
    one = Till()
    share(one, *houses)
    return one


def charged(till: Till) -> list[str]:
    """Return the orders that money moved for, once for every time."""
    return sorted(till.captures.elements())


async def one_paid_order(house: House, till: Till, one: Request) -> None:
    """Assert that the request's reservations are one order, paid once."""
    assert len(charged(till)) == 1, f"charged for {charged(till)}"
    listed = [view for view in await house.orders.of_show(one.show, 200, None) if view["status"] == "paid"]
    assert [view["id"] for view in listed] == charged(till)
    assert till.amounts == {view["id"]: view["total"] for view in listed}
    assert (await stock(house, one))[1:] == (0, 2)
    assert await balanced(house, one.show)


# -- submitted again


@pytest.mark.parametrize("keys", [1, CLIENTS])
async def test_double_submit_one_charge(houses: list[House], till: Till, keys: int) -> None:
    """Fifty clients at three processes pay the same reservations, with one key or each with its own: one is charged."""
    one = await request(houses[0])
    orders = [ids.order(one.show, one.viewer, f"key {number % keys}") for number in range(CLIENTS)]
    outcomes = await asyncio.gather(
        *(
            houses[number % 3].checkout.pay(replace(one, order=order, operation=order))
            for number, order in enumerate(orders)
        )
    )
    assert {type(outcome) for outcome in outcomes} <= {Paid, Pending, Problem}
    paid = {outcome.order["id"] for outcome in outcomes if isinstance(outcome, Paid)}
    refused = {outcome.code for outcome in outcomes if isinstance(outcome, Problem)}
    assert len(paid) == 1
    assert refused <= {Code.IN_PROGRESS, Code.WRONG_STATE}
    await one_paid_order(houses[0], till, one)


async def test_a_double_submit_without_a_claim_is_found(houses: list[House], till: Till) -> None:
    """Negative control: looked at first and paid then, the same reservations are charged for twice."""
    one = await request(houses[0])
    together = asyncio.Barrier(2)
    orders = [replace(one, order=ids.order(one.show, one.viewer, key)) for key in ("a", "b")]

    async def look() -> dict[str, Any]:
        found = await houses[0].holds.find(one.reservations[0])
        assert found is not None
        return found[0]

    await asyncio.gather(*(pay_at_once(look, till, order, together.wait) for order in orders))
    with pytest.raises(AssertionError, match="charged for"):
        await one_paid_order(houses[0], till, one)


async def many_captures(house: House, till: Till) -> Request:
    """Return an order whose capture was carried out without an answer, after workers asked for it again."""
    one = await request(house, card=CAPTURE_ANSWER_LOST)
    assert isinstance(await house.checkout.pay(one), Pending)
    await resume(house, one)
    assert len(till.asked("capture")) > 1
    return one


async def test_capture_replayed_once(houses: list[House], till: Till) -> None:
    """The answer of a capture is lost: asked again under the order's key it moves nothing more."""
    await one_paid_order(houses[0], till, await many_captures(houses[0], till))


async def test_a_capture_without_a_key_is_found(houses: list[House]) -> None:
    """Negative control: a provider that does not know the key moves it twice."""
    till = Forgetful()
    share(till, *houses)
    one = await many_captures(houses[0], till)
    with pytest.raises(AssertionError, match="charged for"):
        await one_paid_order(houses[0], till, one)


async def test_timeout_retry_reuses_the_intent(houses: list[House], till: Till) -> None:
    """Repeated after a time-out, by the buyer and by workers, an authorization is the same one at the provider."""
    for card in (UNANSWERED, ANSWER_LOST):
        till.forget()
        one = await request(houses[0], card=card)
        assert isinstance(await houses[0].checkout.pay(one), Pending)
        await asyncio.gather(*(resume(house, one) for house in houses), houses[1].checkout.pay(one))
        assert set(till.authorized) == {one.order}
        await one_paid_order(houses[0], till, one)


# -- who comes at the same moment


async def came_back(houses: list[House], till: Till) -> Request:
    """Return an order whose buyer acted, and of which the webhook, the buyer and a worker came at once."""
    one = await request(houses[0], card=ACTION)
    assert isinstance(await houses[0].checkout.pay(one), Pending)
    till.say(one.order, Status.AUTHORIZED)
    await asyncio.gather(
        *(house.checkout.look(one.order) for house in houses for _ in range(3)),
        *(house.checkout.find(one.order) for house in houses for _ in range(3)),
        *(resume(house, one) for house in houses),
    )
    return one


async def test_provider_webhook_and_return_make_one_order(houses: list[House], till: Till) -> None:
    """The webhook, the buyer's return and a worker come to three processes at once: one order, one charge."""
    one = await came_back(houses, till)
    await one_paid_order(houses[0], till, one)
    async with asyncio.TaskGroup() as late:
        for house in houses:
            late.create_task(house.checkout.look(one.order))
    await one_paid_order(houses[0], till, one)


async def test_a_webhook_that_sells_by_itself_is_found(houses: list[House], till: Till) -> None:
    """Negative control: where the webhook takes the money by what it saw, beside the order's steps, two are charged."""
    one = await came_back(houses, till)
    hooked = replace(one, order=ids.order(one.show, one.viewer, "hooked"), details={"token": "tok_ok"})

    async def as_it_was() -> dict[str, Any]:
        return {"state": "held", "quantity": 2}

    await pay_at_once(as_it_was, till, hooked, nothing)
    with pytest.raises(AssertionError, match="charged for"):
        await one_paid_order(houses[0], till, one)


# -- what changes while the provider thinks


def meanwhile(till: Till, happens: Any) -> None:
    """Let something happen after the provider has said yes and before anybody hears it."""
    original = till.authorize

    async def slow(charge: Any) -> Any:
        verdict = await original(charge)
        await happens()
        return verdict

    till.authorize = slow  # type: ignore[method-assign]  # this one only


async def lost_meanwhile(house: House, till: Till) -> Request:
    """Return an order whose units went to others while the provider thought."""
    one = await request(house)
    meanwhile(till, lambda: lose(house, one, taken=True))
    await house.checkout.pay(one)
    return one


async def nothing_was_charged(house: House, till: Till, one: Request) -> None:
    """Assert that the order came to nothing and that the units are those of others."""
    assert charged(till) == [], f"charged for {charged(till)}"
    assert await stock(house, one) == (0, 10, 0)
    assert await ledger(house, one) == ("cancelled", "voided")
    assert await balanced(house, one.show)


async def test_state_is_read_inside_the_atomic_step(houses: list[House], till: Till) -> None:
    """The sale decides by what the reservation is when it is made, not by what it was when the payment began."""
    await nothing_was_charged(houses[0], till, await lost_meanwhile(houses[0], till))


async def test_a_sale_that_trusts_the_claim_is_found(houses: list[House], till: Till, tmp_path: Path) -> None:
    """Negative control: where it does not look, units of others are sold and charged for."""
    line = "if not kept and not desk_retake(desk, own, hold, order, record.addresses[i]) then"
    with_a_fault(houses[0], tmp_path, "hold_finalize.lua", line, "if not hold then")
    one = await lost_meanwhile(houses[0], till)
    with pytest.raises(AssertionError, match="charged for"):
        await nothing_was_charged(houses[0], till, one)


async def undone_meanwhile(houses: list[House], till: Till) -> Request:
    """Return an order that another process has undone while the first one waited for the provider's yes."""
    one = await request(houses[0])

    async def undo() -> None:
        till.say(one.order, Status.PENDING)
        await make_overdue(houses[1], one)
        await resume(houses[1], one)

    meanwhile(till, undo)
    await houses[0].checkout.pay(one)
    return one


async def it_stayed_undone(house: House, till: Till, one: Request) -> None:
    """Assert that what was undone was not sold by whoever came late."""
    assert (charged(till), till.voided) == ([], {one.order})
    assert (await stock(house, one), await state(house, one)) == ((8, 2, 0), "held"), "it was sold"
    assert await ledger(house, one) == ("cancelled", "voided")


async def test_state_rechecked_after_provider_call(houses: list[House], till: Till) -> None:
    """After the call the recorded step counts: an order that was undone meanwhile is not gone on with."""
    await it_stayed_undone(houses[0], till, await undone_meanwhile(houses, till))


async def test_a_sale_by_what_was_seen_before_is_found(houses: list[House], till: Till) -> None:
    """Negative control: where nobody looks again, what was undone during the call is sold."""
    one = await request(houses[0])

    async def undo() -> None:
        assert isinstance(await houses[1].holds.release(one.reservations[0], one.viewer), Held)

    assert await Torn(houses[0].client, one.show, undo).sell(one.reservations[0])
    till.say(one.order, Status.VOIDED)
    with pytest.raises(AssertionError, match="it was sold"):
        await it_stayed_undone(houses[0], till, one)


async def test_paid_shortfall_emits_and_voids(houses: list[House], till: Till) -> None:
    """The provider said yes to what is gone: the payment is let go, and the shop is told of the shortfall once."""
    one = await lost_meanwhile(houses[0], till)
    await asyncio.gather(*(resume(house, one) for house in houses))
    assert till.voided == {one.order}

    def told(connection: Any) -> list[tuple[str, str]]:
        query = select(outbox.c.id, outbox.c.type).where(outbox.c.type == "order.shortfall")
        return [(row.id, row.type) for row in connection.execute(query)]

    assert await houses[0].ledger.read(told) == [(f"{one.order} shortfall", "order.shortfall")]


async def test_superseding_cancels_the_old_intent_first(houses: list[House], till: Till) -> None:
    """A buyer who leaves one payment in the middle and pays in another way: the first is let go before."""
    one = await request(houses[0], card=ACTION)
    assert isinstance(await houses[0].checkout.pay(one), Pending)
    other = replace(
        one, order=ids.order(one.show, one.viewer, "other"), details={**one.details, "token": "tok_ok"}
    )
    assert isinstance(await houses[1].checkout.pay(other), Paid)
    verbs = [(entry.verb, entry.order) for entry in till.entries() if entry.verb in {"authorize", "void"}]
    assert verbs == [("authorize", one.order), ("void", one.order), ("authorize", other.order)]
    await one_paid_order(houses[0], till, other)


async def test_no_lock_held_over_provider_call(houses: list[House], till: Till) -> None:
    """While a provider takes its time for one buyer, others reserve of the same drop as fast as ever.

    It takes its time until all of them have: behind a lock none would come through. How fast they can be is the
    fastest's time, for a busy machine delays some.
    """
    one = await request(houses[0])
    thinking, answered = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        thinking.set()
        await answered.wait()

    meanwhile(till, think)
    paying = asyncio.create_task(houses[0].checkout.pay(one))
    await thinking.wait()
    drop, took = await drop_of(houses[0], one), []
    for number in range(8):
        began = time.monotonic()
        await houses[0].holds.reserve(one.show, f"other-{number}", "take", drop, 1)
        took.append(time.monotonic() - began)
    assert not paying.done()
    answered.set()
    assert isinstance(await paying, Paid)
    assert min(took) < RESERVE_SECONDS, took
    assert await numbers(houses[0], one.show, drop) == (0, 8, 2)


# -- who died


class DiedError(BaseException):
    """The process ends here."""


async def claimed_and_died(house: House, till: Till) -> Request:
    """Return an order whose process died right after its claim, at a provider that is away for good."""
    one = await request(house)

    async def dies(*_args: object) -> Any:
        raise DiedError

    async def away(*_args: object) -> Any:
        raise TimeoutError

    till.authorize = dies  # type: ignore[method-assign, assignment]  # this one only
    till.find = away  # type: ignore[method-assign, assignment]  # likewise
    with pytest.raises(DiedError):
        await house.checkout.pay(one)
    await resume(house, one)
    assert await state(house, one) == "paying"
    await let_lapse(house.client, one.show, *one.reservations)
    await house.holds.sweep(one.show)
    return one


async def test_crashed_claim_expires(houses: list[House], till: Till) -> None:
    """The units of a claim whose process died, and which nobody can settle, are not kept for ever."""
    one = await claimed_and_died(houses[0], till)
    assert (await stock(houses[0], one), await state(houses[0], one)) == ((10, 0, 0), "expired")
    assert await balanced(houses[0], one.show)


async def test_a_claim_for_ever_is_found(houses: list[House], till: Till, tmp_path: Path) -> None:
    """Negative control: where the sweeper passes over what is being paid, the units are stranded."""
    line = "local ends = hold and (hold.state == 1 and hold.expires_at or hold.state == 2 and hold.deadline)"
    with_a_fault(
        houses[0],
        tmp_path,
        "hold_sweep.lua",
        line,
        "local ends = hold and hold.state == 1 and hold.expires_at",
    )
    one = await claimed_and_died(houses[0], till)
    assert await stock(houses[0], one) == (8, 2, 0)
