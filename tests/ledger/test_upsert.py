"""INSERT … ON CONFLICT, the same on both databases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from server.ledger.tables import drops, order_lines, orders
from server.ledger.upsert import insert_once, upsert
from tests.ledger.rows import count_orders, drop, line, order, put_order, status_of_drop

if TYPE_CHECKING:
    from server.ledger.database import Ledger


async def test_a_late_write_never_wins(ledger: Ledger) -> None:
    """Of a drop's rows at offsets 5, 3 and 5 again, the first 5 stays; 6 replaces it."""

    def put(connection: Connection, status: str, offset: int) -> str:
        rows = [drop("dr_one_a", status=status, offset=offset)]
        upsert(connection, drops, rows, keep=["created_at"], newer="offset")
        return status_of_drop(connection, "dr_one_a")

    assert await ledger.write(partial(put, status="open", offset=5)) == "open"
    assert await ledger.write(partial(put, status="scheduled", offset=3)) == "open"
    assert await ledger.write(partial(put, status="paused", offset=5)) == "open"
    assert await ledger.write(partial(put, status="closed", offset=6)) == "closed"


async def test_kept_columns_stay_as_first_written(ledger: Ledger) -> None:
    """An update changes every column but the kept ones; other rows of the call are inserted."""

    def put(connection: Connection) -> list[tuple[str, int, str]]:
        upsert(connection, orders, [order("or_1", created_at=1)])
        rows = [order("or_1", created_at=2, status="refunded"), order("or_2", created_at=2)]
        upsert(connection, orders, rows, keep=["created_at"])
        found = select(orders.c.id, orders.c.created_at, orders.c.status).order_by(orders.c.id)
        return [tuple(row) for row in connection.execute(found)]

    assert await ledger.write(put) == [("or_1", 1, "refunded"), ("or_2", 2, "paid")]


async def test_nothing_to_write_is_no_statement(ledger: Ledger) -> None:
    """No rows, no change, no error."""
    await ledger.write(lambda connection: upsert(connection, orders, []))
    assert await ledger.read(count_orders) == 0


async def test_inserting_once_tells_whether_it_did(ledger: Ledger) -> None:
    """The first insert says yes, the repeat says no and changes nothing."""

    def put(connection: Connection, status: str) -> bool:
        return insert_once(connection, orders, order("or_1", status=status))

    assert await ledger.write(partial(put, status="confirming")) is True
    assert await ledger.write(partial(put, status="cancelled")) is False
    status = await ledger.read(lambda connection: connection.execute(select(orders.c.status)).scalar_one())
    assert status == "confirming"


async def test_another_taken_key_is_a_conflict(ledger: Ledger) -> None:
    """A line whose reservation was sold in another order raises; it does not pass as a repeat."""
    await ledger.write(partial(put_order, order_id="or_1"))
    await ledger.write(partial(put_order, order_id="or_2"))
    await ledger.write(partial(insert_once, table=order_lines, row=line("or_1", "rs_one_a")))
    with pytest.raises(IntegrityError):
        await ledger.write(partial(insert_once, table=order_lines, row=line("or_2", "rs_one_a")))
