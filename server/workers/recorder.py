"""From the shows' logs into the ledger: the drops as they were offered, so that the books stand without Redis.

Reads each log from where the ledger's own copy ends. Position and rows are written in one transaction, and a row
only ever moves to a newer offset: two recorders, or one that repeats itself, change nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, select

from server.errors import Problem
from server.eventlog import stream
from server.ledger.tables import drops, log_positions
from server.ledger.upsert import upsert
from server.protocol.codec import unpack_event

if TYPE_CHECKING:
    from server.ledger.database import Ledger
    from server.shows.drops import Drops
    from server.shows.shows import Shows
    from server.store.redis import Redis

PAUSE_SECONDS = 1.0
# What the ledger keeps of a drop's terms, where it has them: also what a draw can be checked with once Redis is gone.
TERMS = ("limit_per_viewer", "hold_seconds", "mode", "waitlist", "waves", "seed_hash", "seed")

log = structlog.get_logger(__name__)


class Recorder:
    """Keeps the ledger's drops up to date with the logs of all active shows."""

    def __init__(self, client: Redis, ledger: Ledger, shows: Shows, show_drops: Drops) -> None:
        self._client = client
        self._ledger = ledger
        self._shows = shows
        self._drops = show_drops

    async def run(self) -> None:
        """Record for ever."""
        while True:
            try:
                for show in await self._shows.active():
                    await self._guarded(show)
            except Problem as problem:
                log.warning("recorder.unavailable", reason=problem.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _guarded(self, show: str) -> None:
        try:
            await self.record(show)
        except Problem as problem:
            log.warning("recorder.show_waits", show=show, reason=problem.detail)
        except Exception:
            # One show's bad entry must not keep all others out of the books.
            log.exception("recorder.show_failed", show=show)

    async def record(self, show: str) -> bool:
        """Take the log's next events into the ledger's drops of one show; return whether the ledger has them all."""
        top = await stream.top(self._client, show)
        if top is None:
            return True
        known = await self._ledger.read(lambda connection: _position(connection, show))
        if known == (top.epoch, top.offset):
            return True
        seen = known[1] if known and known[0] == top.epoch else 0
        entries = await stream.after(self._client, show, seen)
        touched: set[str] = set()
        for entry in entries:
            seen = entry.offset
            touched |= _drops_of(unpack_event(entry.packed))
        views = [await self._drops.find(show, drop) for drop in sorted(touched)]
        rows = [_row(view, seen) for view in views]
        await self._ledger.write(lambda connection: _write(connection, rows, show, top.epoch, seen))
        return seen >= top.offset


def _drops_of(event: dict[str, Any]) -> set[str]:
    if "drop" in event:
        return {event["drop"]["id"]}
    return {event["drop_id"]} if "drop_id" in event else set()


def _row(view: dict[str, Any], offset: int) -> dict[str, Any]:
    return {
        "id": view["id"],
        "show": view["show"],
        "sku": view["sku"],
        "title": view["title"],
        "quantity": view["quantity"],
        "unit_price": view["unit_price"],
        "currency": view["currency"],
        "status": view["status"],
        "terms": {name: view[name] for name in TERMS if name in view},
        "created_at": view["created_at"],
        "updated_at": view.get("closed_at", view.get("opened_at", view["created_at"])),
        "opened_at": view.get("opened_at"),
        "closed_at": view.get("closed_at"),
        "offset": offset,
    }


def _position(connection: Connection, show: str) -> tuple[str, int] | None:
    query = select(log_positions.c.epoch, log_positions.c.offset).where(log_positions.c.show == show)
    row = connection.execute(query).first()
    return (row.epoch, row.offset) if row else None


def _write(connection: Connection, rows: list[dict[str, Any]], show: str, epoch: str, offset: int) -> None:
    upsert(connection, drops, rows, keep=("created_at",), newer="offset")
    upsert(connection, log_positions, [{"show": show, "epoch": epoch, "offset": offset}])
