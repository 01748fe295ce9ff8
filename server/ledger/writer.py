"""Group commit: many callers' writes, one thread, one transaction, one flush to the disk.

A flush costs the same for one write as for hundreds, so the thread takes everything that waits (no timer),
runs each piece in its own savepoint and commits once. A caller hears its result only after that commit.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import exc

from server.errors import Problem, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

QUEUE_LIMIT = 10_000  # pieces; the next caller is refused with `unavailable`, it does not wait
BATCH_LIMIT = 256  # pieces in one transaction: bounds how long the first one waits for the last
JOIN_SECONDS = 60.0  # how long closing waits for the queued work

T = TypeVar("T")

log = structlog.get_logger(__name__)

# What a database says when it could not, as opposed to what it says when the statement was wrong.
TROUBLE = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.DisconnectionError,
    exc.TimeoutError,
)


def translated(error: BaseException) -> BaseException:
    """Return `unavailable` for a database that could not; every other error as it is."""
    if isinstance(error, TROUBLE):
        problem = unavailable("the ledger could not be reached or was busy: nothing is known of this request")
        problem.__cause__ = error
        return problem
    return error


@dataclass(slots=True, eq=False)
class _Piece:
    """One caller's work, and the future in the caller's own loop that wants the outcome."""

    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Run the work in a savepoint; a failure undoes this piece alone."""
        savepoint = connection.begin_nested()
        try:
            self.result = self.work(connection)
        except Exception as error:  # noqa: BLE001  it belongs to the caller, who gets it
            # Fails where the database has undone the whole transaction; then the batch fails as one.
            savepoint.rollback()
            self.error = translated(error)
        else:
            savepoint.commit()

    def settle(self) -> None:
        """Hand the outcome over; runs in the caller's loop. A caller that was cancelled wants none."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """The one thread of this process that writes to the ledger. Pieces run in the order they came in."""

    def __init__(
        self, engine: Engine, queue_limit: int = QUEUE_LIMIT, batch_limit: int = BATCH_LIMIT
    ) -> None:
        self._engine = engine
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._waiting: deque[_Piece] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # A daemon, so that a process that dies without closing does die.
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many pieces wait for the next transaction."""
        return len(self._waiting)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` inside the next transaction and return its result once that is committed.

        `work` gets a connection inside a savepoint; it must not commit, roll back, or swallow a database
        error. It runs even if the caller is cancelled meanwhile. Its own exception undoes it alone and is
        raised here.
        Raises `unavailable` when the queue is full, the ledger is closed, or the commit is not known to have
        happened: writes are built so that repeating them is harmless.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue(_Piece(work, loop, future))
        return await future

    def close(self) -> None:
        """Finish what is queued, refuse what comes, and end the thread. Blocks; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(JOIN_SECONDS)

    def _queue(self, piece: _Piece) -> None:
        with self._changed:
            if self._closed:
                raise unavailable("the ledger is closed: this server is leaving")
            if len(self._waiting) >= self._queue_limit:
                raise unavailable(f"{len(self._waiting)} writes wait for the ledger, no more are taken")
            self._waiting.append(piece)
            self._changed.notify()

    def _work(self) -> None:
        while batch := self._take():
            self._commit(batch)
            _settle(batch)

    def _take(self) -> list[_Piece]:
        """Wait for work and return it; empty only when closed with nothing left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            count = min(len(self._waiting), self._batch_limit)
            return [self._waiting.popleft() for _ in range(count)]

    def _commit(self, batch: list[_Piece]) -> None:
        try:
            with self._engine.connect() as connection, connection.begin():
                for piece in batch:
                    piece.run(connection)
        except BaseException as error:  # noqa: BLE001  the thread serves the next batch, the callers learn it
            log.error("ledger.batch_failed", pieces=len(batch), error=repr(error))  # noqa: TRY400  callers raise
            for piece in batch:
                # Even a piece with an error of its own: it may have judged by rows that are gone now.
                piece.error = _unknown(error)


def _unknown(error: BaseException) -> Problem:
    problem = unavailable("the ledger's commit failed: unknown whether this was written")
    problem.__cause__ = error
    return problem


def _settle(batch: list[_Piece]) -> None:
    """Wake every loop once, with all its outcomes."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Piece]] = {}
    for piece in batch:
        by_loop.setdefault(piece.loop, []).append(piece)
    for loop, pieces in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, pieces)
        except RuntimeError:
            # The loop is closed: nobody there waits any more.
            log.warning("ledger.callers_gone", pieces=len(pieces))


def _settle_here(pieces: list[_Piece]) -> None:
    for piece in pieces:
        piece.settle()
