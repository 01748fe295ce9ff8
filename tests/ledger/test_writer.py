"""Group commit, on real databases."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import IntegrityError

from server.errors import Code, Problem
from server.ledger.engines import address, open_engine
from server.ledger.tables import orders
from server.ledger.writer import Writer
from tests.ledger.rows import count_orders, put_line, put_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.ledger.database import Ledger
    from tests.postgres import Databases


class Gate:
    """Work that keeps the writer's thread busy until `open`."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def hold(self, _: Connection) -> None:
        """Wait, inside a transaction of its own."""
        self.entered.set()
        assert self.opened.wait(30)

    async def close(self, writer: Writer | Ledger) -> asyncio.Task[None]:
        """Return once the thread is held; what is written from now on shares the next transaction."""
        held = asyncio.create_task(writer.write(self.hold))
        assert await asyncio.to_thread(self.entered.wait, 30)
        return held

    def open(self) -> None:
        """Let the writer go on."""
        self.opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Give a gate that is open at the end in any case, so that no thread waits for ever."""
    made = Gate()
    yield made
    made.open()


async def queue(ledger: Writer | Ledger, *pieces: Callable[[Connection], Any]) -> list[asyncio.Task[Any]]:
    """Ask for writes, in this order, and return once they are queued."""
    tasks = [asyncio.create_task(ledger.write(piece)) for piece in pieces]
    await asyncio.sleep(0)
    return tasks


def orders_from(first: int, count: int) -> list[Callable[[Connection], str]]:
    """Return pieces that write the orders `or_<first>` and those that follow."""
    return [partial(put_order, order_id=f"or_{first + number}") for number in range(count)]


def fail(_: Connection) -> None:
    """Fail as a piece with an error of its own."""
    raise ZeroDivisionError


async def test_many_writes_share_few_commits(ledger: Ledger) -> None:
    """200 writes at once are committed in at most 20 transactions, and every caller gets its own result."""
    commits: list[None] = []
    event.listen(ledger.write_engine, "commit", lambda _: commits.append(None))
    results = await asyncio.gather(*(ledger.write(piece) for piece in orders_from(0, 200)))
    assert results == [f"or_{n}" for n in range(200)]
    assert await ledger.read(count_orders) == 200
    assert 1 <= len(commits) <= 20


async def test_a_failing_piece_harms_no_other(ledger: Ledger) -> None:
    """In one transaction, three pieces fail with their own errors and write nothing; the others stand."""
    await ledger.write(partial(put_order, order_id="or_taken"))

    def half_way(connection: Connection) -> None:
        put_order(connection, "or_half")
        raise ZeroDivisionError("after its first write")

    def refused(connection: Connection) -> None:
        put_order(connection, "or_refused")
        raise Problem(Code.WRONG_STATE, "the order is paid already")

    outcomes = await asyncio.gather(
        ledger.write(partial(put_order, order_id="or_first")),
        ledger.write(half_way),
        ledger.write(partial(put_order, order_id="or_taken")),
        ledger.write(refused),
        ledger.write(partial(put_order, order_id="or_last")),
        return_exceptions=True,
    )
    kinds = [outcome if isinstance(outcome, str) else type(outcome) for outcome in outcomes]
    assert kinds == ["or_first", ZeroDivisionError, IntegrityError, Problem, "or_last"]
    found = await ledger.read(lambda connection: connection.execute(select(orders.c.id)).scalars().all())
    assert sorted(found) == ["or_first", "or_last", "or_taken"]


async def test_a_reservation_is_sold_once(ledger: Ledger) -> None:
    """A second order with the same reservation fails as a whole: neither line nor order is written."""

    def sell(connection: Connection, order_id: str) -> None:
        put_order(connection, order_id)
        put_line(connection, order_id, "rs_one_a")

    await ledger.write(partial(sell, order_id="or_1"))
    with pytest.raises(IntegrityError):
        await ledger.write(partial(sell, order_id="or_2"))
    assert await ledger.read(count_orders) == 1


async def test_a_line_needs_its_order(ledger: Ledger) -> None:
    """Foreign keys are on, on both databases."""
    with pytest.raises(IntegrityError):
        await ledger.write(partial(put_line, order_id="or_none", reservation="rs_one_a"))


async def test_a_cancelled_caller_costs_nobody_an_answer(ledger: Ledger, gate: Gate) -> None:
    """Of three queued writes one caller is cancelled: its piece still runs, the others get their results."""
    held = await gate.close(ledger)
    tasks = await queue(ledger, *orders_from(0, 3))
    tasks[1].cancel()
    gate.open()
    await held
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == "or_0"
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert outcomes[2] == "or_2"
    assert await ledger.read(count_orders) == 3


async def test_writes_keep_their_order(ledger: Ledger) -> None:
    """Pieces of one process run in the order in which they were asked for."""
    seen: list[int] = []

    def note(_: Connection, number: int) -> None:
        seen.append(number)

    await asyncio.gather(*(ledger.write(partial(note, number=number)) for number in range(600)))
    assert seen == list(range(600))


async def test_a_full_queue_refuses(migrated_url: str, gate: Gate) -> None:
    """With the queue at its limit of 2, the next write is refused with the number; the others succeed."""
    engine = open_engine(address(migrated_url), connections=1, writes=True)
    writer = Writer(engine, queue_limit=2)
    try:
        held = await gate.close(writer)
        queued = await queue(writer, *orders_from(0, 2))
        with pytest.raises(Problem, match="2 writes wait for the ledger") as refused:
            await writer.write(partial(put_order, order_id="or_more"))
        assert refused.value.code is Code.UNAVAILABLE
        gate.open()
        await held
        assert await asyncio.gather(*queued) == ["or_0", "or_1"]
    finally:
        gate.open()
        await asyncio.to_thread(writer.close)
        engine.dispose()


async def test_a_lost_connection_is_unknown_to_all_of_its_batch(
    postgresql_ledger: Ledger, postgres: Databases, gate: Gate
) -> None:
    """When PostgreSQL ends the connection in a batch, all its pieces hear `unavailable`; the next works."""

    def cut(connection: Connection) -> None:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(postgres.url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [process])

    held = await gate.close(postgresql_ledger)
    batch = await queue(postgresql_ledger, *orders_from(0, 1), fail, cut, *orders_from(1, 1))
    gate.open()
    await held
    outcomes = await asyncio.gather(*batch, return_exceptions=True)
    # The failed one too: it may have judged by rows that are gone with the transaction.
    assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [Code.UNAVAILABLE] * 4
    assert await postgresql_ledger.read(count_orders) == 0
    assert await postgresql_ledger.write(partial(put_order, order_id="or_3")) == "or_3"


async def test_a_failed_commit_is_unknown_to_all_of_its_batch(sqlite_ledger: Ledger, gate: Gate) -> None:
    """When SQLite refuses the COMMIT itself, nobody is told that anything was written, and nothing was."""

    def break_at_commit(connection: Connection) -> None:
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        put_line(connection, "or_none", "rs_one_a")

    held = await gate.close(sqlite_ledger)
    batch = await queue(sqlite_ledger, *orders_from(0, 1), break_at_commit, *orders_from(1, 1))
    gate.open()
    await held
    outcomes = await asyncio.gather(*batch, return_exceptions=True)
    assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [Code.UNAVAILABLE] * 3
    assert await sqlite_ledger.read(count_orders) == 0
    assert await sqlite_ledger.write(partial(put_order, order_id="or_3")) == "or_3"


async def test_closing_finishes_the_queue_then_refuses(ledger: Ledger, gate: Gate) -> None:
    """All that was queued before `close` is committed and answered; what comes after hears `unavailable`."""
    held = await gate.close(ledger)
    queued = await queue(ledger, *orders_from(0, 300))
    closing = asyncio.create_task(ledger.close())
    gate.open()
    await closing
    await held
    assert len(await asyncio.gather(*queued)) == 300
    with pytest.raises(Problem, match="the ledger is closed"):
        await ledger.write(partial(put_order, order_id="or_late"))
    with pytest.raises(Problem, match="the ledger is closed"):
        await ledger.read(count_orders)
