"""What was given up: for each endpoint the messages that are parked, since when, why, and what brings them again.

A parked message waits for a person: nothing tries it again until its endpoint's owner asks for a replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import func, select

from server.ledger.tables import outbox
from server.ledger.tables import webhook_deliveries as deliveries
from server.ledger.tables import webhook_endpoints as endpoints

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Parked:
    """One endpoint's parked messages: how many, and of the oldest its id, type, time (Unix ms) and last failure."""

    endpoint: str
    receiver: str  # without path and query: some keep a secret there
    owner: str  # a service or a host, by name: whose token the replay needs
    enabled: bool
    messages: int
    oldest: str
    type: str
    since_at: int  # a replay from here on has all of them
    problem: str

    @property
    def next(self) -> str:
        """What to do, as a sentence."""
        first = "" if self.enabled else f"POST /v1/webhooks/{self.endpoint}/enable, then "
        ask = f'{first}POST /v1/webhooks/{self.endpoint}/replay with {{"since_at": {self.since_at}}}'
        return f"Repair the receiver, then {ask} and a token of the {self.owner}."


def parked(connection: Connection, show: str | None = None) -> list[Parked]:
    """Return every endpoint that has parked messages, of one show or of all; whose are the oldest comes first."""
    of = deliveries.c.endpoint_id
    oldest = (
        select(
            of,
            deliveries.c.problem,
            outbox.c.id,
            outbox.c.type,
            outbox.c.at,
            func.count().over(partition_by=of).label("messages"),
            func.row_number().over(partition_by=of, order_by=(outbox.c.at, outbox.c.number)).label("place"),
        )
        .join(outbox, outbox.c.number == deliveries.c.number)
        .where(deliveries.c.status == "parked", *(() if show is None else [outbox.c.show == show]))
        .subquery()
    )
    theirs = endpoints.c.url, endpoints.c.owner, endpoints.c.every_show, endpoints.c.status
    query = (
        select(oldest, *theirs)
        .join(endpoints, endpoints.c.id == oldest.c.endpoint_id)
        .where(oldest.c.place == 1)
        .order_by(oldest.c.at, oldest.c.endpoint_id)
    )
    return [
        Parked(
            endpoint=row.endpoint_id,
            receiver=_origin(row.url),
            owner=f"{'service' if row.every_show else 'host'} {row.owner}",
            enabled=row.status == "enabled",
            messages=row.messages,
            oldest=row.id,
            type=row.type,
            since_at=row.at,
            problem=row.problem or "",
        )
        for row in connection.execute(query)
    ]


def _origin(url: str) -> str:
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}"
