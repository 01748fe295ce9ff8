"""Orders written straight into a ledger, and what it says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from server import ids
from server.ledger.tables import metadata, order_changes, order_lines, outbox, refunds
from server.orders import writing
from server.orders.refund_book import Part, Wanted
from server.orders.states import Status

if TYPE_CHECKING:
    from server.orders.writing import Record

SHOW = "sh_show"
PRICE = 1250
AT = 1_700_000_000_000


def record(order: str, *quantities: int, contact: str | None = None, price: int = PRICE) -> Record:
    """Return an order's record as its checkout leaves it: a line for each quantity."""
    lines = [
        {
            "sku": "MUG",
            "title": "Mug",
            "drop": f"dr_show_{position}",
            "reservation": f"rs_{order}_{position}",
            "quantity": quantity,
            "unit_price": price,
        }
        for position, quantity in enumerate(quantities)
    ]
    details = {"provider": "sandbox", "method": "card", "token": "tok_ok", "contact": contact}
    return {
        "id": order,
        "viewer": "ann",
        "step": "finalized",
        "lines": lines,
        "total": price * sum(quantities),
        "currency": "EUR",
        "reference": f"pay_{order}",
        "details": details,
        "created_at": AT,
    }


def committed(connection: Connection, *quantities: int, order: str = "or_show_1") -> str:
    """Write an order whose money has not moved, and return its id."""
    writing.insert(connection, SHOW, record(order, *quantities), Status.CONFIRMING, "authorized", at=AT)
    return order


def paid(connection: Connection, *quantities: int, order: str = "or_show_1") -> str:
    """Write a paid order and return its id."""
    committed(connection, *quantities, order=order)
    writing.mark_paid(connection, order, AT + 1)
    return order


def wanted(order: str, *parts: tuple[str | int, int], refund: str = "", **more: Any) -> Wanted:
    """Return what asks for a refund; without an id it is a new one."""
    return Wanted(
        refund or ids.new_refund(order),
        order,
        "host",
        AT + 2,
        AT + 30_000,
        tuple(Part(line, quantity) for line, quantity in parts),
        **more,
    )


def history(connection: Connection, order: str) -> list[tuple[str, str]]:
    """Return the states that an order took, and by whom."""
    rows = select(order_changes).where(order_changes.c.order_id == order).order_by(order_changes.c.position)
    return [(row.status, row.by) for row in connection.execute(rows)]


def messages(connection: Connection) -> list[tuple[str, str]]:
    """Return the ids and types of all messages, in their order."""
    rows = connection.execute(select(outbox).order_by(outbox.c.number))
    return [(row.id, row.type) for row in rows]


def refunded(connection: Connection, order: str) -> list[tuple[int, int]]:
    """Return (refunded, restocked) of an order's lines."""
    lines = select(order_lines).where(order_lines.c.order_id == order).order_by(order_lines.c.position)
    return [(line.refunded, line.restocked) for line in connection.execute(lines)]


def refund_status(connection: Connection, refund: str) -> tuple[str, bool]:
    """Return what a refund is, and whether nothing is left to do for it."""
    row = connection.execute(select(refunds).where(refunds.c.id == refund)).one()
    return row.status, row.settled


def everything(connection: Connection) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    return {
        table.name: sorted(repr(row) for row in connection.execute(select(table)))
        for table in metadata.sorted_tables
    }
