"""Deliveries in the ledger: one row for each endpoint and message, from the outbox to delivered or parked.

Each function is one piece of a transaction, the same on SQLite and PostgreSQL. A worker takes deliveries under a lease
in their rows, so no two send the same one at once; if it dies in between, the lease ends and the message is sent again
under the same id. Of one subject (an order, a show) an endpoint gets the messages in their order: a later one waits
while an earlier one is being tried; one that is parked holds up nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, or_, select, update

from server.ledger.tables import outbox, shows
from server.ledger.tables import webhook_deliveries as deliveries
from server.ledger.tables import webhook_endpoints as endpoints
from server.ledger.upsert import upsert
from server.webhooks.schedule import next_try

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection

    from server.webhooks.sending import Result

LEASE_MS = 60_000  # well over a try with its 16 s and the writing down of what came of it
SPREAD_LIMIT = 100  # messages in one transaction: orders are committed in the same one, and wait for it
REPLAY_LIMIT = 1000  # messages in one replay; the answer tells where to go on
KEEP_MS = 30 * 86_400_000  # how long messages can be replayed: far longer than they are tried
FORGET_LIMIT = 500  # messages looked at in one transaction
# A show's host stands in the ledger within a second of its making. Where it never comes, services alone are told.
HOST_WAIT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery that this worker holds the lease of, with its message; `tries` failed before."""

    endpoint: str
    number: int
    id: str
    type: str
    subject: str
    at: int
    data: dict[str, Any]
    tries: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An endpoint and what to send it now, each parcel of another subject."""

    url: str
    secrets: list[list[Any]]
    parcels: list[Parcel]


def waits_to_be_spread(connection: Connection, now: int) -> bool:
    """Whether there are messages that no endpoint has a delivery of yet."""
    return connection.execute(select(exists(_unspread(now)))).scalar_one()


def spread(connection: Connection, now: int) -> int:
    """Give the oldest unspread messages to the endpoints that want them; return how many there were.

    Not by a place in the numbers, because a lower one can be committed later. The rows are locked in their order, so
    that of two workers the second one waits and never gets ahead with a subject's later message.
    """
    query = _unspread(now).order_by(outbox.c.number).limit(SPREAD_LIMIT).with_for_update(of=outbox)
    messages = connection.execute(query).all()
    if not messages:
        return 0
    told = _enabled(connection, {message.host for message in messages})
    rows = [
        _row(endpoint.id, message, now)
        for message in messages
        for endpoint in told
        if wants(endpoint, message.type, message.host)
    ]
    upsert(connection, deliveries, rows, keep=deliveries.columns.keys())
    done = outbox.c.number.in_([message.number for message in messages])
    connection.execute(update(outbox).where(done).values(spread=True))
    return len(messages)


def wants(endpoint: Any, kind: str, host: str | None) -> bool:
    """Whether an endpoint's row is to be told of a message of this type and of a show of this host."""
    return (endpoint.every_show or endpoint.owner == host) and (
        not endpoint.events or kind in endpoint.events
    )


def due(
    connection: Connection, now: int, most: int, *, but: Collection[str], among: Collection[str] | None = None
) -> list[str]:
    """Return up to `most` endpoints, other than `but`, that something is to be sent to now: who waits longest first."""
    query = (
        select(deliveries.c.endpoint_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(
            _ready(now),
            endpoints.c.status == "enabled",
            endpoints.c.quiet_until <= now,
            endpoints.c.id.not_in(but),
            *(() if among is None else [endpoints.c.id.in_(among)]),
        )
        .group_by(deliveries.c.endpoint_id)
        .order_by(func.min(deliveries.c.next_at))
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def claim(connection: Connection, endpoint: str, worker: str, now: int, most: int) -> Claim | None:
    """Take up to `most` deliveries of an endpoint under a lease; None where it is gone, disabled or to be left alone.

    One UPDATE whose condition holds the lease's end: where two workers come at once, the second one finds it moved.
    """
    row = connection.execute(select(endpoints).where(endpoints.c.id == endpoint)).first()
    if row is None or row.status != "enabled" or row.quiet_until > now:
        return None
    ready = (
        select(deliveries.c.number)
        .where(deliveries.c.endpoint_id == endpoint, _ready(now))
        .order_by(deliveries.c.number)
        .limit(most)
    )
    taken = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint,
            deliveries.c.number.in_(ready),
            deliveries.c.status == "waiting",
            deliveries.c.leased_until <= now,
        )
        .values(worker=worker, leased_until=now + LEASE_MS)
        .returning(deliveries.c.number, deliveries.c.attempts)
    )
    tries: dict[int, int] = {found.number: found.attempts for found in taken}
    if not tries:
        return None
    messages = connection.execute(
        select(outbox).where(outbox.c.number.in_(list(tries))).order_by(outbox.c.number)
    )
    return Claim(
        url=row.url,
        secrets=row.secrets,
        parcels=[
            Parcel(
                endpoint,
                each.number,
                each.id,
                each.type,
                each.subject,
                each.at,
                each.data,
                tries[each.number],
            )
            for each in messages
        ],
    )


def record(connection: Connection, parcel: Parcel, worker: str, now: int, result: Result) -> bool:
    """Write down what came of a try; return whether the lease was still this worker's, else nothing is written."""
    mine = (
        (deliveries.c.endpoint_id == parcel.endpoint)
        & (deliveries.c.number == parcel.number)
        & (deliveries.c.worker == worker)
    )
    tries = parcel.tries + 1
    seen = {"attempts": tries, "answer": result.answer, "problem": result.problem, "updated_at": now}
    free = {"worker": None, "leased_until": 0}
    if result.delivered:
        done = update(deliveries).where(mine).values(status="delivered", **seen, **free)
        return connection.execute(done).rowcount == 1
    again = next_try(f"{parcel.endpoint} {parcel.id}", tries, now, result.wish_ms)
    failed = update(deliveries).where(mine, deliveries.c.status == "waiting")
    if again is None:
        return connection.execute(failed.values(status="parked", **seen, **free)).rowcount == 1
    if connection.execute(failed.values(next_at=again, **seen, **free)).rowcount != 1:
        return False
    _hold_back(connection, parcel, again)
    if result.wish_ms:
        until = now + result.wish_ms
        quiet = update(endpoints).where(endpoints.c.id == parcel.endpoint, endpoints.c.quiet_until < until)
        connection.execute(quiet.values(quiet_until=until))
    return True


def park(connection: Connection, endpoint: str, problem: str, now: int) -> None:
    """Park everything that waits for an endpoint: `replay` brings it again."""
    waiting = update(deliveries).where(deliveries.c.endpoint_id == endpoint, deliveries.c.status == "waiting")
    connection.execute(waiting.values(status="parked", problem=problem, updated_at=now))


def replay(connection: Connection, endpoint: str, since: int, now: int) -> tuple[int, int | None]:
    """Send an endpoint all messages since a moment (Unix ms) again, whatever became of them, under their first ids.

    Returns how many, and from when to go on where there were more than `REPLAY_LIMIT`.
    """
    row = connection.execute(select(endpoints).where(endpoints.c.id == endpoint)).one()
    wanted = [outbox.c.spread.is_(True), outbox.c.at >= since]
    if row.events:
        wanted.append(outbox.c.type.in_(row.events))
    if not row.every_show:
        wanted.append(shows.c.host == row.owner)
    query = (
        select(outbox.c.number, outbox.c.subject, outbox.c.at)
        .outerjoin(shows, shows.c.id == outbox.c.show)
        .where(*wanted)
        .order_by(outbox.c.at, outbox.c.number)
        .limit(REPLAY_LIMIT + 1)
    )
    found = connection.execute(query).all()
    rows = [_row(endpoint, message, now) for message in found[:REPLAY_LIMIT]]
    upsert(connection, deliveries, rows, keep=("subject", "worker", "leased_until"))
    return len(rows), found[-1].at if len(found) > REPLAY_LIMIT else None


def newest(connection: Connection, endpoint: str, most: int) -> list[dict[str, Any]]:
    """Return an endpoint's newest deliveries, newest first, as the contract shows them."""
    query = (
        select(deliveries, outbox.c.id, outbox.c.type, outbox.c.at)
        .join(outbox, outbox.c.number == deliveries.c.number)
        .where(deliveries.c.endpoint_id == endpoint)
        .order_by(deliveries.c.number.desc())
        .limit(most)
    )
    return [_view(row) for row in connection.execute(query)]


def counts(connection: Connection) -> dict[str, int]:
    """Return how many deliveries wait and how many are parked, over all endpoints."""
    query = (
        select(deliveries.c.status, func.count())
        .where(deliveries.c.status.in_(["waiting", "parked"]))
        .group_by(deliveries.c.status)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def forget(connection: Connection, now: int) -> int:
    """Remove the oldest messages that are older than `KEEP_MS`, with their deliveries; return how many there were."""
    query = (
        select(outbox.c.number, outbox.c.at, outbox.c.spread).order_by(outbox.c.number).limit(FORGET_LIMIT)
    )
    old = [row.number for row in connection.execute(query) if row.spread and row.at < now - KEEP_MS]
    if old:
        every = select(endpoints.c.id)  # by the key's first part: the numbers alone have no index
        theirs = delete(deliveries).where(deliveries.c.endpoint_id.in_(every), deliveries.c.number.in_(old))
        connection.execute(theirs)
        connection.execute(delete(outbox).where(outbox.c.number.in_(old)))
    return len(old)


def _unspread(now: int) -> Any:
    late = outbox.c.at < now - HOST_WAIT_MS
    return (
        select(outbox.c.number, outbox.c.type, outbox.c.subject, shows.c.host)
        .outerjoin(shows, shows.c.id == outbox.c.show)
        .where(outbox.c.spread.is_(False), or_(shows.c.id.is_not(None), late))
    )


def _enabled(connection: Connection, hosts: set[str | None]) -> list[Any]:
    theirs = or_(endpoints.c.every_show.is_(True), endpoints.c.owner.in_([host for host in hosts if host]))
    query = select(endpoints).where(endpoints.c.status == "enabled", theirs)
    # Held until their deliveries are written: to one that is removed meanwhile none can be.
    return list(connection.execute(query.with_for_update(read=True, key_share=True)))


def _row(endpoint: str, message: Any, now: int) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint,
        "number": message.number,
        "subject": message.subject,
        "status": "waiting",
        "attempts": 0,
        "next_at": now,
        "answer": None,
        "problem": None,
        "worker": None,
        "leased_until": 0,
        "updated_at": now,
    }


def _ready(now: int) -> ColumnElement[bool]:
    """Whether a delivery may be sent now: it is time, nobody does it, and no earlier one of its subject waits."""
    earlier = deliveries.alias()
    before = exists().where(
        earlier.c.endpoint_id == deliveries.c.endpoint_id,
        earlier.c.subject == deliveries.c.subject,
        earlier.c.number < deliveries.c.number,
        earlier.c.status == "waiting",
    )
    return (
        (deliveries.c.status == "waiting")
        & (deliveries.c.next_at <= now)
        & (deliveries.c.leased_until <= now)
        & ~before
    )


def _hold_back(connection: Connection, parcel: Parcel, until: int) -> None:
    """Let what waits behind a delivery come no sooner than its next try: it need not be looked at until then."""
    behind = update(deliveries).where(
        deliveries.c.endpoint_id == parcel.endpoint,
        deliveries.c.subject == parcel.subject,
        deliveries.c.number > parcel.number,
        deliveries.c.status == "waiting",
        deliveries.c.next_at < until,
    )
    connection.execute(behind.values(next_at=until))


def _view(row: Any) -> dict[str, Any]:
    view = {"id": row.id, "type": row.type, "at": row.at, "status": row.status, "attempts": row.attempts}
    told = {"answer": row.answer, "problem": row.problem}
    if row.status == "waiting":
        told["next_at"] = row.next_at
    return {**view, **{name: value for name, value in told.items() if value is not None}}
