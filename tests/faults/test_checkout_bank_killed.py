"""The sandbox's process dies by SIGKILL in the middle of a checkout: its books outlive it, and money moves once.

Its keeper starts another one on the same books. Who has asked hears nothing, which is no answer: it is asked again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from server import ids
from server.checkout.saga import Paid, Pending
from server.payments.provider import Status
from tests.checkout.buying import disagreements, ledger, make_overdue, record, request, resume, state, stock
from tests.checkout.teller import Bank, a_shop, is_paid_once
from tests.faults.crashes import PRICE, UNITS, charge_of
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.checkout.saga import Request
    from server.house import House

SILENT_MS = 60_000  # longer than anybody waits: only the kill ends it
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def estate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Bank]]:
    async with a_shop(tmp_path_factory.mktemp("killed")) as one:
        yield one


@pytest.fixture(scope="module")
def shop(estate: tuple[House, Bank]) -> House:
    """Give a house whose money is at the bank."""
    return estate[0]


@pytest.fixture(scope="module")
def bank(estate: tuple[House, Bank]) -> Bank:
    """Give the bank's process."""
    return estate[1]


async def killed_before_it_answers(
    bank: Bank, call: str, asking: Awaitable[object], done: Callable[[], bool]
) -> object:
    """Ask; kill the bank when the work is on its disk and nobody has heard of it; return what was heard then."""
    await bank.teller.turn(lose={call: 1}, silent_ms=SILENT_MS)
    under_way = asyncio.ensure_future(asking)
    await wait_for(done, f"{call} is done")
    assert not under_way.done()
    await asyncio.to_thread(bank.kill)
    return await under_way


async def ordered(shop: House, card: str = "tok_ok") -> Request:
    """Return the request to pay all units of a new drop."""
    return await request(shop, card=card, quantity=UNITS)


@pytest.mark.parametrize(
    ("call", "reached"), [("authorize", Status.AUTHORIZED), ("capture", Status.CAPTURED)]
)
async def test_it_dies_after_the_work_and_before_the_answer(
    shop: House, bank: Bank, call: str, reached: Status
) -> None:
    """The amount is reserved, or has moved, and nobody heard: 202, then a worker's repeat finds it; it moves once."""
    one = await ordered(shop)
    heard = await killed_before_it_answers(
        bank, call, shop.checkout.pay(one), lambda: bank.teller.status(one.order) == reached
    )
    assert isinstance(heard, Pending)
    assert heard.order["status"] == "confirming"
    await resume(shop, one)
    await is_paid_once(shop, bank.teller, one)
    assert isinstance(await shop.checkout.pay(one), Paid)
    await is_paid_once(shop, bank.teller, one)


async def test_it_dies_between_authorization_and_capture(
    shop: House, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was reserved is still reserved at the next one, which takes it once, in the same breath."""
    one = await ordered(shop)
    commit = shop.orders.commit

    async def killed(show: str, record: dict[str, object]) -> None:
        assert bank.teller.status(one.order) == Status.AUTHORIZED
        await asyncio.to_thread(bank.kill)
        await commit(show, record)

    with monkeypatch.context() as patch:
        patch.setattr(shop.orders, "commit", killed)
        await shop.checkout.pay(one)
    await resume(shop, one)  # where the connection was noticed to be cut only when it was used
    await is_paid_once(shop, bank.teller, one)


async def test_it_dies_when_it_lets_go(shop: House, bank: Bank) -> None:
    """An order that nobody pays in time: let go without an answer it is let go again, and its units are back."""
    one = await ordered(shop, "tok_requires_action")
    assert isinstance(await shop.checkout.pay(one), Pending)
    await make_overdue(shop, one)
    await killed_before_it_answers(
        bank, "void", resume(shop, one), lambda: bank.teller.status(one.order) == Status.VOIDED
    )
    assert (await record(shop, one))["step"] == "voiding"
    await resume(shop, one)
    assert (await ledger(shop, one), await state(shop, one)) == (("cancelled", "voided"), "held")
    assert bank.teller.changes(one.order) == {Status.REQUIRES_ACTION: 1, Status.VOIDED: 1}
    assert await disagreements(shop, one.show) == []


async def test_it_dies_when_it_gives_back(shop: House, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Money that went back without an answer goes back once, and then the units are on sale again, once."""
    monkeypatch.setattr("server.checkout.refunds.LEASE_MS", 0)
    one = await ordered(shop)
    assert isinstance(await shop.checkout.pay(one), Paid)
    refund = ids.new_refund(one.order)
    moved = await killed_before_it_answers(
        bank,
        "refund",
        shop.refunds.cancel(one.order, refund, "host"),
        lambda: bank.teller.refunded(one.order) > 0,
    )
    assert moved is False
    assert await stock(shop, one) == (0, 0, UNITS)
    assert await shop.refunds.waiting() == [refund]
    await shop.refunds.resume(refund)
    assert await shop.refunds.waiting() == []
    (payment,) = await bank.teller.payments(one.show)
    assert (payment.captured, payment.refunded) == (UNITS * PRICE, UNITS * PRICE)
    assert await stock(shop, one) == (UNITS, 0, 0)
    assert await disagreements(shop, one.show) == []


async def test_a_bank_that_does_not_remember_is_found(shop: House, bank: Bank) -> None:
    """Negative control: one whose books die with it takes the money of one order twice, and the same look says so."""
    one = await ordered(shop)
    heard = await killed_before_it_answers(
        bank,
        "capture",
        shop.checkout.pay(one),
        lambda: bank.teller.status(one.order) == Status.CAPTURED,
    )
    assert isinstance(heard, Pending)
    await bank.teller.forget(one.order)
    await bank.teller.authorize(charge_of(one))  # a worker's repeat, at a bank that was never asked
    await resume(shop, one)
    with pytest.raises(AssertionError, match="captured 2 times"):
        await is_paid_once(shop, bank.teller, one)
