"""What the benchmarks of checkout do is what they say: orders that are paid, calls that hang."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select

from loadtests.bench.ground import BenchError
from loadtests.bench.hanging import hung
from loadtests.bench.paying import all_paid, basket, shop
from loadtests.bench.till import Till
from server.ledger.tables import orders
from server.payments.provider import Authorized, Charge, RefusedError, Status, UnknownOutcomeError
from tests.waiting import wait_for

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground

CHARGE = Charge("or_1", 1250, "EUR", "card", "tok_ok")
REQUESTS, PAYERS = 24, 12
SECONDS = 5.0  # nobody waits so long: a till that hangs is hurried


async def commits_of(ground: Ground, *, together: bool) -> int:
    """Let some pay, and return in how many transactions that were theirs."""
    commits = 0

    def count(_: Any) -> None:
        nonlocal commits
        commits += 1

    async with shop(ground, Till(), together=together) as house, ground.shelf() as (show, drop):
        requests = [await basket(house, show, drop) for _ in range(REQUESTS)]
        event.listen(house.ledger.write_engine, "commit", count)
        waits = await all_paid(house, requests, PAYERS)
        paid = await house.ledger.read(
            lambda connection: connection.execute(
                select(func.count()).select_from(orders).where(orders.c.status == "paid")
            ).scalar_one()
        )
    assert len(waits) == paid == REQUESTS
    return commits


async def test_checkouts_are_paid_orders_and_the_peer_commits_each_write(ground: Ground) -> None:
    """What is counted is in the ledger, paid; ours has several writes in a transaction, the peer has one."""
    assert await commits_of(ground, together=False) == 2 * REQUESTS
    assert await commits_of(ground, together=True) < 2 * REQUESTS


async def test_checkouts_hang_all_through_the_block_and_are_paid_then(ground: Ground) -> None:
    """Inside the block all wait for their provider; when it has ended each of them is a paid order."""
    till = Till(SECONDS)
    async with shop(ground, till) as house, ground.shelf() as (show, drop):
        async with hung(replace(ground, house=house), till, show, drop, PAYERS):
            assert till.waiting == PAYERS
            view = await house.drops.find(show, drop)
            assert (view["held"], view["sold"]) == (PAYERS, 0)
        view = await house.drops.find(show, drop)
        assert (view["held"], view["sold"]) == (0, PAYERS)


async def test_checkouts_that_do_not_hang_to_the_end_are_no_measurement(ground: Ground) -> None:
    """Where the provider answers within the block, the benchmark says so instead of printing a figure."""
    till = Till(SECONDS)
    async with shop(ground, till) as house, ground.shelf() as (show, drop):

        async def answered() -> None:
            async with hung(replace(ground, house=house), till, show, drop, PAYERS):
                till.hurry()
                await wait_for(lambda: not till.waiting, "all to be answered")

        with pytest.raises(BenchError, match=f"Only 0 of {PAYERS} checkouts"):
            await answered()


async def test_the_till_keeps_the_promise_of_a_provider() -> None:
    """A repeat is the first call again; what was voided is not captured, what was captured is not voided."""
    till = Till()
    with pytest.raises(UnknownOutcomeError):
        await till.capture(CHARGE, "till_or_1")
    assert await till.find(CHARGE.order) is None
    assert await till.authorize(CHARGE) == await till.authorize(CHARGE) == Authorized("till_or_1")
    for _ in range(2):
        await till.capture(CHARGE, "till_or_1")
    with pytest.raises(RefusedError):
        await till.void(CHARGE, "till_or_1")
    other = replace(CHARGE, order="or_2")
    await till.authorize(other)
    await till.void(other, "till_or_2")
    with pytest.raises(RefusedError):
        await till.capture(other, "till_or_2")
    found = {each.order: (each.status, each.captured) async for each in till.payments(0)}
    assert found == {"or_1": (Status.CAPTURED, 1250), "or_2": (Status.VOIDED, 0)}
    with pytest.raises(RefusedError):
        await till.refund("till_or_1", "rf_1", 1)
