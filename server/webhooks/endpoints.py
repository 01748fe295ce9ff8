"""Webhook endpoints: made, looked at, tested, replayed, given a new secret, and removed by those who own them.

A host hears of their own shows, a service of all. A secret is shown once, when it is made; it is kept sealed for its
endpoint. An endpoint that answered 410 is disabled: what waited is parked, and nothing new is kept for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, func, insert, select, update

from server import ids
from server.errors import Code, Problem
from server.ledger.outbox import TYPES
from server.ledger.tables import webhook_deliveries, webhook_endpoints
from server.protocol.codec import invalid
from server.seal import SealError
from server.webhooks import deliveries, signing
from server.webhooks.sending import Letter, Outcome, Result
from server.webhooks.target import Refused, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection

    from server.ledger.database import Ledger
    from server.seal import Seal
    from server.webhooks.sending import Sender

MOST = 20  # endpoints of one owner; more are refused
MOST_SECRETS = 5  # that sign at once; another rotation is refused until the oldest has ended
OVERLAP_MS = 24 * 3_600_000  # for which a replaced secret goes on signing
LOG_LENGTH = 20  # deliveries that an endpoint's view shows
TESTS_AT_ONCE = 8  # per process; the next one is told to come again
RESOLVE_SECONDS = 3.0  # for a first look at where a new URL leads

Fields = dict[str, Any]


class Clock(Protocol):
    """The time, Unix ms: the store's in production."""

    async def sync(self) -> int:
        """Look at the clock. Raises `unavailable`."""

    def now_ms(self) -> int:
        """Return the time since the last look."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose endpoints: a host by their subject, or a service, which hears of every show."""

    subject: str
    every_show: bool


class Webhooks:
    """The door to endpoints. Raises `not-found` for those of somebody else, as for those that are not."""

    def __init__(self, ledger: Ledger, seal: Seal, sender: Sender, clock: Clock) -> None:
        self._ledger = ledger
        self._seal = seal
        self._sender = sender
        self._clock = clock
        self._tests = asyncio.Semaphore(TESTS_AT_ONCE)

    async def create(self, owner: Owner, url: str, events: list[str]) -> Fields:
        """Make an endpoint and return it with its secret. Raises `invalid-message`, `limit-reached`."""
        _check_events(events)
        await self._check_url(url)
        now = await self._clock.sync()
        endpoint, secret = ids.new_webhook(), signing.new_secret()
        row = {
            "id": endpoint,
            "owner": owner.subject,
            "every_show": owner.every_show,
            "url": url,
            "events": list(dict.fromkeys(events)),
            "secrets": [[self._sealed(endpoint, secret), None]],
            "status": "enabled",
            "reason": None,
            "quiet_until": 0,
            "created_at": now,
            "updated_at": now,
        }
        await self._ledger.write(lambda connection: _insert(connection, owner, row))
        return {**await self.find(owner, endpoint), "secret": secret}

    async def listed(self, owner: Owner) -> list[Fields]:
        """Return an owner's endpoints, oldest first."""
        return await self._ledger.read(lambda connection: _listed(connection, owner))

    async def find(self, owner: Owner, endpoint: str) -> Fields:
        """Return one endpoint with its newest deliveries."""
        return await self._ledger.read(
            lambda connection: _seen(connection, _own(connection, owner, endpoint))
        )

    async def delete(self, owner: Owner, endpoint: str) -> Fields:
        """Remove an endpoint with its deliveries and return it as it was."""

        def removed(connection: Connection) -> Fields:
            # Locked first: who is giving it messages ends before, and nobody begins to any more.
            view = _seen(connection, _own(connection, owner, endpoint, lock=True))
            its = webhook_deliveries.c.endpoint_id == endpoint
            connection.execute(delete(webhook_deliveries).where(its))
            connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint))
            return view

        return await self._ledger.write(removed)

    async def enable(self, owner: Owner, endpoint: str) -> Fields:
        """Let an endpoint be told again from now on; what it missed, `replay` brings."""
        values = {"status": "enabled", "reason": None, "quiet_until": 0}
        return await self._changed(owner, endpoint, lambda _row, _now: values)

    async def rotate(self, owner: Owner, endpoint: str) -> Fields:
        """Return the endpoint with a new secret; those before it sign too until 24 h from now, or their earlier end."""
        secret = signing.new_secret()
        sealed = self._sealed(endpoint, secret)
        changed = await self._changed(
            owner, endpoint, lambda row, now: {"secrets": _rotated(row.secrets, sealed, now)}
        )
        return {**changed, "secret": secret}

    async def replay(self, owner: Owner, endpoint: str, since_at: int) -> tuple[int, int | None]:
        """Send all messages since a moment again; returns how many, and from when to go on where that was not all."""
        now = await self._clock.sync()

        def replayed(connection: Connection) -> tuple[int, int | None]:
            if _own(connection, owner, endpoint).status != "enabled":
                raise Problem(Code.WRONG_STATE, f"The webhook {endpoint} is disabled: enable it first.")
            return deliveries.replay(connection, endpoint, since_at, now)

        return await self._ledger.write(replayed)

    async def test(self, owner: Owner, endpoint: str) -> Result:
        """Send a message of the type `webhook.test` now, once, and return what came of it."""
        row = await self._ledger.read(lambda connection: _own(connection, owner, endpoint))
        if self._tests.locked():
            raise Problem(
                Code.RATE_LIMITED, f"{TESTS_AT_ONCE} tests are under way, no more.", retry_after_ms=5000
            )
        async with self._tests:
            now = await self._clock.sync()
            content = signing.body("webhook.test", now, {"webhook": endpoint})
            return await self.post(
                endpoint, row.url, row.secrets, f"test {endpoint} {ids.secret(8)}", content, now
            )

    async def post(  # noqa: PLR0913, PLR0917  what is sent, where to, and when
        self, endpoint: str, url: str, secrets: list[list[Any]], message: str, content: bytes, now: int
    ) -> Result:
        """Make one try at `now` (Unix ms) with every secret that is valid then; `secrets` as the row has them."""
        try:
            opened = [
                self._seal.open(sealed, endpoint).decode()
                for sealed, until in secrets
                if until is None or until > now
            ]
        except SealError:
            # Of another LIVEDROP_SECRET: nothing may leave unsigned.
            return Result(Outcome.FORBIDDEN, problem="Not sent: its secret cannot be opened; rotate it.")
        return await self._sender.send(url, Letter(message, content, opened), now)

    async def _check_url(self, url: str) -> None:
        """Refuse a URL that leads where nothing may be sent. A name that leads nowhere yet may do so later."""
        try:
            target = parsed(url, self._sender.reach)
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._sender.addresses(target)
        except Refused as refused:
            raise invalid(f"url: {refused}.") from None
        except OSError:  # a time-out is one
            return

    async def _changed(self, owner: Owner, endpoint: str, change: Callable[[Any, int], Fields]) -> Fields:
        now = await self._clock.sync()

        def changed(connection: Connection) -> Fields:
            row = _own(connection, owner, endpoint, lock=True)
            its = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint)
            connection.execute(its.values(**change(row, now), updated_at=now))
            return _seen(connection, _own(connection, owner, endpoint))

        return await self._ledger.write(changed)

    def _sealed(self, endpoint: str, secret: str) -> str:
        return self._seal.seal(secret.encode(), endpoint)


def disable(connection: Connection, endpoint: str, reason: str, now: int) -> None:
    """Disable an endpoint: nothing is sent, what waited is parked, and nothing new is kept for it."""
    its = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint)
    connection.execute(its.values(status="disabled", reason=reason, updated_at=now))
    deliveries.park(connection, endpoint, "The webhook is disabled.", now)


def _check_events(events: list[str]) -> None:
    for event in events:
        if event not in TYPES:
            raise invalid(f"events: {event[:64]!r} is none of {', '.join(TYPES)}.")


def _rotated(secrets: list[list[Any]], sealed: str, now: int) -> list[list[Any]]:
    ends = now + OVERLAP_MS
    valid = [
        [old, ends if until is None else until] for old, until in secrets if until is None or until > now
    ]
    if len(valid) >= MOST_SECRETS:
        raise Problem(
            Code.WRONG_STATE,
            f"{len(valid)} secrets sign at this moment, no more than {MOST_SECRETS} may.",
            retry_after_ms=min(until for _old, until in valid) - now,
        )
    return [[sealed, None], *valid]


def _insert(connection: Connection, owner: Owner, row: Fields) -> None:
    count = select(func.count()).select_from(webhook_endpoints).where(_of(owner))
    made = connection.execute(count).scalar_one()
    if made >= MOST:
        raise Problem(Code.LIMIT_REACHED, f"There are {made} webhooks of yours, no more than {MOST} may be.")
    connection.execute(insert(webhook_endpoints).values(row))


def _listed(connection: Connection, owner: Owner) -> list[Fields]:
    query = select(webhook_endpoints).where(_of(owner))
    rows = connection.execute(query.order_by(webhook_endpoints.c.created_at, webhook_endpoints.c.id)).all()
    return [_seen(connection, row) for row in rows]


def _of(owner: Owner) -> ColumnElement[bool]:
    """Whose endpoints: a host and a service of the same name are two."""
    return (webhook_endpoints.c.owner == owner.subject) & (
        webhook_endpoints.c.every_show.is_(owner.every_show)
    )


def _own(connection: Connection, owner: Owner, endpoint: str, *, lock: bool = False) -> Any:
    query = select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint, _of(owner))
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise Problem(Code.NOT_FOUND, f"There is no webhook {endpoint[:64]!r}.")
    return row


def _seen(connection: Connection, row: Any) -> Fields:
    view = {
        "id": row.id,
        "url": row.url,
        "events": row.events or list(TYPES),
        "status": row.status,
        "created_at": row.created_at,
        "deliveries": deliveries.newest(connection, row.id, LOG_LENGTH),
    }
    return view if row.reason is None else {**view, "reason": row.reason}
