"""Refunds that are asked for at the same moment, by several processes: never more goes back than there is.

The negative controls decide by what they read before, as code without the bound in its UPDATE does; and they show why
the ledger writes at READ COMMITTED: at REPEATABLE READ a row's lock is worth nothing to who reads an older picture.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from server.errors import Code, Problem
from server.ledger.database import open_ledger
from server.ledger.tables import order_lines, orders, refunds
from server.orders import refund_book
from server.orders.refund_book import RefundBook
from tests.orders.written import AT, PRICE, paid, refunded, wanted
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.ledger.database import Ledger

    Ask = Callable[[Connection, str], object]

ORDER = "or_show_1"
COMMITTED, REPEATABLE = "READ COMMITTED", "REPEATABLE READ"


async def test_many_at_once(ledger: Ledger) -> None:
    """Of ten refunds of one unit, half of them in each of two processes, three units let three through."""
    await ledger.write(lambda c: paid(c, 3, order=ORDER))
    other = open_ledger(ledger.url.render_as_string(hide_password=False))
    books = (RefundBook(ledger), RefundBook(other))
    try:
        outcomes = await asyncio.gather(
            *(book.ask(wanted(ORDER, (0, 1))) for book in books * 5), return_exceptions=True
        )
    finally:
        await other.close()
    made = [each for each in outcomes if isinstance(each, refund_book.Refund)]
    refusals = [each for each in outcomes if isinstance(each, Problem)]
    assert (len(made), len(refusals)) == (3, 7)
    assert {problem.code for problem in refusals} == {Code.WRONG_STATE}
    assert {problem.detail for problem in refusals} == {
        "Line 0 has 0 of 3 units left to refund, 1 are asked for."
    }
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(3, 0)]


async def test_paid_by_two_at_once(ledger: Ledger) -> None:
    """Two workers who learn of the same money write its movement, change and message once."""
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    one = wanted(ORDER, refund="rf_show_a", restock=True)
    await ledger.write(lambda c: refund_book.ask(c, one))
    other = open_ledger(ledger.url.render_as_string(hide_password=False))
    books = (RefundBook(ledger), RefundBook(other))
    try:
        await asyncio.gather(*(book.paid("rf_show_a", AT + 3) for book in books * 4))
        claims = await asyncio.gather(
            *(book.claim("rf_show_a", AT + 60_000, AT + 90_000) for book in books * 4)
        )
    finally:
        await other.close()
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(1, 1)]
    assert len([claim for claim in claims if claim is not None]) == 1


async def test_the_database_itself_refuses(ledger: Ledger) -> None:
    """Whatever the code does: a line never has more refunded than sold, nor more on sale again than refunded."""
    await ledger.write(lambda c: paid(c, 2, order=ORDER))
    for wrong in ({"refunded": 3}, {"refunded": -1}, {"restocked": 1}):
        statement = update(order_lines).values(wrong)
        with pytest.raises(IntegrityError):
            await ledger.write(partial(Connection.execute, statement=statement))


# -- what others do: look first, and decide by that


def torn_line(connection: Connection, order: str) -> None:
    """Refund a unit by what the line had when it was looked at."""
    line = connection.execute(select(order_lines).where(order_lines.c.order_id == order)).one()
    BREATH.wait()
    if line.refunded + 1 <= line.quantity:
        connection.execute(
            update(order_lines).where(order_lines.c.order_id == order).values(refunded=line.refunded + 1)
        )
        asked_for(connection, order)


def locked_sum(connection: Connection, order: str) -> None:
    """Lock the order, then refund a unit where the refunds so far leave one: right, at READ COMMITTED."""
    connection.execute(select(orders.c.id).where(orders.c.id == order).with_for_update()).one()
    total = select(func.coalesce(func.sum(refunds.c.amount), 0)).where(refunds.c.order_id == order)
    if connection.execute(total).scalar_one() + PRICE <= PRICE:
        asked_for(connection, order)


def ours(connection: Connection, order: str) -> None:
    """Ask for a refund as the server does."""
    refund_book.ask(connection, wanted(order, (0, 1)))


BREATH = threading.Barrier(2)


def asked_for(connection: Connection, order: str) -> None:
    row = {
        "id": wanted(order).refund,
        "order_id": order,
        "status": "asked",
        "amount": PRICE,
        "currency": "EUR",
        "lines": [[0, 1]],
        "restock": False,
        "becomes": "refunded",
        "by": "host",
        "created_at": AT,
        "updated_at": AT,
        "next_at": AT,
        "settled": False,
    }
    connection.execute(refunds.insert().values(row))


def one_after_the_other(ledger: Ledger, ask: Ask, isolation: str) -> Exception | None:
    """Ask twice for the only unit: the second has read something, waits for the first one's lock, and goes on.

    So it is in the ledger's own transactions, which are many callers' pieces. Returns what the second was told.
    """
    told: list[Exception | None] = []
    engine = open_ledger(ledger.url.render_as_string(hide_password=False))
    second_engine = engine.write_engine.execution_options(isolation_level=isolation)
    first = ledger.write_engine.connect()
    second = second_engine.connect()
    try:
        pid = second.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        first.exec_driver_sql("SELECT 1")
        ask(first, ORDER)

        def asking() -> None:
            try:
                ask(second, ORDER)
                second.commit()
                told.append(None)
            except (Problem, OperationalError) as error:
                second.rollback()
                told.append(error)

        thread = threading.Thread(target=asking)
        thread.start()
        with ledger.read_engine.connect() as watching:
            wait_until(lambda: _waits(watching, pid), "the second waits for a lock")
        first.commit()
        thread.join(15)
    finally:
        first.close()
        second.close()
        engine.write_engine.dispose()
        engine.read_engine.dispose()
    return told[0]


def _waits(watching: Connection, pid: int) -> bool:
    activity = text("SELECT wait_event_type FROM pg_stat_activity WHERE pid = :pid")
    found = watching.execute(activity, {"pid": pid}).scalar()
    watching.rollback()
    return found == "Lock"


async def given_back(ledger: Ledger) -> int:
    """Return what all refunds of the order would move."""
    total = select(func.coalesce(func.sum(refunds.c.amount), 0))
    return int(await ledger.read(lambda c: c.execute(total).scalar_one()))


async def test_ours_is_right_at_read_committed(postgresql_ledger: Ledger) -> None:
    """The ledger writes at READ COMMITTED; who comes second is told what is left, and one unit goes back."""
    ledger = postgresql_ledger
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    with ledger.write_engine.connect() as connection:
        assert connection.get_isolation_level() == COMMITTED
    told = await asyncio.to_thread(one_after_the_other, ledger, ours, COMMITTED)
    assert isinstance(told, Problem)
    assert told.detail == "Line 0 has 0 of 1 units left to refund, 1 are asked for."
    assert await given_back(ledger) == PRICE


async def test_ours_would_be_lost_at_repeatable_read(postgresql_ledger: Ledger) -> None:
    """There the second one's whole transaction fails, and with it the pieces of up to 255 other callers."""
    ledger = postgresql_ledger
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    told = await asyncio.to_thread(one_after_the_other, ledger, ours, REPEATABLE)
    assert isinstance(told, OperationalError)
    assert "could not serialize access" in str(told)
    assert await given_back(ledger) == PRICE


@pytest.mark.parametrize(("isolation", "went"), [(COMMITTED, PRICE), (REPEATABLE, 2 * PRICE)])
async def test_a_lock_is_no_help_at_repeatable_read(
    postgresql_ledger: Ledger, isolation: str, went: int
) -> None:
    """Locking the order and adding up its refunds holds at READ COMMITTED; at REPEATABLE READ it pays twice."""
    ledger = postgresql_ledger
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    assert await asyncio.to_thread(one_after_the_other, ledger, locked_sum, isolation) is None
    assert await given_back(ledger) == went


async def test_deciding_by_an_earlier_look_pays_twice(postgresql_ledger: Ledger) -> None:
    """Without lock and bound both see the unit that is left, and both get it."""
    ledger = postgresql_ledger
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    other = open_ledger(ledger.url.render_as_string(hide_password=False))
    try:
        await asyncio.gather(*(each.write(lambda c: torn_line(c, ORDER)) for each in (ledger, other)))
    finally:
        await other.close()
    assert await given_back(ledger) == 2 * PRICE
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(1, 0)]
