"""A refund on real Valkey and a real ledger: money once, units once, whatever dies, is lost or comes twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.checkout import refunds as module
from server.checkout.refunds import LEASE_MS
from server.checkout.saga import Paid
from server.errors import Code, Problem, unavailable
from server.inventory.outcomes import Waiting
from server.orders import refund_book
from server.orders.refund_book import Part
from tests.checkout.buying import balanced, drop_of, request, state, stock
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.checkout.saga import Request
    from server.house import House
    from server.orders.refund_book import Refund
    from tests.orders.counter import Counter

WHOLE = 2500


class DiedError(BaseException):
    """The process ends here."""


async def bought(house: House, **terms: Any) -> Request:
    """Buy two of ten units and return the request that did."""
    one = await request(house, **terms)
    assert isinstance(await house.checkout.pay(one), Paid)
    return one


async def status(house: House, order: str) -> tuple[str, list[tuple[str, int]]]:
    """Return an order's state, and its refunds' states and amounts."""
    detail = await house.orders.detail(order)
    assert detail is not None
    return detail.view["status"], [(each["status"], each["amount"]) for each in detail.refunds]


async def right(house: House, one: Request) -> None:
    """Assert that stock, ledger and money agree."""
    assert await balanced(house, one.show)
    assert await house.orders.unbalanced() == {}


async def resumed(house: House, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a worker come by when nobody can still be at work; return how many refunds it took up."""
    sync = house.refunds._clock.sync

    async def later() -> int:
        return await sync() + 2 * LEASE_MS

    with monkeypatch.context() as patched:
        patched.setattr(house.refunds._clock, "sync", later)
        waiting = await house.refunds.waiting()
        for refund in waiting:
            await house.refunds.resume(refund)
    return len(waiting)


@pytest.mark.parametrize("restock", [False, True])
async def test_a_whole_order(house: House, till: Counter, *, restock: bool) -> None:
    """All of its money goes back; its units are on sale again where that was asked for, else they stay sold."""
    one = await bought(house)
    assert await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=restock)
    assert till.given == {"rf_x_1": WHOLE}
    assert await status(house, one.order) == ("refunded", [("paid", WHOLE)])
    assert await stock(house, one) == ((10, 0, 0) if restock else (8, 0, 2))
    assert await state(house, one) == ("released" if restock else "sold")
    assert await house.refunds.waiting() == []
    await right(house, one)


async def test_in_two_parts(house: House, till: Counter) -> None:
    """Unit by unit, once with and once without its stock; the second part makes it whole."""
    one = await bought(house)
    first = Part(one.reservations[0], 1)
    assert await house.refunds.refund(one.order, "rf_x_1", "hanna", [first], restock=True)
    assert await status(house, one.order) == ("partially_refunded", [("paid", 1250)])
    assert await stock(house, one) == (9, 0, 1)
    assert await house.refunds.refund(one.order, "rf_x_2", "hanna", [Part(0, 1)])
    assert (await status(house, one.order))[0] == "refunded"
    assert await stock(house, one) == (9, 0, 1)
    assert sum(till.given.values()) == WHOLE
    await right(house, one)


async def test_cancelled(house: House, till: Counter) -> None:
    """Money and units of the whole order are back; cancelling it again is refused with its state."""
    one = await bought(house)
    assert await house.refunds.cancel(one.order, "rf_x_1", "hanna")
    assert await status(house, one.order) == ("cancelled", [("paid", WHOLE)])
    assert await stock(house, one) == (10, 0, 0)
    assert till.given == {"rf_x_1": WHOLE}
    with pytest.raises(Problem, match="is cancelled"):
        await house.refunds.cancel(one.order, "rf_x_2", "hanna")
    await right(house, one)


async def test_the_same_id_moves_once(house: House, till: Counter) -> None:
    """Repeating a refund, one after the other or at once, gives back once."""
    one = await bought(house)
    for _ in range(2):
        told = await asyncio.gather(
            *(house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True) for _ in range(4))
        )
        assert all(told)
    assert till.given == {"rf_x_1": WHOLE}
    assert await stock(house, one) == (10, 0, 0)
    await right(house, one)


async def test_many_at_once_never_give_back_too_much(house: House, till: Counter) -> None:
    """Of five refunds of one unit at once two go through, the others are told what is left."""
    one = await bought(house)
    outcomes = await asyncio.gather(
        *(
            house.refunds.refund(one.order, f"rf_x_{n}", "hanna", [Part(0, 1)], restock=True)
            for n in range(5)
        ),
        return_exceptions=True,
    )
    assert outcomes.count(True) == 2
    assert {each.code for each in outcomes if isinstance(each, Problem)} == {Code.WRONG_STATE}
    assert sum(till.given.values()) == WHOLE
    assert await stock(house, one) == (10, 0, 0)
    assert (await status(house, one.order))[0] == "refunded"
    await right(house, one)


async def test_who_waits_gets_what_comes_back(house: House, till: Counter) -> None:
    """Units of a refund with restock wake the queue of a drop that was sold out."""
    one = await bought(house)
    drop = await drop_of(house, one)
    for viewer in ("v1", "v2"):
        await house.holds.reserve(one.show, viewer, "take", drop, 4)
    assert await stock(house, one) == (0, 8, 2)
    assert isinstance(await house.waitlist.join(one.show, "cleo", "wait", drop, 1), Waiting)
    assert await house.refunds.refund(one.order, "rf_x_1", "hanna", [Part(0, 1)], restock=True)
    assert await stock(house, one) == (0, 9, 1)
    assert till.given == {"rf_x_1": 1250}
    await right(house, one)


@pytest.mark.parametrize("trouble", ["lost", "unheard"])
async def test_an_unknown_outcome_is_repeated(
    house: House, till: Counter, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Nothing is assumed: the refund stays asked, its units reserved, until a worker knows; money moves once."""
    one = await bought(house)
    setattr(till, trouble, 2)
    assert not await house.refunds.cancel(one.order, "rf_x_1", "hanna")
    assert await status(house, one.order) == ("paid", [("asked", WHOLE)])
    assert await stock(house, one) == (8, 0, 2)
    assert await house.refunds.waiting() == []  # it is being worked on, as far as anybody knows
    assert await resumed(house, monkeypatch) == 1
    assert (await status(house, one.order))[0] == "paid"
    await house.ledger.write(_take_back_leases)
    assert await resumed(house, monkeypatch) == 1
    assert await status(house, one.order) == ("cancelled", [("paid", WHOLE)])
    assert till.given == {"rf_x_1": WHOLE}
    assert await stock(house, one) == (10, 0, 0)
    assert await resumed(house, monkeypatch) == 0
    await right(house, one)


def _take_back_leases(connection: Any) -> None:
    connection.exec_driver_sql("UPDATE refunds SET next_at = 0")


async def test_a_refusal_frees_the_units(house: House, till: Counter) -> None:
    """What the provider will not do moved nothing: the order is as it was, and can be refunded when it will."""
    one = await bought(house)
    till.closed = True
    with pytest.raises(Problem, match="The provider refused the refund: The account is closed") as refused:
        await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True)
    assert refused.value.code is Code.WRONG_STATE
    assert await status(house, one.order) == ("paid", [("refused", WHOLE)])
    assert await stock(house, one) == (8, 0, 2)
    with pytest.raises(Problem, match="was refused"):
        await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True)
    till.closed = False
    assert await house.refunds.refund(one.order, "rf_x_2", "hanna", restock=True)
    assert till.given == {"rf_x_2": WHOLE}
    await right(house, one)


PLACES = [
    "before refund",
    "after refund",
    "before paid",
    "after paid",
    "before run:hold_return",
    "after run:hold_return",
    "before settle",
    "after settle",
]


@pytest.mark.parametrize("place", PLACES)
async def test_a_process_that_dies(
    house: House, till: Counter, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Killed before or after any step: a worker ends it, with the money and the units back once."""
    one = await bought(house)
    when, _, call = place.partition(" ")
    name, _, script = call.partition(":")
    target: Any = {"refund": till, "run": house.scripts}.get(name, house.refunds._book)
    original = getattr(target, name)

    async def dies(*args: Any, **fields: Any) -> Any:
        if script and args[0] != script:
            return await original(*args, **fields)
        if when == "after":
            await original(*args, **fields)
        raise DiedError

    with monkeypatch.context() as patched:
        patched.setattr(target, name, dies)
        with pytest.raises(DiedError):
            await house.refunds.cancel(one.order, "rf_x_1", "hanna")
    assert await resumed(house, monkeypatch) == (0 if place == "after settle" else 1)
    assert await status(house, one.order) == ("cancelled", [("paid", WHOLE)])
    assert till.given == {"rf_x_1": WHOLE}
    assert await stock(house, one) == (10, 0, 0)
    await right(house, one)


@pytest.mark.parametrize("careless", [False, True])
async def test_workers_at_once(
    house: House, till: Counter, monkeypatch: pytest.MonkeyPatch, *, careless: bool
) -> None:
    """Of four workers that find the same refund one takes it up; without the claim all do, and still it moves once."""
    one = await bought(house)
    till.lost = 1
    assert not await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True)
    await house.ledger.write(_take_back_leases)
    if careless:
        all_have_found_it = asyncio.Barrier(4)

        async def taken(refund: str, _now: int, _until: int) -> Refund | None:
            found = await house.ledger.read(lambda connection: refund_book._found(connection, refund))
            await all_have_found_it.wait()
            return found

        monkeypatch.setattr(house.refunds._book, "claim", taken)
    await asyncio.gather(*(house.refunds.resume("rf_x_1") for _ in range(4)))
    assert len(till.calls) == (5 if careless else 2)
    assert till.given == {"rf_x_1": WHOLE}
    assert await stock(house, one) == (10, 0, 0)
    await right(house, one)


async def test_units_wait_while_the_store_is_away(
    house: House, till: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The money has moved and that is said; the units follow when the store is back."""
    one = await bought(house)

    async def away(*_args: Any, **_fields: Any) -> Any:
        raise unavailable("The store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(module, "ask", away)
        assert await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True)
    assert (await status(house, one.order))[0] == "refunded"
    assert await stock(house, one) == (8, 0, 2)
    assert await resumed(house, monkeypatch) == 1
    assert await stock(house, one) == (10, 0, 0)
    assert till.given == {"rf_x_1": WHOLE}
    await right(house, one)


async def test_what_cost_nothing(house: House, till: Counter) -> None:
    """An order of nothing is cancelled without asking the provider for nothing."""
    one = await bought(house, unit_price=0)
    assert await house.refunds.cancel(one.order, "rf_x_1", "hanna")
    assert till.calls == []
    assert await status(house, one.order) == ("cancelled", [("paid", 0)])
    await right(house, one)


async def test_a_show_that_is_long_gone(house: House, till: Counter) -> None:
    """An order outlives its show: its money goes back, and no key comes back with it."""
    one = await bought(house)
    places = [place async for place in house.client.scan_iter(f"*{one.show}*")]
    await house.client.delete(*places)
    assert await house.refunds.refund(one.order, "rf_x_1", "hanna", restock=True)
    assert till.given == {"rf_x_1": WHOLE}
    assert (await status(house, one.order))[0] == "refunded"
    assert [place async for place in house.client.scan_iter(f"*{one.show}*")] == []
    assert await house.refunds.waiting() == []
    await house.shows.retire(one.show)


async def test_the_sweeper_goes_on_with_refunds(house: House, till: Counter) -> None:
    """What nobody works on any more is taken up by the sweeper's own round."""
    one = await bought(house)
    till.lost = 1
    assert not await house.refunds.refund(one.order, "rf_x_1", "hanna")
    await house.ledger.write(_take_back_leases)
    running = asyncio.create_task(house.sweeper().run())

    async def done() -> bool:
        return (await status(house, one.order))[0] == "refunded"

    await wait_for(done, "the refund is paid")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert till.given == {"rf_x_1": WHOLE}


def test_a_refunds_id_is_its_own() -> None:
    """It names its show, and follows from order, caller and operation; without an operation it is new each time."""
    order = ids.order("sh_abc", "ann", "pay")
    first = ids.refund(order, "hanna", "key")
    assert first == ids.refund(order, "hanna", "key")
    others = {ids.refund(order, "hanna", "key2"), ids.refund(order, "otto", "key"), ids.new_refund(order)}
    assert len({first, *others}) == 4
    assert all(each.startswith("rf_abc_") for each in {first, *others})
