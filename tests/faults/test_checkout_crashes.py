"""The process that walks an order dies by SIGKILL at every act of every step, and after every answer of each.

The places are read off the saga's own table; the money is at the sandbox's own process. Whoever comes next finds the
record, and finishes or undoes the order: the units are sold or back, the ledger agrees, and by the bank's own books
the money has moved once or not at all.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from server.checkout.steps import BEGINS, TABLE, Step
from server.errors import Code, Problem
from server.ledger.database import Ledger
from server.store.embedded import Embedded
from tests.checkout.buying import disagreements, record
from tests.checkout.teller import Bank, a_bank
from tests.faults.crashes import (
    Undertaker,
    all_is_well,
    an_undertaker,
    charge_of,
    come_to_an_end,
    die_on,
)
from tests.faults.ways import Way, ways
from tests.houses import house_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House
    from tests.checkout.teller import Teller

WAYS = ways()
pytestmark = pytest.mark.asyncio(loop_scope="module")
STEPS = [way for way in WAYS if way.heard is None and BEGINS[way.step] is way.act]


@pytest.fixture(scope="module")
def undertaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undertaker]:
    with an_undertaker(tmp_path_factory.mktemp("crashes")) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bank]:
    """Give one bank's process for all orders of this module."""
    async with a_bank(tmp_path_factory.mktemp("bank")) as one:
        yield one


@pytest.fixture(scope="module")
def teller(bank: Bank) -> Teller:
    return bank.teller


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shop(teller: Teller, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Give the house in which others go on with what the dead left."""
    folder = tmp_path_factory.mktemp("crashes")
    with Embedded.start(folder) as store:
        async with house_at(store.url, folder / "data", sandbox_url=teller.url) as house:
            yield house


@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
async def test_killed_anywhere(way: Way, undertaker: Undertaker, shop: House, teller: Teller) -> None:
    """Killed here, an order is finished or undone by the next who comes: once, and nothing is left over."""
    one = await die_on(way, undertaker, shop, teller)
    await come_to_an_end(shop, teller, one)
    await all_is_well(shop, teller, one, way)
    await come_to_an_end(shop, teller, one)  # another worker who comes late finds nothing to do
    await all_is_well(shop, teller, one, way)


@contextmanager
def a_store(folder: Path) -> Iterator[list[Embedded]]:
    """Give a store that can be killed; whoever takes its place stands in the list."""
    held = [Embedded.start(folder, "always")]
    try:
        yield held
    finally:
        held[0].stop()


def kill(held: list[Embedded], folder: Path) -> None:
    """Kill the store and start it again on its data."""
    assert held[0].pid is not None
    os.kill(held[0].pid, signal.SIGKILL)
    held[0].stop()
    held[0] = Embedded.start(folder, "always")


async def test_store_and_bank_are_killed_too(undertaker: Undertaker, bank: Bank, tmp_path: Path) -> None:
    """At each step the process dies, the store and the bank with it: what was acknowledged is there, and goes on."""
    teller, data = bank.teller, tmp_path / "data"
    with a_store(tmp_path / "store") as held:
        async with house_at(held[0].url, data, sandbox_url=teller.url) as house:
            dead = [(way, await die_on(way, undertaker, house, teller)) for way in STEPS]
        kill(held, tmp_path / "store")
        bank.kill()
        async with house_at(held[0].url, data, sandbox_url=teller.url) as house:
            for way, one in dead:
                assert (await record(house, one))["step"] == way.step
                await come_to_an_end(house, teller, one)
                await all_is_well(house, teller, one, way)


@pytest.mark.parametrize("way", STEPS, ids=[way.step for way in STEPS])
async def test_the_ledger_refuses(
    way: Way, undertaker: Undertaker, shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger takes nothing the order stays at the step that needs it; then it goes on by itself."""
    one = await die_on(way, undertaker, shop, teller)
    with monkeypatch.context() as patch:

        async def down(*_args: object) -> None:
            raise Problem(Code.UNAVAILABLE, "the ledger does not answer")

        patch.setattr(Ledger, "write", down)
        await come_to_an_end(shop, teller, one)
        left = await record(shop, one)
        assert left["step"] in {Step.FINALIZED, Step.COMMITTED, Step.UNDOING, Step.REFUSED}
        assert await disagreements(shop, one.show, under_way=True) == []
    await come_to_an_end(shop, teller, one)
    await all_is_well(shop, teller, one, way)


def at(step: Step) -> Way:
    """Return the way that ends where a step begins."""
    return next(way for way in STEPS if way.step is step)


async def test_a_worker_that_forgets_to_look_is_found(
    undertaker: Undertaker, shop: House, teller: Teller
) -> None:
    """Negative control: where nobody comes after the dead process, the same look finds what it left behind."""
    way = at(Step.AUTHORIZED)
    one = await die_on(way, undertaker, shop, teller)
    with pytest.raises(AssertionError, match="not at its end"):
        await all_is_well(shop, teller, one, way)
    await come_to_an_end(shop, teller, one)
    await all_is_well(shop, teller, one, way)


async def test_money_that_moved_twice_is_found(undertaker: Undertaker, shop: House, teller: Teller) -> None:
    """Negative control: a bank without keys, which takes the money of one order again, does not pass the same look."""
    way = at(Step.COMMITTED)
    one = await die_on(way, undertaker, shop, teller)
    await come_to_an_end(shop, teller, one)
    await teller.forget(one.order)
    with pytest.raises(AssertionError, match="its provider has taken nothing"):
        await all_is_well(shop, teller, one, way)
    await teller.authorize(charge_of(one))
    await teller.capture(charge_of(one))
    with pytest.raises(AssertionError, match="captured 2 times"):
        await all_is_well(shop, teller, one, way)


async def test_every_act_is_killed_before_and_after_each_answer() -> None:
    """The ways are as many as the table says: nothing is left out."""
    assert len(WAYS) == len(TABLE) + sum(map(len, TABLE.values()))
    assert {way.step for way in STEPS} == set(Step)
