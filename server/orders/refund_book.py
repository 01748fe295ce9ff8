"""Refunds in the ledger: units reserved before money is asked for, so that never more goes back than came.

A refund is `asked` (its units stand in `order_lines.refunded`), then `paid` or `refused`; it is `settled` once nothing
is left to do. Two that are asked for at the same moment meet at the bound of their line: an UPDATE that names it, which
at READ COMMITTED is judged by what the other one left. Every function is harmless to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, func, select, update

from server.errors import Code, Problem
from server.ledger.tables import order_lines, orders, payments, refunds
from server.orders.entries import SALES, account_of, post
from server.orders.states import Status, require_move, still_confirming
from server.orders.views import refund_view, view_of
from server.orders.writing import (
    ASKED,
    announce,
    locked,
    move,
    move_payment,
    payment_of,
    require_not_cancelling,
    unknown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from server.ledger.database import Ledger

PAID, REFUSED = "paid", "refused"  # what a refund is that was asked for


@dataclass(frozen=True, slots=True)
class Part:
    """Units of one line of an order, named by its reservation or its position (from 0)."""

    line: str | int
    quantity: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A refund that somebody asks for: of some parts, or of all that is left where none are named. Times in Unix ms."""

    refund: str
    order: str
    by: str
    at: int
    next_at: int  # when a worker may take it up, should whoever asks now not come back to it
    parts: Sequence[Part] = ()
    restock: bool = False
    cancel: bool = False  # of all of an order of which nothing was shipped: it is cancelled by it


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as far as it has come, with what its next step needs."""

    id: str
    order: str
    show: str
    viewer: str
    status: str
    amount: int
    provider: str
    reference: str
    restock: bool
    settled: bool


class RefundBook:
    """The door to the ledger's refunds. Raises `unavailable` where the ledger cannot say or take."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ask(self, wanted: Wanted) -> Refund:
        """Reserve the units and write the refund; the same id again returns the first one as it now is.

        Raises `not-found`, `in-progress`, `wrong-state` with the numbers, `invalid-message` for lines that are none.
        """
        return await self._ledger.write(lambda connection: ask(connection, wanted))

    async def claim(self, refund: str, now: int, until: int) -> Refund | None:
        """Take up an unsettled refund that nobody works on, until a time; None where there is nothing to do."""
        return await self._ledger.write(lambda connection: claim(connection, refund, now, until))

    async def due(self, now: int, limit: int) -> list[str]:
        """Return unsettled refunds that nobody works on, the longest waiting first."""
        return await self._ledger.read(lambda connection: _due(connection, now, limit))

    async def paid(self, refund: str, at: int) -> None:
        """Record that the money went back: state, history, entries and message of its order are one transaction."""
        await self._ledger.write(lambda connection: mark_paid(connection, refund, at))

    async def refused(self, refund: str, at: int) -> None:
        """Record that the provider will not: the units can be refunded again."""
        await self._ledger.write(lambda connection: mark_refused(connection, refund, at))

    async def returned(self, order: str) -> list[tuple[str, int]]:
        """Return (reservation, units of it that go on sale again, over all refunds) of an order."""
        return await self._ledger.read(lambda connection: _returned(connection, order))

    async def settle(self, refund: str, at: int) -> None:
        """Record that nothing is left to do for a paid refund."""
        await self._ledger.write(lambda connection: _settle(connection, refund, at))


def ask(connection: Connection, wanted: Wanted) -> Refund:
    """Do what `RefundBook.ask` promises, in this transaction."""
    order = locked(connection, wanted.order)
    if order is None:
        raise unknown(wanted.order)
    known = _found(connection, wanted.refund)
    if known is not None:
        return known
    if order.status == Status.CONFIRMING:
        # Only its checkout cancels it now, and then there is no money to give back.
        raise still_confirming(order.id, order.status)
    require_move(order.id, Status(order.status), Status.CANCELLED if wanted.cancel else Status.REFUNDED)
    _require_alone(connection, wanted)
    taken = _parts(connection, wanted)
    amount = sum(_reserve(connection, line, quantity) for line, quantity in taken)
    _require_captured(connection, wanted.order, amount)
    row = {
        "id": wanted.refund,
        "order_id": wanted.order,
        "status": ASKED,
        "amount": amount,
        "currency": order.currency,
        "lines": [[line.position, quantity] for line, quantity in taken],
        "restock": wanted.restock or wanted.cancel,
        "becomes": Status.CANCELLED if wanted.cancel else Status.REFUNDED,
        "by": wanted.by,
        "created_at": wanted.at,
        "updated_at": wanted.at,
        "next_at": wanted.next_at,
        "settled": False,
    }
    connection.execute(refunds.insert().values(row))
    made = _found(connection, wanted.refund)
    assert made is not None  # noqa: S101  it was written the line before
    return made


def _require_alone(connection: Connection, wanted: Wanted) -> None:
    """Refuse to cancel while something is being refunded, and to refund what is being cancelled."""
    require_not_cancelling(connection, wanted.order)
    under_way = select(refunds.c.amount).where(refunds.c.order_id == wanted.order, refunds.c.status == ASKED)
    other = connection.execute(under_way).first() if wanted.cancel else None
    if other is not None:
        raise Problem(
            Code.IN_PROGRESS,
            f"Of order {wanted.order} a refund of {other.amount} minor units is under way.",
            retry_after_ms=1000,
        )


def _parts(connection: Connection, wanted: Wanted) -> list[tuple[Row[Any], int]]:
    """Return lines and the units that are wanted of each."""
    lines = connection.execute(
        select(order_lines).where(order_lines.c.order_id == wanted.order).order_by(order_lines.c.position)
    ).all()
    if wanted.parts:
        names = {name: line for line in lines for name in (line.reservation, line.position)}
        taken = [(_line(names, part, wanted.order), part.quantity) for part in wanted.parts]
        if len({line.position for line, _quantity in taken}) < len(taken):
            raise Problem(Code.INVALID_MESSAGE, f"lines: {len(taken)} are named, one of them more than once.")
        return taken
    left = [(line, line.quantity - line.refunded) for line in lines if line.refunded < line.quantity]
    if not left:
        raise Problem(Code.WRONG_STATE, f"Of order {wanted.order} every unit is refunded, or being so.")
    return left


def _line(names: dict[str | int, Row[Any]], part: Part, order: str) -> Row[Any]:
    line = names.get(part.line)
    if line is None:
        raise Problem(Code.INVALID_MESSAGE, f"lines: order {order} has no line {part.line!r}.")
    return line


def _reserve(connection: Connection, line: Row[Any], quantity: int) -> int:
    """Count units of a line as refunded and return their price; raise `wrong-state` where it has fewer left."""
    columns = order_lines.c
    is_line = and_(columns.order_id == line.order_id, columns.position == line.position)
    room = columns.refunded + quantity <= columns.quantity
    reserved = connection.execute(
        update(order_lines).where(and_(is_line, room)).values(refunded=columns.refunded + quantity)
    )
    if reserved.rowcount == 1:
        return quantity * int(line.unit_price)
    refunded = connection.execute(select(columns.refunded).where(is_line)).scalar_one()
    raise Problem(
        Code.WRONG_STATE,
        f"Line {line.position} has {line.quantity - refunded} of {line.quantity} units left to refund, "
        f"{quantity} are asked for.",
    )


def _require_captured(connection: Connection, order: str, amount: int) -> None:
    """Refuse to give back more than came in: the lines bound it too, this one also where they should be wrong."""
    total = func.coalesce(func.sum(refunds.c.amount), 0)
    given = select(total).where(refunds.c.order_id == order, refunds.c.status != REFUSED)
    asked = int(connection.execute(given).scalar_one()) + amount
    payment = payment_of(connection, order)
    if payment.status != "captured" or asked > payment.amount:
        raise Problem(
            Code.WRONG_STATE,
            f"The payment of order {order} is {payment.status}, {payment.amount} minor units; with this refund "
            f"{asked} would go back.",
        )


def claim(connection: Connection, refund: str, now: int, until: int) -> Refund | None:
    """Do what `RefundBook.claim` promises, in this transaction."""
    free = and_(refunds.c.id == refund, refunds.c.settled.is_(False), refunds.c.next_at <= now)
    claimed = connection.execute(update(refunds).where(free).values(next_at=until))
    return _found(connection, refund) if claimed.rowcount == 1 else None


def mark_paid(connection: Connection, refund: str, at: int) -> None:
    """Do what `RefundBook.paid` promises, in this transaction."""
    known, order = _locked(connection, refund)
    if known.status != ASKED:
        return
    is_known = refunds.c.id == refund
    connection.execute(
        update(refunds).where(is_known).values(status=PAID, settled=not known.restock, updated_at=at)
    )
    if known.restock:
        _count(connection, known, "restocked", 1)
    following = _following(connection, known)
    details = {"refund": refund, "amount": known.amount}
    move(connection, order, following, by=known.by, at=at, details=details)
    payment = payment_of(connection, order.id)
    if following is not Status.PARTIALLY_REFUNDED:
        move_payment(connection, order.id, "refunded", at)
    amounts = {account_of(payment.provider): -known.amount, SALES: known.amount}
    post(connection, f"{refund} paid", order.id, amounts, currency=known.currency, at=at)
    view = view_of(connection, order.id)
    kind = "order.cancelled" if following is Status.CANCELLED else "order.refunded"
    now = connection.execute(select(refunds).where(is_known)).one()
    data = {"order": view, "refund": refund_view(now, view["lines"])}
    announce(connection, view, kind, f"{refund} paid", data=data, at=at)


def _following(connection: Connection, refund: Row[Any]) -> Status:
    """Return what an order is once a refund is paid: partially refunded while units of it are not paid back."""
    if refund.becomes == Status.CANCELLED:
        return Status.CANCELLED
    sold = select(func.sum(order_lines.c.quantity)).where(order_lines.c.order_id == refund.order_id)
    paid = select(refunds.c.lines).where(refunds.c.order_id == refund.order_id, refunds.c.status == PAID)
    back = sum(quantity for lines in connection.execute(paid).scalars() for _position, quantity in lines)
    whole = back == connection.execute(sold).scalar_one()
    return Status.REFUNDED if whole else Status.PARTIALLY_REFUNDED


def mark_refused(connection: Connection, refund: str, at: int) -> None:
    """Do what `RefundBook.refused` promises, in this transaction."""
    known, _order = _locked(connection, refund)
    if known.status != ASKED:
        return
    connection.execute(
        update(refunds).where(refunds.c.id == refund).values(status=REFUSED, settled=True, updated_at=at)
    )
    _count(connection, known, "refunded", -1)


def _count(connection: Connection, refund: Row[Any], column: str, sign: int) -> None:
    """Count a refund's units in a column of its order's lines, or take them off."""
    for position, quantity in refund.lines:
        is_line = and_(order_lines.c.order_id == refund.order_id, order_lines.c.position == position)
        changed = {column: order_lines.c[column] + sign * quantity}
        connection.execute(update(order_lines).where(is_line).values(changed))


def _locked(connection: Connection, refund: str) -> tuple[Row[Any], Row[Any]]:
    """Return a refund and its order, which nobody else changes until this transaction ends."""
    named = connection.execute(select(refunds.c.order_id).where(refunds.c.id == refund)).scalar_one()
    order = locked(connection, named)
    assert order is not None  # noqa: S101  a foreign key
    return connection.execute(select(refunds).where(refunds.c.id == refund)).one(), order


def _found(connection: Connection, refund: str) -> Refund | None:
    row = connection.execute(
        select(refunds, orders.c.show, orders.c.viewer, payments.c.provider, payments.c.reference)
        .join(orders, orders.c.id == refunds.c.order_id)
        .join(payments, payments.c.order_id == refunds.c.order_id)
        .where(refunds.c.id == refund)
    ).first()
    if row is None:
        return None
    return Refund(
        id=row.id,
        order=row.order_id,
        show=row.show,
        viewer=row.viewer,
        status=row.status,
        amount=row.amount,
        provider=row.provider,
        reference=row.reference or "",
        restock=row.restock,
        settled=row.settled,
    )


def _due(connection: Connection, now: int, limit: int) -> list[str]:
    waiting = (
        select(refunds.c.id)
        .where(refunds.c.settled.is_(False), refunds.c.next_at <= now)
        .order_by(refunds.c.next_at)
        .limit(limit)
    )
    return list(connection.execute(waiting).scalars())


def _returned(connection: Connection, order: str) -> list[tuple[str, int]]:
    columns = order_lines.c
    lines = select(columns.reservation, columns.restocked).where(
        columns.order_id == order, columns.restocked > 0
    )
    return [(reservation, int(units)) for reservation, units in connection.execute(lines)]


def _settle(connection: Connection, refund: str, at: int) -> None:
    done = and_(refunds.c.id == refund, refunds.c.status == PAID, refunds.c.settled.is_(False))
    connection.execute(update(refunds).where(done).values(settled=True, updated_at=at))
