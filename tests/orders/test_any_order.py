"""Whatever is done to orders, in whatever sequence: the books balance, and never more goes back than came."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from server.errors import Problem
from server.ledger.engines import address, open_engine
from server.ledger.migrate import migrate
from server.ledger.tables import entries as entry_rows
from server.ledger.tables import order_lines, orders, outbox, payments, refunds
from server.orders import entries, refund_book, writing
from server.orders.orders import DifferentOrderError
from server.orders.states import MOVES, Status
from tests.orders.written import AT, SHOW, history, record, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

ORDERS = ("or_show_a", "or_show_b")
STEPS = st.tuples(
    st.sampled_from(ORDERS),
    st.one_of(
        st.tuples(st.sampled_from(["commit", "capture", "give up", "fulfil", "refund all", "cancel"])),
        st.tuples(st.just("refund"), st.integers(0, 1), st.integers(1, 3), st.booleans()),
        st.tuples(st.sampled_from(["pay", "refuse"]), st.integers(0, 5)),
    ),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give a ledger on SQLite that every example leaves empty."""
    folder = tmp_path_factory.mktemp("books")
    migrate(folder)
    one = open_engine(address(folder), connections=1, writes=True)
    yield one
    one.dispose()


def do(connection: Connection, order: str, step: Any, number: int) -> None:
    """Do one thing to an order; what is refused leaves everything as it was."""
    verb, *rest = step
    try:
        with connection.begin_nested():
            match verb:
                case "commit":
                    made = record(order, 2, 3)
                    writing.insert(connection, SHOW, made, Status.CONFIRMING, "authorized", at=AT + number)
                case "capture":
                    writing.mark_paid(connection, order, AT + number)
                case "give up":
                    writing.cancel_unpaid(connection, SHOW, record(order, 2, 3), AT + number, shortfall=True)
                case "fulfil":
                    writing.fulfil(connection, order, {}, "host", AT + number)
                case "refund all" | "cancel":
                    cancel = verb == "cancel"
                    refund_book.ask(connection, wanted(order, refund=f"rf_show_{number}", cancel=cancel))
                case "refund":
                    position, quantity, restock = rest
                    one = wanted(order, (position, quantity), refund=f"rf_show_{number}", restock=restock)
                    refund_book.ask(connection, one)
                case _:
                    known = connection.execute(select(refunds.c.id).order_by(refunds.c.id)).scalars().all()
                    if known:
                        mark = refund_book.mark_paid if verb == "pay" else refund_book.mark_refused
                        mark(connection, known[rest[0] % len(known)], AT + number)
    except (Problem, DifferentOrderError):
        pass


def check(connection: Connection) -> None:
    """Assert what must hold after every step."""
    assert entries.unbalanced(connection) == {}
    assert connection.execute(select(func.sum(entry_rows.c.amount))).scalar() in {None, 0}
    captured = select(func.sum(payments.c.amount)).where(payments.c.status.in_(["captured", "refunded"]))
    back = select(func.sum(refunds.c.amount)).where(refunds.c.status == "paid")
    come, gone = (connection.execute(each).scalar() or 0 for each in (captured, back))
    assert entries.balances(connection).get(("provider:sandbox", "EUR"), 0) == come - gone
    for order in connection.execute(select(orders)):
        check_order(connection, order.id, order.status)


def check_order(connection: Connection, order: str, status: str) -> None:
    """Assert that an order went by the table, and that its lines are what its refunds say."""
    went = [Status(each) for each, _by in history(connection, order)]
    assert went[-1] == status
    for before, after in pairwise(went):
        assert after in MOVES[before]
    rows = connection.execute(select(refunds).where(refunds.c.order_id == order)).all()
    alive = [row for row in rows if row.status != "refused"]
    amount = connection.execute(select(payments.c.amount).where(payments.c.order_id == order)).scalar_one()
    assert sum(row.amount for row in alive) <= amount
    for line in connection.execute(select(order_lines).where(order_lines.c.order_id == order)):
        taken = [(row, units) for row in alive for position, units in row.lines if position == line.position]
        assert line.refunded == sum(units for _row, units in taken) <= line.quantity
        assert line.restocked == sum(units for row, units in taken if row.restock and row.status == "paid")
    told = connection.execute(select(func.count()).where(outbox.c.subject == order)).scalar_one()
    changes = len([each for each in went if each is not Status.CONFIRMING])
    assert told == changes + (went == [Status.CANCELLED])  # that one also says what there was not enough of


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_whatever_happens(engine: Engine, steps: list[Any]) -> None:
    """After every step the entries sum to nothing, lines and refunds agree, and every order went by the table."""
    with engine.connect() as connection, connection.begin() as transaction:
        for order in ORDERS:
            do(connection, order, ("commit",), 0)
            do(connection, order, ("capture",), 0)
        for number, (order, step) in enumerate(steps, 1):
            do(connection, order, step, number)
            check(connection)
        transaction.rollback()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_whatever_happens_from_nothing(engine: Engine, steps: list[Any]) -> None:
    """The same, where orders are not there or not paid yet."""
    with engine.connect() as connection, connection.begin() as transaction:
        for number, (order, step) in enumerate(steps, 1):
            do(connection, order, step, number)
            check(connection)
        transaction.rollback()


def test_the_checks_see_what_is_wrong(engine: Engine) -> None:
    """One entry that is off by a cent, or a line whose refund nobody asked for, is found."""
    with engine.connect() as connection, connection.begin() as transaction:
        do(connection, ORDERS[0], ("commit",), 0)
        do(connection, ORDERS[0], ("capture",), 0)
        check(connection)
        savepoint = connection.begin_nested()
        connection.execute(update(entry_rows).where(entry_rows.c.account == "sales").values(amount=-1))
        with pytest.raises(AssertionError):
            check(connection)
        savepoint.rollback()
        connection.execute(update(order_lines).values(refunded=1))
        with pytest.raises(AssertionError):
            check(connection)
        transaction.rollback()
