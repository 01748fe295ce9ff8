"""Orders in the ledger: written once, moved forward, found again. Every write is harmless to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, func, or_, select, update

from server.ledger.tables import order_lines, orders, payments
from server.ledger.upsert import insert_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.ledger.database import Ledger

View = dict[str, Any]
Record = dict[str, Any]  # an unfinished checkout, as `hold_checkout` recorded it


class Orders:
    """The ledger's orders. Raises `unavailable` where the ledger cannot say or take."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def commit(self, show: str, record: Record) -> None:
        """Write an authorized order with its lines; returns once that is on the disk. Repeating changes nothing."""
        await self._ledger.write(
            lambda connection: _insert(connection, show, record, "confirming", "authorized")
        )

    async def cancel_unpaid(self, show: str, record: Record) -> None:
        """Write an order that came to nothing, without lines: its reservations are free for another one."""
        empty = {**record, "lines": []}
        await self._ledger.write(lambda connection: _insert(connection, show, empty, "cancelled", "voided"))

    async def captured(self, order: str, at: int) -> None:
        """Record that the order's money has moved: it is paid. Repeating changes nothing."""
        await self._ledger.write(lambda connection: _mark_paid(connection, order, at))

    async def find(self, order: str) -> tuple[View, str] | None:
        """Return an order and its viewer, or None."""
        found = await self._ledger.read(lambda connection: _read(connection, [order]))
        return found[0] if found else None

    async def of_show(self, show: str, limit: int, after: tuple[int, str] | None) -> list[View]:
        """Return up to `limit` orders of a show, newest first, older than the (created_at, id) of `after`."""
        return await self._ledger.read(lambda connection: _listed(connection, show, limit, after))

    async def units_by_drop(self, show: str) -> dict[str, int]:
        """Return the units that the ledger has sold of each drop: its own count for the audit."""
        return await self._ledger.read(lambda connection: _units(connection, show))


def unsettled(show: str, record: Record) -> View:
    """Return the view of an order whose checkout is still under way."""
    statuses = {"claimed": "pending", "voiding": "authorized"}
    return {
        "id": record["id"],
        "show": show,
        "status": "confirming",
        "lines": record["lines"],
        "total": record["total"],
        "currency": record["currency"],
        "payment": {
            "provider": record["details"]["provider"],
            "status": statuses.get(record["step"], "authorized"),
        },
        "created_at": record["created_at"],
    }


def _insert(connection: Connection, show: str, record: Record, status: str, payment_status: str) -> None:
    details = record["details"]
    order = {
        "id": record["id"],
        "show": show,
        "viewer": record["viewer"],
        "status": status,
        "total": record["total"],
        "currency": record["currency"],
        "contact": details.get("contact"),
        "locale": details.get("locale"),
        "created_at": record["created_at"],
        "updated_at": record["created_at"],
    }
    if not insert_once(connection, orders, order):
        _require_same(connection, record, status)
        return
    for position, line in enumerate(record["lines"]):
        row = {
            "order_id": record["id"],
            "position": position,
            "sku": line["sku"],
            "title": line["title"],
            "drop_id": line["drop"],
            "reservation": line["reservation"],
            "quantity": line["quantity"],
            "unit_price": line["unit_price"],
        }
        connection.execute(order_lines.insert().values(row))
    payment = {
        "order_id": record["id"],
        "provider": details["provider"],
        "method": details["method"],
        "reference": record["reference"] or None,
        "status": payment_status,
        "amount": record["total"],
        "currency": record["currency"],
        "updated_at": record["created_at"],
    }
    connection.execute(payments.insert().values(payment))


def _require_same(connection: Connection, record: Record, status: str) -> None:
    """Refuse to take another order for a repeat of this one: that would sell units without a record."""
    known = connection.execute(select(orders.c.status).where(orders.c.id == record["id"])).scalar_one()
    lines = select(order_lines.c.reservation).where(order_lines.c.order_id == record["id"])
    paid_for = set(connection.execute(lines).scalars())
    same = paid_for == {line["reservation"] for line in record["lines"]}
    if not same or (known == "cancelled") != (status == "cancelled"):
        raise DifferentOrderError(
            f"order {record['id']} is {known} with other lines than it is now asked for"
        )


class DifferentOrderError(Exception):
    """An order's id was used for two different orders."""


def _mark_paid(connection: Connection, order: str, at: int) -> None:
    confirming = and_(orders.c.id == order, orders.c.status == "confirming")
    connection.execute(update(orders).where(confirming).values(status="paid", updated_at=at))
    authorized = and_(payments.c.order_id == order, payments.c.status == "authorized")
    connection.execute(update(payments).where(authorized).values(status="captured", updated_at=at))


def _read(connection: Connection, wanted: Sequence[str]) -> list[tuple[View, str]]:
    rows = connection.execute(
        select(orders, payments.c.provider, payments.c.status.label("payment_status"))
        .join(payments, payments.c.order_id == orders.c.id)
        .where(orders.c.id.in_(wanted))
        .order_by(orders.c.created_at.desc(), orders.c.id.desc())
    ).all()
    lines: dict[str, list[View]] = {}
    for line in connection.execute(
        select(order_lines)
        .where(order_lines.c.order_id.in_(wanted))
        .order_by(order_lines.c.order_id, order_lines.c.position)
    ):
        lines.setdefault(line.order_id, []).append(
            {
                "sku": line.sku,
                "title": line.title,
                "drop": line.drop_id,
                "reservation": line.reservation,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
            }
        )
    return [
        (
            {
                "id": row.id,
                "show": row.show,
                "status": row.status,
                "lines": lines.get(row.id, []),
                "total": row.total,
                "currency": row.currency,
                "payment": {"provider": row.provider, "status": row.payment_status},
                "created_at": row.created_at,
            },
            row.viewer,
        )
        for row in rows
    ]


def _listed(connection: Connection, show: str, limit: int, after: tuple[int, str] | None) -> list[View]:
    query = select(orders.c.id).where(orders.c.show == show)
    if after is not None:
        created_at, order = after
        same_time = and_(orders.c.created_at == created_at, orders.c.id < order)
        query = query.where(or_(orders.c.created_at < created_at, same_time))
    query = query.order_by(orders.c.created_at.desc(), orders.c.id.desc()).limit(limit)
    found = list(connection.execute(query).scalars())
    return [view for view, _viewer in _read(connection, found)]


def _units(connection: Connection, show: str) -> dict[str, int]:
    units = func.sum(order_lines.c.quantity)
    query = (
        select(order_lines.c.drop_id, units)
        .join(orders, orders.c.id == order_lines.c.order_id)
        .where(orders.c.show == show, orders.c.status != "cancelled")
        .group_by(order_lines.c.drop_id)
    )
    return {drop: int(count) for drop, count in connection.execute(query)}
