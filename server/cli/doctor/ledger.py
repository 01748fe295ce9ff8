"""The ledger: whether it has our tables, whether a commit is one, what room is left, and who waits for messages."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select, text

from server.cli.doctor.finding import Finding, fine, warning, wrong
from server.cli.doctor.looking import Look, aside
from server.clock import monotonic, now_ms
from server.ledger.engines import address, is_sqlite, open_engine
from server.ledger.migrate import is_current, is_empty, is_newer
from server.ledger.tables import outbox, webhook_deliveries, webhook_endpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

LOOKS = 20  # at the ledger, of which the middle one is told
SLOW_MS = 20.0  # for a look: an order waits for three or four
LATE_MS = 3_600_000  # after which a message that still waits is worth a word
MEGABYTE = 1 << 20
SCARCE_MB, SHORT_MB = 2048, 256  # room on the disk
REACH = "Start it, or correct DATABASE_URL: address, user, password, firewall."
SAFE = frozenset(
    {"on", "local", "remote_write", "remote_apply"}
)  # of synchronous_commit: on the disk at least here


@dataclass(frozen=True, slots=True)
class Messages:
    """Webhook endpoints by status, deliveries by status, and for how long the oldest waits, ms."""

    endpoints: Mapping[str, int] = field(default_factory=dict)
    deliveries: Mapping[str, int] = field(default_factory=dict)
    oldest_ms: int = 0


def tables(*, empty: bool, current: bool, newer: bool) -> Finding:
    """Judge the version of the tables."""
    if current:
        return fine("ledger: tables", "of this version")
    if empty:
        return warning("ledger: tables", "none yet", "The first server makes them; or run: livedrop migrate")
    if newer:
        return wrong("ledger: tables", "of a newer version", "Run that version, or name another ledger.")
    return wrong("ledger: tables", "of an older version", "Back it up, then run: livedrop migrate")


def durable(told: Mapping[str, str]) -> Finding:
    """Judge whether a commit is on the disk when it is answered, from what the database says of itself."""
    found = ", ".join(f"{name} {value}" for name, value in told.items())
    if told.get("recovery") == "on":
        return wrong("ledger: commits", found, "Name the primary in DATABASE_URL: a standby takes no orders.")
    if "off" in {told.get("fsync"), told.get("full_page_writes")}:
        return wrong(
            "ledger: commits", found, "Switch it on: a crash of its machine breaks the whole database."
        )
    if "synchronous_commit" in told and told["synchronous_commit"] not in SAFE:
        return wrong(
            "ledger: commits", found, "Set synchronous_commit to on: acknowledged orders are lost otherwise."
        )
    return fine("ledger: commits", found)


def quick(seconds: list[float]) -> Finding:
    """Judge how long a look takes."""
    middle = 1000 * sorted(seconds)[len(seconds) // 2]
    found = f"{middle:.2f} ms a look"
    if middle > SLOW_MS:
        return warning(
            "ledger: latency", found, "Bring ledger and servers together: an order waits for several."
        )
    return fine("ledger: latency", found)


def places(used: int, most: int) -> Finding:
    """Judge the connections that PostgreSQL has left; a process of ours takes up to five."""
    found = f"{used} of {most} are used"
    if used > 0.9 * most:
        return warning(
            "ledger: connections", found, "Raise max_connections, or put a pooler in session mode between."
        )
    return fine("ledger: connections", found)


def room(check: str, free: int, whole: int, *, production: bool) -> Finding:
    """Judge the bytes that are free on a disk."""
    found = f"{free // MEGABYTE} MB free of {whole // MEGABYTE} MB"
    if free < SHORT_MB * MEGABYTE:
        return wrong(check, found, "Make room now: on a full disk neither stock nor orders can be written.")
    if free < SCARCE_MB * MEGABYTE and production:
        return warning(check, found, "Make room before the next show.")
    return fine(check, found)


def told_shop(messages: Messages) -> list[Finding]:
    """Judge the webhook endpoints, and what waits for them."""
    of, sent = messages.endpoints, messages.deliveries
    disabled, parked, waiting = of.get("disabled", 0), sent.get("parked", 0), sent.get("waiting", 0)
    found = f"{of.get('enabled', 0)} enabled, {disabled} disabled"
    first = fine("webhooks: endpoints", found)
    if disabled:
        advice = "Each answered 410. Repair it, then POST /v1/webhooks/{id}/enable and /replay."
        first = warning("webhooks: endpoints", found, advice)
    found = f"{waiting} wait, {parked} parked"
    second = fine("webhooks: messages", found)
    if waiting and messages.oldest_ms > LATE_MS:
        found = f"{found}, the oldest for {messages.oldest_ms // 60_000} min"
        advice = "Look at the endpoint's log (GET /v1/webhooks/{id}), and whether a worker runs."
        second = warning("webhooks: messages", found, advice)
    elif parked:
        advice = (
            "They were tried for three days, or their endpoint is disabled: POST /v1/webhooks/{id}/replay."
        )
        second = warning("webhooks: messages", found, advice)
    return [first, second]


def looks(url_or_path: str | Path, data: Path, *, production: bool) -> list[Look]:
    """Return the looks at the ledger, and at the disk that the data folder is on."""
    url = address(url_or_path)
    here = [Look("disk", partial(_disk, data, production), "Look at the mount of LIVEDROP_DATA.")]
    if is_sqlite(url) and not Path(str(url.database)).exists():
        return [Look("ledger", _nothing_yet, REACH), *here]
    return [
        Look("ledger", partial(_asked, url_or_path, production), REACH),
        *here,
    ]


async def _nothing_yet() -> list[Finding]:
    return [warning("ledger: file", "not there yet", "The first server makes it.")]


async def _disk(data: Path, production: bool) -> list[Finding]:  # noqa: FBT001  bound by name above
    def asked() -> tuple[int, int]:
        here = data.absolute()
        there = next(each for each in (here, *here.parents) if each.exists())
        usage = shutil.disk_usage(there)
        return usage.free, usage.total

    return [room("disk: data folder", *await aside(asked), production=production)]


async def _asked(url_or_path: str | Path, production: bool) -> list[Finding]:  # noqa: FBT001  bound by name above
    return await aside(partial(_looked_at, url_or_path, production=production))


def _looked_at(url_or_path: str | Path, *, production: bool) -> list[Finding]:
    """Ask the ledger on a connection that can change nothing."""
    url = address(url_or_path)
    current = is_current(url_or_path)
    state = tables(
        empty=not current and is_empty(url_or_path),
        current=current,
        newer=not current and is_newer(url_or_path),
    )
    engine = open_engine(url, connections=1, writes=False)
    found = [state]
    try:
        with engine.connect() as connection:
            found.append(quick(_timed(connection)))
            if is_sqlite(url):
                found.append(durable(_sqlite(connection)))
                found.append(_kind(production=production))
            else:
                found.append(durable(_postgresql(connection)))
                found.append(places(*_connections(connection)))
            if current:
                found += told_shop(_messages(connection))
    finally:
        engine.dispose()
    return found


def _kind(*, production: bool) -> Finding:
    if production:
        advice = (
            "PostgreSQL by DATABASE_URL lets servers run on several machines; one machine is fine as it is."
        )
        return warning("ledger: kind", "SQLite", advice)
    return fine("ledger: kind", "SQLite")


def _timed(connection: Connection) -> list[float]:
    taken = []
    for _ in range(LOOKS):
        asked = monotonic()
        connection.execute(select(literal(1)))
        taken.append(monotonic() - asked)
    return taken


def _sqlite(connection: Connection) -> dict[str, str]:
    names = {0: "off", 1: "normal", 2: "full", 3: "extra"}
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    return {"journal": str(mode), "synchronous": names.get(int(level), str(level))}


def _postgresql(connection: Connection) -> dict[str, str]:
    told = {
        name: str(connection.execute(text(f"SHOW {name}")).scalar_one())
        for name in ("synchronous_commit", "fsync", "full_page_writes")
    }
    if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        told["recovery"] = "on"
    return told


def _connections(connection: Connection) -> tuple[int, int]:
    used = connection.execute(text("SELECT count(*) FROM pg_stat_activity")).scalar_one()
    return int(used), int(connection.execute(text("SHOW max_connections")).scalar_one())


def _messages(connection: Connection) -> Messages:
    waiting = webhook_deliveries.c.status == "waiting"
    oldest = connection.execute(
        select(func.min(outbox.c.at))
        .join(webhook_deliveries, webhook_deliveries.c.number == outbox.c.number)
        .where(waiting)
    ).scalar()
    return Messages(
        endpoints=_counts(connection, webhook_endpoints),
        deliveries=_counts(connection, webhook_deliveries),
        oldest_ms=0 if oldest is None else max(0, now_ms() - oldest),
    )


def _counts(connection: Connection, table: Any) -> dict[str, int]:
    query = select(table.c.status, func.count()).group_by(table.c.status)
    return {row[0]: row[1] for row in connection.execute(query)}
