"""An order's states and the moves between them: one table, which everything that writes an order asks.

    confirming → paid → fulfilled
    confirming → cancelled
    paid → refunded | partially_refunded | cancelled

What a shop needs beyond that: of an order that is shipped something may come back (fulfilled → refunded |
partially_refunded), of one that is partly paid back the rest may be shipped, or paid back too (partially_refunded →
fulfilled | partially_refunded | refunded). An order is shipped once: what came back of it is never shipped again.
"""

from __future__ import annotations

from enum import StrEnum

from server.errors import Code, Problem


class Status(StrEnum):
    """What an order in the ledger is."""

    CONFIRMING = "confirming"  # sold and written down; its money has not moved yet
    PAID = "paid"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"  # never paid, or paid back as a whole before anything was shipped
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


MOVES: dict[Status, frozenset[Status]] = {
    Status.CONFIRMING: frozenset({Status.PAID, Status.CANCELLED}),
    Status.PAID: frozenset({Status.FULFILLED, Status.CANCELLED, Status.PARTIALLY_REFUNDED, Status.REFUNDED}),
    Status.FULFILLED: frozenset({Status.PARTIALLY_REFUNDED, Status.REFUNDED}),
    Status.PARTIALLY_REFUNDED: frozenset({Status.FULFILLED, Status.PARTIALLY_REFUNDED, Status.REFUNDED}),
    Status.CANCELLED: frozenset(),
    Status.REFUNDED: frozenset(),
}


def require_move(order: str, status: Status, following: Status) -> None:
    """Raise `wrong-state`, with the state, unless an order may go from one to the other.

    One whose money has not moved yet is `in-progress`: it will be paid, or cancelled, in a moment.
    """
    if following in MOVES[status]:
        return
    if status is Status.CONFIRMING:
        raise still_confirming(order, status)
    raise Problem(Code.WRONG_STATE, f"Order {order} is {status}: it cannot become {following}.")


def still_confirming(order: str, status: str) -> Problem:
    """Return the problem for an order whose money is not settled yet."""
    return Problem(
        Code.IN_PROGRESS, f"Order {order} is {status}: its payment is not settled yet.", retry_after_ms=1000
    )
