"""What the ledger says of a whole show's sales: for the books' comparison, and to rebuild a stock that was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from server.ledger.tables import entries, order_changes, order_lines, orders, payments, refunds
from server.orders import writing
from server.orders.states import Status
from server.orders.views import view_of

if TYPE_CHECKING:
    from collections.abc import Mapping

BY = "rebuild"  # who writes into an order's history that units of it are not there

Row = dict[str, Any]


def lines(connection: Connection, show: str) -> dict[str, list[Row]]:
    """Return what every order of a show bought, oldest order first: order -> its lines, with viewer and time."""
    query = (
        select(order_lines, orders.c.viewer, orders.c.status, orders.c.created_at)
        .join(orders, orders.c.id == order_lines.c.order_id)
        .where(orders.c.show == show)
        .order_by(orders.c.created_at, orders.c.id, order_lines.c.position)
    )
    found: dict[str, list[Row]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["order_id"], []).append(dict(row))
    return found


def paid_for(connection: Connection, show: str) -> list[Row]:
    """Return every order of a show with its payment, oldest first, as rows of both."""
    query = (
        select(
            orders.c.id,
            orders.c.viewer,
            orders.c.status,
            orders.c.total,
            orders.c.currency,
            orders.c.contact,
            orders.c.locale,
            orders.c.created_at,
            payments.c.provider,
            payments.c.method,
            payments.c.reference,
            payments.c.status.label("payment_status"),
            payments.c.amount,
        )
        .join(payments, payments.c.order_id == orders.c.id)
        .where(orders.c.show == show)
        .order_by(orders.c.created_at, orders.c.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def moved(connection: Connection, show: str) -> list[Row]:
    """Return the entries of a show's orders: movement, account, order_id, amount, currency."""
    query = (
        select(entries)
        .join(orders, orders.c.id == entries.c.order_id)
        .where(orders.c.show == show)
        .order_by(entries.c.movement, entries.c.account)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def under_way(connection: Connection, show: str) -> dict[str, int]:
    """Return order -> minor units of its refunds that are asked for, and may have been paid back or not."""
    query = (
        select(refunds.c.order_id, func.sum(refunds.c.amount))
        .join(orders, orders.c.id == refunds.c.order_id)
        .where(orders.c.show == show, refunds.c.status == writing.ASKED)
        .group_by(refunds.c.order_id)
    )
    return {order: int(amount) for order, amount in connection.execute(query)}


def unfinished(order: Row, lines: list[Row]) -> Row:
    """Return the working record of an order that is sold and committed, and whose money may not have moved."""
    details = {"provider": order["provider"], "method": order["method"], "token": ""}
    known = {name: order[name] for name in ("contact", "locale") if order[name] is not None}
    return {
        "id": order["id"],
        "viewer": order["viewer"],
        "step": "committed",
        "lines": [
            {
                "sku": line["sku"],
                "title": line["title"],
                "drop": line["drop_id"],
                "reservation": line["reservation"],
                "quantity": line["quantity"],
                "unit_price": line["unit_price"],
            }
            for line in lines
        ],
        "addresses": [False for _ in lines],
        "total": order["total"],
        "currency": order["currency"],
        "reference": order["reference"] or "",
        "reason": "",
        "details": {**details, **known},
        "created_at": order["created_at"],
        "deadline_at": order["created_at"],
    }


def tell_short(connection: Connection, show: str, short: Mapping[str, int], at: int) -> None:
    """Write down, and tell the shop, the orders of which units are missing: order -> how many. Each once."""
    for order, missing in sorted(short.items()):
        row = writing.locked(connection, order)
        told = select(order_changes.c.position).where(
            order_changes.c.order_id == order, order_changes.c.by == BY
        )
        if row is None or row.show != show or connection.execute(told).first() is not None:
            continue
        details = {"missing": missing}
        if row.status != Status.FULFILLED:  # its history says when it was shipped, once
            writing.note(connection, order, Status(row.status), by=BY, at=at, details=details)
        view = view_of(connection, order)
        data = {"order": view, **details}
        writing.announce(connection, view, "order.shortfall", f"{order} shortfall", data=data, at=at)
