"""The ledger as its callers see it: `write`, `read`, `ping`, `close` over SQLite or PostgreSQL.

Work is a plain function of a SQLAlchemy connection, runs off the event loop and returns plain values. Writes
go through the group commit of `writer.py`; reads have a few threads, on connections that can change nothing.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import literal, select

from server import tracing
from server.errors import unavailable
from server.ledger.engines import address, open_engine
from server.ledger.writer import Writer, translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import URL, Connection

READ_THREADS = 4
READ_LIMIT = 1_000  # reads under way or waiting; the next caller is refused with `unavailable`
PING_SECONDS = 2.0

T = TypeVar("T")


class Ledger:
    """One process's access to the books. Made by `open_ledger`, ended by `close`."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.write_engine = open_engine(url, connections=1, writes=True)
        self.read_engine = open_engine(url, connections=READ_THREADS, writes=False)
        self._writer = Writer(self.write_engine)
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="ledger-reader")
        self._reading = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many writes wait for the next transaction."""
        return self._writer.waiting

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the next transaction; return its result once that is committed to the disk.

        Atomic, and in order with this process's other writes. Errors as in `Writer.write`.
        """
        with tracing.part("ledger", "write"):
            return await self._writer.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that cannot change anything, and return its result.

        Sees everything that was acknowledged before. Raises `unavailable` where the database could not.
        """
        if self._closed:
            raise unavailable("the ledger is closed: this server is leaving")
        if self._reading >= READ_LIMIT:
            raise unavailable(f"{self._reading} reads wait for the ledger, no more are taken")
        self._reading += 1
        reading = asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)
        reading.add_done_callback(self._read_ended)
        return await reading

    async def ping(self) -> None:
        """Return when a transaction that could write went through; else raise `unavailable`, within 2 s."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.write(_look)
        except TimeoutError as error:
            raise unavailable(f"the ledger did not answer within {PING_SECONDS:.0f} s") from error

    async def close(self) -> None:
        """Finish the queued work, then end the threads and connections. May be called twice."""
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.shutdown()
        self.write_engine.dispose()
        self.read_engine.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self.read_engine.connect() as connection:
                return work(connection)
        except Exception as error:
            known = translated(error)
            if known is error:
                raise
            raise known from error

    def _read_ended(self, reading: asyncio.Future[T]) -> None:
        self._reading -= 1
        if not reading.cancelled():
            reading.exception()  # looked at here too: a caller that was cancelled never will


def _look(connection: Connection) -> None:
    connection.execute(select(literal(1)))


def open_ledger(url_or_path: str | Path) -> Ledger:
    """Return the ledger at a URL, in a SQLite file, or in a data directory.

    Connects at first use and migrates nothing (`migrate.py` does). Raises ValueError for an unknown URL.
    """
    return Ledger(address(url_or_path))
