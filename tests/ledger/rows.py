"""Rows for the tables, with only what a test cares about spelled out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from server.ledger.tables import drops, order_lines, orders

if TYPE_CHECKING:
    from sqlalchemy import Connection


def order(order_id: str, **changes: Any) -> dict[str, Any]:
    """Return a row of `orders`."""
    row = {
        "id": order_id,
        "show": "sh_one",
        "viewer": "v1",
        "status": "paid",
        "total": 1299,
        "currency": "EUR",
        "created_at": 1_700_000_000_000,
        "updated_at": 1_700_000_000_000,
    }
    return row | changes


def line(order_id: str, reservation: str, **changes: Any) -> dict[str, Any]:
    """Return a row of `order_lines`."""
    row = {
        "order_id": order_id,
        "position": 0,
        "sku": "mug",
        "title": "Mug",
        "drop_id": "dr_one_a",
        "reservation": reservation,
        "quantity": 1,
        "unit_price": 1299,
    }
    return row | changes


def drop(drop_id: str, **changes: Any) -> dict[str, Any]:
    """Return a row of `drops`."""
    row = {
        "id": drop_id,
        "show": "sh_one",
        "sku": "mug",
        "title": "Mug",
        "quantity": 10,
        "unit_price": 1299,
        "currency": "EUR",
        "status": "scheduled",
        "terms": {"hold_seconds": 120},
        "created_at": 1_700_000_000_000,
        "updated_at": 1_700_000_000_000,
        "opened_at": None,
        "closed_at": None,
        "offset": 1,
    }
    return row | changes


def put_order(connection: Connection, order_id: str) -> str:
    """Write one order and return its id."""
    connection.execute(insert(orders).values(order(order_id)))
    return order_id


def put_line(connection: Connection, order_id: str, reservation: str) -> None:
    """Write one order line."""
    connection.execute(insert(order_lines).values(line(order_id, reservation)))


def count_orders(connection: Connection) -> int:
    """Return how many orders there are."""
    return connection.execute(select(func.count()).select_from(orders)).scalar_one()


def status_of_drop(connection: Connection, drop_id: str) -> str:
    """Return the status that is written down for a drop."""
    return str(connection.execute(select(drops.c.status).where(drops.c.id == drop_id)).scalar_one())
