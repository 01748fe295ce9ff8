"""The trail of what hosts, moderators and services did: who, when, what, and what came of it; no bodies, no tokens.

Nobody waits for it and nothing fails by it: rows wait in a bounded queue and are written by the ledger's own writer,
many at a time, in their order. A row that finds no room, or no ledger until the process has ended, is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from server import ids, metrics
from server.errors import Problem
from server.ledger.tables import actions
from server.ledger.upsert import insert_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from server.ledger.database import Ledger

MOST_WAITING = 5_000  # rows; what comes then is lost, and counted
BATCH = 256  # rows of one piece of the writer's work
RETRY_SECONDS = 1.0
LEAVE_SECONDS = 2.0  # for what is left at the end of the process
NAME_BYTES = 9  # of a row's name, by which a repeated write is known

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """One action: `at` in Unix ms, `verb` the operation's name, `object` an id, `outcome` ok or an error code.

    `request` is the id that the caller's request carried.
    """

    at: int
    subject: str
    role: str
    show: str | None
    verb: str
    object: str | None
    outcome: str
    request: str | None = None


class Actions:
    """One process' way to the trail. `note` takes a row, `run` writes them, `leave` writes what is left."""

    def __init__(self, ledger: Ledger, most: int = MOST_WAITING) -> None:
        self._ledger = ledger
        self._most = most
        self._waiting: deque[tuple[str, Action]] = deque()
        self._due = asyncio.Event()

    def note(self, action: Action) -> None:
        """Take a row; returns at once."""
        if len(self._waiting) >= self._most:
            metrics.ACTIONS_LOST.inc()
            return
        self._waiting.append((ids.secret(NAME_BYTES), action))
        self._due.set()

    async def run(self) -> None:
        """Write what comes, for ever; what the ledger cannot take waits and is tried again."""
        while True:
            await self._due.wait()
            try:
                await self._write()
            except Problem as problem:
                log.warning("actions.unwritten", rows=len(self._waiting), reason=problem.detail)
                await asyncio.sleep(RETRY_SECONDS)

    async def leave(self) -> None:
        """Write, at the end of the process, what is left; raises nothing."""
        with suppress(Problem, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._write()
        metrics.ACTIONS_LOST.inc(len(self._waiting))
        self._waiting.clear()

    async def of_show(self, show: str, limit: int, before: int | None) -> list[tuple[int, Action]]:
        """Return up to `limit` actions of a show with their numbers, newest first, those before a number alone."""
        return await self._ledger.read(partial(_listed, show, limit, before))

    async def _write(self) -> None:
        """Write until nothing waits. A row is taken off once it is on the disk; tried again it is written once."""
        while rows := [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]:
            try:
                await self._ledger.write(partial(_insert, rows))
            except Problem:
                raise
            except Exception as error:  # noqa: BLE001  a bug: one row must not keep the others from being written
                log.error("actions.refused", rows=len(rows), error=repr(error))  # noqa: TRY400  the row says no more
                await self._write_one_by_one(rows)
            for _ in rows:
                self._waiting.popleft()
        self._due.clear()

    async def _write_one_by_one(self, rows: Sequence[tuple[str, Action]]) -> None:
        for row in rows:
            try:
                await self._ledger.write(partial(_insert, [row]))
            except Problem:
                raise
            except Exception:  # noqa: BLE001  said already
                metrics.ACTIONS_LOST.inc()


def _insert(rows: Sequence[tuple[str, Action]], connection: Connection) -> None:
    for name, action in rows:
        insert_new(connection, actions, {"id": name, **asdict(action)}, "id")


def _listed(show: str, limit: int, before: int | None, connection: Connection) -> list[tuple[int, Action]]:
    columns = (actions.c.number, *(actions.c[name] for name in Action.__slots__))
    found = select(*columns).where(actions.c.show == show).order_by(actions.c.number.desc()).limit(limit)
    if before is not None:
        found = found.where(actions.c.number < before)
    return [(row[0], Action(*row[1:])) for row in connection.execute(found)]
