"""Orders as the contract shows them, read from the ledger. What a buyer said of themselves stays sealed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from server.ledger.tables import order_changes, order_lines, orders, payments, refunds, shows

if TYPE_CHECKING:
    from collections.abc import Sequence

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Detail:
    """An order with all that the ledger knows of it: whose, their sealed contact, its changes and refunds, as views."""

    view: View
    viewer: str
    contact: str | None
    history: list[View]  # oldest first
    refunds: list[View]  # oldest first

    @property
    def fulfilment(self) -> View | None:
        """How and when it was shipped, None where it was not."""
        shipped = (change for change in self.history if change["status"] == "fulfilled")
        return next(({**change.get("details", {}), "at": change["at"]} for change in shipped), None)


# Built once, because building a statement costs more than running it.
_ORDERS = (
    select(orders, payments.c.provider, payments.c.status.label("payment_status"))
    .join(payments, payments.c.order_id == orders.c.id)
    .where(orders.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(orders.c.created_at.desc(), orders.c.id.desc())
)
_LINES = (
    select(order_lines)
    .where(order_lines.c.order_id.in_(bindparam("wanted", expanding=True)))
    .order_by(order_lines.c.order_id, order_lines.c.position)
)


def read(connection: Connection, wanted: Sequence[str]) -> list[tuple[View, str]]:
    """Return orders and their viewers, newest first."""
    rows = connection.execute(_ORDERS, {"wanted": wanted}).all()
    lines: dict[str, list[View]] = {}
    for line in connection.execute(_LINES, {"wanted": wanted}):
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


def view_of(connection: Connection, order: str) -> View:
    """Return one order that is there."""
    [(view, _viewer)] = read(connection, [order])
    return view


def detail(connection: Connection, order: str) -> Detail | None:
    """Return all of one order, or None."""
    found = read(connection, [order])
    if not found:
        return None
    view, viewer = found[0]
    contact = connection.execute(select(orders.c.contact).where(orders.c.id == order)).scalar_one()
    return Detail(view, viewer, contact, _history(connection, order), _refunds(connection, view))


def _history(connection: Connection, order: str) -> list[View]:
    rows = connection.execute(
        select(order_changes).where(order_changes.c.order_id == order).order_by(order_changes.c.position)
    )
    changes = [
        ({"status": row.status, "by": row.by, "at": row.at}, {"details": row.details} if row.details else {})
        for row in rows
    ]
    return [{**change, **details} for change, details in changes]


def _refunds(connection: Connection, order: View) -> list[View]:
    rows = connection.execute(
        select(refunds).where(refunds.c.order_id == order["id"]).order_by(refunds.c.created_at, refunds.c.id)
    )
    return [refund_view(row, order["lines"]) for row in rows]


def refund_view(row: Any, lines: list[View]) -> View:
    """Return a refund's row as it is shown, beside the lines of its order."""
    return {
        "id": row.id,
        "status": row.status,
        "amount": row.amount,
        "currency": row.currency,
        "lines": [
            {"position": position, "reservation": lines[position]["reservation"], "quantity": quantity}
            for position, quantity in row.lines
        ],
        "restock": row.restock,
        "created_at": row.created_at,
    }


def listed(connection: Connection, show: str, limit: int, after: tuple[int, str] | None) -> list[View]:
    """Return up to `limit` orders of a show, newest first, older than the (created_at, id) of `after`."""
    query = select(orders.c.id).where(orders.c.show == show)
    if after is not None:
        created_at, order = after
        same_time = and_(orders.c.created_at == created_at, orders.c.id < order)
        query = query.where(or_(orders.c.created_at < created_at, same_time))
    query = query.order_by(orders.c.created_at.desc(), orders.c.id.desc()).limit(limit)
    found = list(connection.execute(query).scalars())
    return [view for view, _viewer in read(connection, found)]


def units(connection: Connection, show: str) -> dict[str, int]:
    """Return drop -> units of it that the ledger counts as sold: those on sale again are not among them."""
    count = func.sum(order_lines.c.quantity - order_lines.c.restocked)
    query = (
        select(order_lines.c.drop_id, count)
        .join(orders, orders.c.id == order_lines.c.order_id)
        .where(orders.c.show == show)
        .group_by(order_lines.c.drop_id)
    )
    return {drop: int(sold) for drop, sold in connection.execute(query)}


def host_of(connection: Connection, show: str) -> str | None:
    """Return a show's host, empty where only its orders are known, None where the ledger knows nothing of it."""
    host = connection.execute(select(shows.c.host).where(shows.c.id == show)).scalar()
    if host is not None:
        return str(host)
    known = connection.execute(select(orders.c.id).where(orders.c.show == show).limit(1)).first()
    return "" if known is not None else None
