"""The sandbox's process answers late, twice, out of order and never: one payment, or none, by its own books."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from server.checkout.saga import Paid, Pending
from server.payments import sandbox
from server.payments.provider import Charge, Status
from tests.checkout.buying import ledger, lose, make_overdue, record, request, resume, state, stock
from tests.checkout.teller import a_shop, is_paid_once, nothing_moved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.checkout.saga import Request
    from server.house import House
    from tests.checkout.teller import Bank, Teller

PATIENCE_SECONDS = 0.8  # of the shop, in these tests
LATE_MS = 1500
OVERTAKEN_MS = 3000
NEVER_MS = 60_000
TOTAL = 2500
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def estate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Bank]]:
    async with a_shop(tmp_path_factory.mktemp("answers")) as one:
        yield one


@pytest.fixture(scope="module")
def shop(estate: tuple[House, Bank]) -> House:
    return estate[0]


@pytest.fixture(scope="module")
def teller(estate: tuple[House, Bank]) -> Teller:
    return estate[1].teller


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def at_rest(teller: Teller) -> AsyncIterator[None]:
    """Leave no knob turned."""
    yield
    await teller.turn()


async def hastily(shop: House, one: Request, monkeypatch: pytest.MonkeyPatch) -> object:
    """Pay where nobody waits long for the bank."""
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "ANSWER_SECONDS", PATIENCE_SECONDS)
        return await shop.checkout.pay(one)


async def resume_hastily(shop: House, one: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker come by that does not wait long for the bank."""
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "ANSWER_SECONDS", PATIENCE_SECONDS)
        await resume(shop, one)


def charge_of(one: Request) -> Charge:
    """Return what the bank is asked for an order."""
    return Charge(one.order, TOTAL, "EUR", "card", one.details["token"])


# -- late


@pytest.mark.parametrize("call", ["authorize", "capture"])
async def test_late(shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """After nobody listens any more: 202, then a worker finds what was done and goes on; it moves once."""
    one = await request(shop)
    await teller.turn(lose={call: 1}, silent_ms=LATE_MS)
    outcome = await hastily(shop, one, monkeypatch)
    assert isinstance(outcome, Pending)
    assert outcome.order["status"] == "confirming"
    assert teller.status(one.order) == {"authorize": Status.AUTHORIZED, "capture": Status.CAPTURED}[call]
    await resume(shop, one)
    await is_paid_once(shop, teller, one)
    assert await stock(shop, one) == (8, 0, 2)


async def test_a_late_yes_for_units_that_are_gone(
    shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units went to others while the bank was silent: what it reserved is let go, nothing is taken."""
    one = await request(shop)
    await teller.turn(lose={"authorize": 1}, silent_ms=LATE_MS)
    assert isinstance(await hastily(shop, one, monkeypatch), Pending)
    await lose(shop, one, taken=True)
    await resume(shop, one)
    await nothing_moved(shop, teller, one)
    assert await stock(shop, one) == (0, 10, 0)


async def test_a_bank_that_thinks_longer_than_anybody_waits(
    shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tok_slow_10s`: whoever looks meanwhile decides nothing; when it is decided the order is paid."""
    one = await request(shop, card="tok_slow_10s")
    assert isinstance(await hastily(shop, one, monkeypatch), Pending)
    for _ in range(2):
        await resume(shop, one)
        assert ((await record(shop, one))["step"], teller.status(one.order)) == ("claimed", Status.PENDING)
        assert await state(shop, one) == "paying"
    await teller.agree(charge_of(one))
    await resume(shop, one)
    await is_paid_once(shop, teller, one)


# -- twice


async def test_twice(shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again and again by buyer and workers, each answered: reserved once, taken once."""
    one = await request(shop)
    await teller.turn(lose={"authorize": 1, "capture": 1}, silent_ms=LATE_MS)
    assert isinstance(await hastily(shop, one, monkeypatch), Pending)
    await resume_hastily(shop, one, monkeypatch)
    assert teller.changes(one.order) == {Status.AUTHORIZED: 1, Status.CAPTURED: 1}
    await asyncio.gather(*(resume(shop, one) for _ in range(5)), *(shop.checkout.pay(one) for _ in range(5)))
    assert isinstance(await shop.checkout.pay(one), Paid)
    await is_paid_once(shop, teller, one)
    assert teller.changes(one.order) == {Status.AUTHORIZED: 1, Status.CAPTURED: 1}


async def test_a_buyer_who_approves_twice(shop: House, teller: Teller) -> None:
    """Webhook, return and worker, each several times after two clicks on the bank's page: paid once."""
    one = await request(shop, card="tok_requires_action")
    assert isinstance(await shop.checkout.pay(one), Pending)
    await asyncio.gather(*(teller.say(one.order, yes=True) for _ in range(2)))
    await asyncio.gather(
        *(shop.checkout.look(one.order) for _ in range(5)),
        *(shop.checkout.find(one.order) for _ in range(5)),
        *(resume(shop, one) for _ in range(5)),
    )
    await is_paid_once(shop, teller, one)


# -- out of order


async def test_a_request_that_comes_after_it_was_called_off(shop: House, teller: Teller) -> None:
    """The bank hears that it shall let go before it hears what: the request that comes behind reserves nothing."""
    one = await request(shop)
    await teller.turn(fail={"authorize": 1})
    assert isinstance(await shop.checkout.pay(one), Pending)
    assert teller.status(one.order) == ""
    await make_overdue(shop, one)
    await resume(shop, one)
    await nothing_moved(shop, teller, one)
    await teller.authorize(charge_of(one))
    await shop.checkout.look(one.order)
    await nothing_moved(shop, teller, one)
    assert (await stock(shop, one), await state(shop, one)) == ((8, 2, 0), "held")


async def test_a_buyer_who_approves_after_it_was_called_off(shop: House, teller: Teller) -> None:
    """A click on a page that was open for too long changes nothing, here or there."""
    one = await request(shop, card="tok_requires_action")
    assert isinstance(await shop.checkout.pay(one), Pending)
    await make_overdue(shop, one)
    await resume(shop, one)
    await teller.say(one.order, yes=True)
    await shop.checkout.look(one.order)
    await nothing_moved(shop, teller, one)


async def test_a_later_answer_overtakes_the_first(shop: House, teller: Teller) -> None:
    """While the first request waits for its answer a worker is told, and finishes; the first then sees it paid."""
    one = await request(shop)
    await teller.turn(delay_ms=OVERTAKEN_MS)
    paying = asyncio.create_task(shop.checkout.pay(one))
    await asyncio.to_thread(teller.until, one.order, Status.AUTHORIZED)
    await teller.turn()
    await resume(shop, one)
    assert not paying.done()
    assert await ledger(shop, one) == ("paid", "captured")
    assert isinstance(await paying, Paid)
    await is_paid_once(shop, teller, one)


# -- never


async def test_never(shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bank has reserved and says nothing to anybody: units stay with the order; asked later, it is paid once."""
    one = await request(shop)
    await teller.turn(lose={"authorize": 9, "find": 9}, silent_ms=NEVER_MS)
    assert isinstance(await hastily(shop, one, monkeypatch), Pending)
    await make_overdue(shop, one)
    for _ in range(2):
        await resume_hastily(shop, one, monkeypatch)
        assert ((await record(shop, one))["step"], await state(shop, one)) == ("claimed", "paying")
    await teller.turn()
    await resume(shop, one)
    await is_paid_once(shop, teller, one)


async def test_never_says_that_it_let_go(
    shop: House, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the deadline of an order nobody hears from the bank: its units wait until it is known, then all is undone."""
    one = await request(shop, card="tok_requires_action")
    assert isinstance(await shop.checkout.pay(one), Pending)
    await make_overdue(shop, one)
    await teller.turn(lose={"void": 9}, silent_ms=NEVER_MS)
    for _ in range(2):
        await resume_hastily(shop, one, monkeypatch)
        assert ((await record(shop, one))["step"], await state(shop, one)) == ("voiding", "paying")
    await teller.turn()
    await resume(shop, one)
    await nothing_moved(shop, teller, one)
    assert await state(shop, one) == "held"
