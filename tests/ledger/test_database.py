"""The ledger's doors: reading, readiness, trouble, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from server.errors import Code, Problem
from server.ledger import database
from server.ledger.database import Ledger, open_ledger
from server.ledger.engines import address, open_engine
from server.ledger.migrate import migrate
from server.ledger.writer import Writer
from tests.ledger.rows import count_orders, put_order

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

WRITE_AND_WAIT = """
import asyncio, sys
from functools import partial
from server.ledger.database import open_ledger
from tests.ledger.rows import put_order

async def main():
    ledger = open_ledger(sys.argv[1])
    await asyncio.gather(*(ledger.write(partial(put_order, order_id=f"or_{n}")) for n in range(50)))
    print("acknowledged", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_read_sees_every_acknowledged_write(ledger: Ledger) -> None:
    """Right after a write's answer, each of 20 concurrent reads sees it."""
    await ledger.write(partial(put_order, order_id="or_1"))
    assert await asyncio.gather(*(ledger.read(count_orders) for _ in range(20))) == [1] * 20


async def test_a_read_cannot_write(ledger: Ledger) -> None:
    """The database itself refuses a change on a reading connection."""
    with pytest.raises(Problem) as refused:
        await ledger.read(partial(put_order, order_id="or_1"))
    assert refused.value.code is Code.UNAVAILABLE
    assert await ledger.read(count_orders) == 0


async def test_a_read_raises_its_own_error(ledger: Ledger) -> None:
    """A programming error passes through as it is."""

    def divide(_: Connection) -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        await ledger.read(divide)


async def test_too_many_reads_are_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 3 reads under way and a limit of 3 the next hears `unavailable`; when they end, reads go on."""
    monkeypatch.setattr(database, "READ_LIMIT", 3)
    gate = threading.Event()

    def wait(_: Connection) -> bool:
        return gate.wait(30)

    reads = [asyncio.create_task(ledger.read(wait)) for _ in range(3)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(Problem, match="3 reads wait for the ledger"):
            await ledger.read(count_orders)
    finally:
        gate.set()
    assert await asyncio.gather(*reads) == [True] * 3
    assert await ledger.read(count_orders) == 0


async def test_ping_tells_a_stuck_writer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ping` returns while writes go through and raises `unavailable` in time while they do not."""
    await ledger.ping()
    monkeypatch.setattr(database, "PING_SECONDS", 0.05)
    gate = threading.Event()

    def wait(_: Connection) -> bool:
        return gate.wait(30)

    stuck = asyncio.create_task(ledger.write(wait))
    await asyncio.sleep(0)
    try:
        with pytest.raises(Problem) as refused:
            await ledger.ping()
    finally:
        gate.set()
    assert refused.value.code is Code.UNAVAILABLE
    assert await stuck


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """Without a server behind the URL, reads, writes and `ping` raise `unavailable`, not a driver's error."""
    ledger = open_ledger(f"postgresql://livedrop@/books?host={tmp_path}")
    try:
        for attempt in (ledger.read(count_orders), ledger.write(count_orders), ledger.ping()):
            with pytest.raises(Problem) as refused:
                await attempt
            assert refused.value.code is Code.UNAVAILABLE
    finally:
        await ledger.close()


async def test_a_lock_held_by_another_process_is_unavailable_and_then_over(tmp_path: Path) -> None:
    """A write that waits too long for SQLite's lock hears `unavailable`; once it is free, the next works."""
    path = tmp_path / "books.sqlite3"
    migrate(path)
    other = sqlite3.connect(path, isolation_level=None)
    engine = open_engine(address(path), connections=1, writes=True, wait_ms=50)
    writer = Writer(engine)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Problem) as refused:
            await writer.write(partial(put_order, order_id="or_1"))
        assert refused.value.code is Code.UNAVAILABLE
        other.execute("ROLLBACK")
        assert await writer.write(partial(put_order, order_id="or_1")) == "or_1"
    finally:
        other.close()
        await asyncio.to_thread(writer.close)
        engine.dispose()


async def test_an_acknowledged_write_survives_kill_9(migrated_url: str) -> None:
    """A process killed right after its writes were acknowledged leaves every row of them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITE_AND_WAIT, migrated_url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"acknowledged\n"
    finally:
        process.kill()
        await process.wait()
    ledger = open_ledger(migrated_url)
    try:
        assert await ledger.read(count_orders) == 50
    finally:
        await ledger.close()
