"""What happens to an order, written down: its state, its history, the entries of its money, and what the shop is told.

Each function is one change in the caller's transaction, and writes nothing where it has been written before. A change
begins by locking its order's row, so changes of one order come one after the other; at READ COMMITTED every statement
behind that sees what the one before it left. Messages carry views: what a buyer said of themselves is in none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, select, update

from server.errors import Code, Problem
from server.ledger.outbox import Message, tell
from server.ledger.tables import entries, order_changes, order_lines, orders, payments, refunds
from server.ledger.upsert import insert_once
from server.orders.entries import SALES, account_of, post
from server.orders.states import Status, require_move
from server.orders.views import view_of

if TYPE_CHECKING:
    from sqlalchemy import Row

    from server.orders.views import View

Record = dict[str, Any]  # an unfinished checkout, as `hold_checkout` recorded it

CHECKOUT = "checkout"  # who changes an order where nobody asked for it by name
ASKED = "asked"  # a refund whose money has not moved yet


# Of every order: built once, because building a statement costs more than running it.
_LOCKED = select(orders).where(orders.c.id == bindparam("wanted")).with_for_update()
_PAYMENT = select(payments).where(payments.c.order_id == bindparam("wanted"))
_MOVED = (
    update(orders)
    .where(orders.c.id == bindparam("wanted"), orders.c.status == bindparam("known"))
    .values(status=bindparam("following"), updated_at=bindparam("at"))
)
_PAYMENT_MOVED = (
    update(payments)
    .where(payments.c.order_id == bindparam("wanted"))
    .values(status=bindparam("following"), updated_at=bindparam("at"))
)
_LINE = order_lines.insert()
_PAID_BY = payments.insert()
_NOTE = order_changes.insert().values(
    position=select(func.count()).where(order_changes.c.order_id == bindparam("wanted")).scalar_subquery()
)


class DifferentOrderError(Exception):
    """An order's id was used for two different orders."""


def insert(  # noqa: PLR0913  an order is its fields
    connection: Connection, show: str, record: Record, status: Status, payment_status: str, *, at: int
) -> bool:
    """Write an order with its lines, payment and first change, which came at `at`; say whether it was new."""
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
        "updated_at": at,
    }
    if not insert_once(connection, orders, order):
        _require_same(connection, record, status)
        return False
    lines = [
        {
            "order_id": record["id"],
            "position": position,
            "sku": line["sku"],
            "title": line["title"],
            "drop_id": line["drop"],
            "reservation": line["reservation"],
            "quantity": line["quantity"],
            "unit_price": line["unit_price"],
        }
        for position, line in enumerate(record["lines"])
    ]
    if lines:
        connection.execute(_LINE, lines)
    payment = {
        "order_id": record["id"],
        "provider": details["provider"],
        "method": details["method"],
        "reference": record["reference"] or None,
        "status": payment_status,
        "amount": record["total"],
        "currency": record["currency"],
        "updated_at": at,
    }
    connection.execute(_PAID_BY, payment)
    note(connection, record["id"], status, by=CHECKOUT, at=at)
    return True


def _require_same(connection: Connection, record: Record, status: str) -> None:
    """Refuse to take another order for a repeat of this one: that would sell units without a record."""
    known = connection.execute(select(orders.c.status).where(orders.c.id == record["id"])).scalar_one()
    lines = select(order_lines.c.reservation).where(order_lines.c.order_id == record["id"])
    paid_for = set(connection.execute(lines).scalars())
    same = paid_for == {line["reservation"] for line in record["lines"]}
    # An order that was sold has its lines for ever; one that was never sold has none.
    if not same or (known == Status.CANCELLED and not paid_for) != (status == Status.CANCELLED):
        raise DifferentOrderError(
            f"order {record['id']} is {known} with other lines than it is now asked for"
        )


def cancel_unpaid(connection: Connection, show: str, record: Record, at: int, *, shortfall: bool) -> None:
    """Write an order that came to nothing at `at`, without lines: its reservations are free for another one.

    `shortfall`: the buyer's payment was there and the units were not; the shop is told which.
    """
    empty = {**record, "lines": []}
    if not insert(connection, show, empty, Status.CANCELLED, "voided", at=at):
        return
    order = record["id"]
    view = view_of(connection, order)
    if shortfall:
        short = {"order": {**view, "lines": record["lines"]}}
        announce(connection, view, "order.shortfall", f"{order} shortfall", data=short, at=at)
    announce(connection, view, "order.cancelled", f"{order} cancelled", data={"order": view}, at=at)


def mark_paid(connection: Connection, order: str, at: int) -> None:
    """Record that an order's money has moved. Raises `wrong-state` for one that came to nothing."""
    row = locked(connection, order)
    if row is None or (row.status != Status.CONFIRMING and _is_captured(connection, order)):
        return
    move(connection, row, Status.PAID, by=CHECKOUT, at=at)
    payment = payment_of(connection, order)
    move_payment(connection, order, "captured", at)
    amounts = {account_of(payment.provider): payment.amount, SALES: -payment.amount}
    post(connection, captured_as(order), order, amounts, currency=payment.currency, at=at)
    view = view_of(connection, order)
    announce(connection, view, "order.paid", f"{order} paid", data={"order": view}, at=at)


def mark_uncaptured(connection: Connection, order: str, at: int) -> None:
    """Cancel an order whose money its provider will not move any more; none of its units counts as sold."""
    row = locked(connection, order)
    if row is None or row.status == Status.CANCELLED:
        return
    if _is_captured(connection, order):
        raise Problem(Code.WRONG_STATE, f"Order {order} is {row.status}: its money has moved.")
    move(connection, row, Status.CANCELLED, by=CHECKOUT, at=at, details={"reason": "refused"})
    move_payment(connection, order, "voided", at)
    back = {"refunded": order_lines.c.quantity, "restocked": order_lines.c.quantity}
    connection.execute(update(order_lines).where(order_lines.c.order_id == order).values(back))
    view = view_of(connection, order)
    announce(connection, view, "order.cancelled", f"{order} cancelled", data={"order": view}, at=at)


def captured_as(order: str) -> str:
    """Return the name of the movement that brought an order's money."""
    return f"{order} captured"


def _is_captured(connection: Connection, order: str) -> bool:
    moved = select(entries.c.movement).where(entries.c.movement == captured_as(order)).limit(1)
    return connection.execute(moved).first() is not None


def fulfil(connection: Connection, order: str, shipment: dict[str, str], by: str, at: int) -> None:
    """Record that an order was shipped. The same again changes nothing; another shipment is `wrong-state`."""
    row = locked(connection, order)
    if row is None:
        raise unknown(order)
    shipped = connection.execute(
        select(order_changes.c.details).where(
            order_changes.c.order_id == order, order_changes.c.status == Status.FULFILLED
        )
    ).first()
    if shipped is not None:
        if (shipped.details or {}) == shipment:
            return
        raise Problem(Code.WRONG_STATE, f"Order {order} is {row.status}, and was shipped before.")
    require_not_cancelling(connection, order)
    move(connection, row, Status.FULFILLED, by=by, at=at, details=shipment)
    view = view_of(connection, order)
    data = {"order": view, "fulfilment": {**shipment, "at": at}}
    announce(connection, view, "order.fulfilled", f"{order} fulfilled", data=data, at=at)


def require_not_cancelling(connection: Connection, order: str) -> None:
    """Raise `in-progress` where a locked order is being cancelled: its money is on the way back."""
    under_way = and_(
        refunds.c.order_id == order, refunds.c.status == ASKED, refunds.c.becomes == Status.CANCELLED
    )
    if connection.execute(select(refunds.c.id).where(under_way)).first() is not None:
        raise Problem(Code.IN_PROGRESS, f"Order {order} is being cancelled.", retry_after_ms=1000)


def locked(connection: Connection, order: str) -> Row[Any] | None:
    """Return an order's row, which nobody else changes until this transaction ends; None where there is none."""
    return connection.execute(_LOCKED, {"wanted": order}).first()


def payment_of(connection: Connection, order: str) -> Row[Any]:
    """Return the payment of an order that is there."""
    return connection.execute(_PAYMENT, {"wanted": order}).one()


def move_payment(connection: Connection, order: str, status: str, at: int) -> None:
    """Note what the payment of a locked order is now."""
    connection.execute(_PAYMENT_MOVED, {"wanted": order, "following": status, "at": at})


def move(  # noqa: PLR0913  a change is its fields
    connection: Connection,
    row: Row[Any],
    following: Status,
    *,
    by: str,
    at: int,
    details: dict[str, Any] | None = None,
) -> None:
    """Let a locked order go into another state, and note it. Raises what `require_move` does."""
    require_move(row.id, Status(row.status), following)
    connection.execute(_MOVED, {"wanted": row.id, "known": row.status, "following": following, "at": at})
    note(connection, row.id, following, by=by, at=at, details=details)


def note(  # noqa: PLR0913  a change is its fields
    connection: Connection,
    order: str,
    status: Status,
    *,
    by: str,
    at: int,
    details: dict[str, Any] | None = None,
) -> None:
    """Write the next line of an order's history."""
    row = {
        "wanted": order,
        "order_id": order,
        "status": status,
        "by": by,
        "at": at,
        "details": details or None,
    }
    connection.execute(_NOTE, row)


def announce(  # noqa: PLR0913  a message is its fields
    connection: Connection, order: View, kind: str, name: str, *, data: dict[str, Any], at: int
) -> None:
    """Put a message about an order into the outbox."""
    tell(connection, Message(name, kind, order["show"], order["id"], data, at))


def unknown(order: str) -> Problem:
    """Return the problem for an order that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no order {order[:64]!r}.")
