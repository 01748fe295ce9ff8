"""Endpoints, messages and workers on a ledger, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from server.clock import now_ms
from server.ledger.outbox import Message, tell
from server.ledger.tables import shows, webhook_deliveries
from server.seal import Seal
from server.webhooks.endpoints import Owner, Webhooks
from server.webhooks.sending import Sender
from server.webhooks.target import Reach
from server.workers.webhooks import Deliveries
from tests.server import SECRET

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server.ledger.database import Ledger

SERVICE = Owner("shop", every_show=True)
HOST = Owner("ann", every_show=False)


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = now_ms()

    async def sync(self) -> int:
        return self.now

    def now_ms(self) -> int:
        return self.now

    def move(self, *, seconds: float = 0, minutes: float = 0) -> None:
        self.now += int((seconds + 60 * minutes) * 1000)


@dataclass(slots=True)
class Scene:
    """One ledger with two hosts' shows; `told` are the ids of all messages, by subject."""

    ledger: Ledger
    sender: Sender
    clock: Hand = field(default_factory=Hand)
    told: dict[str, list[str]] = field(default_factory=dict)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        seal = Seal(SECRET, "livedrop webhook 1")
        self.webhooks = Webhooks(self.ledger, seal, self.sender, self.clock)

    async def open(self) -> None:
        """Write down whose the shows are."""
        rows = [
            {
                "id": show,
                "host": host,
                "title": "A test",
                "currency": "EUR",
                "status": "live",
                "terms": {},
                "created_at": 1,
                "updated_at": 1,
                "offset": 1,
            }
            for show, host in (("sh_ann", "ann"), ("sh_bob", "bob"))
        ]
        await self.ledger.write(lambda connection: connection.execute(insert(shows), rows))

    async def under_way(self) -> int:
        """Return how many deliveries some worker holds the lease of."""
        held = select(func.count()).where(webhook_deliveries.c.worker.is_not(None))
        return await self.ledger.read(lambda connection: connection.execute(held).scalar_one())

    def everything(self) -> list[str]:
        """Return the ids of all messages."""
        return [each for told in self.told.values() for each in told]

    def worker(self, ledger: Ledger | None = None) -> Deliveries:
        """Return another worker, as another process would have one."""
        return Deliveries(ledger or self.ledger, self.webhooks, self.clock)

    async def tell(self, subject: str, kind: str = "order.paid", show: str = "sh_ann") -> str:
        """Write a message about a subject; return its id."""
        mine = self.told.setdefault(subject, [])
        message = Message(
            id=f"{subject} {len(mine)}",
            type=kind,
            show=show,
            subject=subject,
            data={"id": subject, "note": "Grüße"},
            at=self.clock.now,
        )
        await self.ledger.write(lambda connection: tell(connection, message))
        mine.append(message.id)
        return message.id

    async def endpoint(self, url: str, *events: str, owner: Owner = SERVICE) -> dict[str, Any]:
        """Make an endpoint and return it with its secret."""
        return await self.webhooks.create(owner, url, list(events))

    async def states(self, endpoint: str) -> dict[str, int]:
        """Return how many deliveries of an endpoint are in which state."""

        def counted(connection: Connection) -> list[str]:
            theirs = webhook_deliveries.c.endpoint_id == endpoint
            return list(connection.execute(select(webhook_deliveries.c.status).where(theirs)).scalars())

        found = await self.ledger.read(counted)
        return {state: found.count(state) for state in set(found)}


async def settle(*workers: Deliveries) -> None:
    """Let workers do all that is due at this moment of their clock."""
    while True:
        async with asyncio.TaskGroup() as tasks:
            started = [await worker.step(tasks) for worker in workers]
        if not any(started):
            return


def out_of_order(scene: Scene, ids: list[str]) -> list[str]:
    """Return the subjects whose messages did not come in the order in which they were told, each once."""
    return [subject for subject, told in scene.told.items() if [each for each in ids if each in told] != told]


async def answer_from(scene: Scene, endpoint: str) -> list[dict[str, Any]]:
    """Return an endpoint's log of deliveries, newest first, as its owner sees it."""
    log: list[dict[str, Any]] = (await scene.webhooks.find(SERVICE, endpoint))["deliveries"]
    return log


def local() -> Sender:
    """Return a sender that may reach this machine."""
    return Sender(Reach.LOOPBACK)
