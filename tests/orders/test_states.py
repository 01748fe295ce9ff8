"""The state machine of orders: every pair of states, alone and in the ledger."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from server.errors import Code, Problem
from server.ledger.tables import orders
from server.orders import refund_book, writing
from server.orders.states import MOVES, Status, require_move
from tests.orders.written import AT, SHOW, committed, everything, paid, record, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from server.ledger.database import Ledger

    Do = Callable[[Connection, str], object]

# from the contract, then what a shop needs beyond it
CONTRACT = {
    ("confirming", "paid"),
    ("paid", "fulfilled"),
    ("confirming", "cancelled"),
    ("paid", "refunded"),
    ("paid", "partially_refunded"),
    ("paid", "cancelled"),
}
FURTHER = {
    ("fulfilled", "refunded"),
    ("fulfilled", "partially_refunded"),
    ("partially_refunded", "partially_refunded"),
    ("partially_refunded", "refunded"),
    ("partially_refunded", "fulfilled"),
}
ORDER = "or_show_1"


@pytest.mark.parametrize(("status", "following"), list(product(Status, Status)))
def test_every_pair(status: Status, following: Status) -> None:
    """What the tables above name is allowed; all else is refused with the state, or in progress while unsettled."""
    if (status, following) in CONTRACT | FURTHER:
        require_move(ORDER, status, following)
        return
    with pytest.raises(Problem) as refused:
        require_move(ORDER, status, following)
    expected = Code.IN_PROGRESS if status == "confirming" else Code.WRONG_STATE
    assert refused.value.code is expected
    assert f"Order {ORDER} is {status}" in refused.value.detail


def test_every_state_is_in_the_table() -> None:
    """No state is forgotten, and two have no way out."""
    assert MOVES.keys() == set(Status)
    assert {status for status, moves in MOVES.items() if not moves} == {Status.CANCELLED, Status.REFUNDED}


def refunding(*parts: tuple[int, int], cancel: bool = False) -> Do:
    """Return what asks for a refund and pays it."""

    def do(connection: Connection, order: str) -> None:
        asked = refund_book.ask(connection, wanted(order, *parts, cancel=cancel))
        refund_book.mark_paid(connection, asked.id, AT + 3)

    return do


def buying(connection: Connection, order: str) -> None:
    committed(connection, 2, order=order)


def paying(connection: Connection, order: str) -> None:
    writing.mark_paid(connection, order, AT + 1)


def fulfilling(connection: Connection, order: str) -> None:
    writing.fulfil(connection, order, {"carrier": "Post"}, "host", AT + 3)


# state → what leads there from nothing
WAYS: dict[str, tuple[Do, ...]] = {
    "confirming": (buying,),
    "paid": (buying, paying),
    "fulfilled": (buying, paying, fulfilling),
    "cancelled": (buying, paying, refunding(cancel=True)),
    "partially_refunded": (buying, paying, refunding((0, 1))),
    "refunded": (buying, paying, refunding()),
}
VERBS: dict[str, tuple[Do, str]] = {
    "fulfil": (fulfilling, "fulfilled"),
    "cancel": (refunding(cancel=True), "cancelled"),
    "refund all": (refunding(), "refunded"),
    "refund one": (refunding((0, 1)), "partially_refunded"),
}
# a refund of the last unit is one of all
LAST = {("partially_refunded", "refund one"): "refunded"}
# only the checkout does this, as no money has moved then
NOBODYS = {("confirming", "cancel")}
# the same again is no move
AGAIN = {("fulfilled", "fulfil")}


async def test_every_verb_in_every_state(ledger: Ledger) -> None:
    """The ledger moves as the tables say; what is refused leaves every row as it was."""
    for number, (status, verb) in enumerate(product(WAYS, VERBS)):
        await try_verb(ledger, f"or_show_{number}", status, verb)


async def try_verb(ledger: Ledger, order: str, status: str, verb: str) -> None:
    """Bring an order into a state, try a verb on it, and compare with the tables."""
    do, following = VERBS[verb]
    following = LAST.get((status, verb), following)

    def bring(connection: Connection) -> dict[str, list[object]]:
        for step in WAYS[status]:
            step(connection, order)
        return everything(connection)

    before = await ledger.write(bring)
    allowed = (status, following) in CONTRACT | FURTHER or (status, verb) in AGAIN
    allowed = allowed and (status, verb) not in NOBODYS
    if allowed:
        await ledger.write(lambda connection: do(connection, order))
    else:
        with pytest.raises(Problem) as refused:
            await ledger.write(lambda connection: do(connection, order))
        expected = Code.IN_PROGRESS if status == "confirming" else Code.WRONG_STATE
        assert refused.value.code is expected, (status, verb)
        assert f"is {status}" in refused.value.detail, (status, verb)
    now = await ledger.read(
        lambda connection: connection.execute(
            select(orders.c.status).where(orders.c.id == order)
        ).scalar_one()
    )
    assert now == (following if allowed else status), (status, verb)
    if not allowed or (status, verb) in AGAIN:
        assert await ledger.read(everything) == before, (status, verb)


async def test_an_order_that_came_to_nothing_is_never_paid(ledger: Ledger) -> None:
    """Money that would arrive for a cancelled order is refused, not silently booked."""
    await ledger.write(
        lambda connection: writing.cancel_unpaid(connection, SHOW, record(ORDER, 1), AT, shortfall=False)
    )
    with pytest.raises(Problem, match="is cancelled: it cannot become paid"):
        await ledger.write(lambda connection: writing.mark_paid(connection, ORDER, AT))


async def test_what_was_shipped_is_shipped_once(ledger: Ledger) -> None:
    """An order of which something came back after it was shipped is not shipped again."""

    def shipped_and_back(connection: Connection) -> None:
        paid(connection, 2)
        fulfilling(connection, ORDER)
        refunding((0, 1))(connection, ORDER)

    await ledger.write(shipped_and_back)
    with pytest.raises(Problem, match="is partially_refunded, and was shipped before"):
        await ledger.write(lambda connection: writing.fulfil(connection, ORDER, {}, "host", AT))
