"""The rooms below the doors, wired to one Redis and one ledger: what a server, a worker and a tool each build on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.auth import Tokens
from server.checkout.idempotency import Idempotency
from server.checkout.refunds import Refunds
from server.checkout.saga import Checkout
from server.checkout.turns import Turns
from server.inventory.batch import Terms
from server.inventory.batcher import Batches
from server.inventory.flush import Flusher
from server.inventory.holds import Holds
from server.inventory.waitlist import Waitlist
from server.keyring import Keyring
from server.ledger.database import Ledger, open_ledger
from server.limits.limits import Limits
from server.limits.telling import PARTS, Telling
from server.orders.orders import Orders
from server.orders.refund_book import RefundBook
from server.payments.methods import TABLE, Methods
from server.payments.providers import configured
from server.receipts import Receipts
from server.seal import Seal
from server.shows.drops import Drops
from server.shows.revocations import Revocations
from server.shows.series import Series
from server.shows.shows import Shows
from server.shows.waiting_room import WaitingRoom
from server.store.cluster import Cluster
from server.store.redis import connect
from server.store.redis_clock import RedisClock
from server.store.scripts import Scripts
from server.webhooks.endpoints import Webhooks
from server.webhooks.sending import Sender
from server.webhooks.target import reach_of
from server.workers.rebuild import Rebuild
from server.workers.recorder import Recorder
from server.workers.sweeper import Sweeper
from server.workers.webhooks import Deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from server.settings import Settings
    from server.store.redis import Redis


@dataclass(frozen=True, slots=True)
class House:
    """The rooms below the doors, wired to one Redis and one ledger. Close it with `aclose`."""

    settings: Settings
    client: Redis
    scripts: Scripts
    ledger: Ledger
    shows: Shows
    drops: Drops
    batches: Batches
    holds: Holds
    waitlist: Waitlist
    waiting_room: WaitingRoom | None
    orders: Orders
    methods: Methods
    checkout: Checkout
    refunds: Refunds
    tokens: Tokens
    revocations: Revocations
    limits: Limits
    receipts: Receipts
    contacts: Seal
    idempotency: Idempotency
    sender: Sender
    webhooks: Webhooks

    async def aclose(self) -> None:
        """Close the connections; queued ledger writes are finished first."""
        await self.batches.aclose()
        await self.limits.aclose()
        await self.client.aclose()
        for provider in self.methods.providers():
            await provider.aclose()
        await self.sender.aclose()
        await self.ledger.close()

    def sweeper(self) -> Sweeper:
        """Return the worker that watches deadlines."""
        return Sweeper(
            client=self.client,
            clock=RedisClock(self.client),
            shows=self.shows,
            drops=self.drops,
            series=Series(self.client, self.scripts, self.shows),
            holds=self.holds,
            checkout=self.checkout,
            refunds=self.refunds,
            recorder=self.recorder(),
            pause_seconds=self.settings.sweep_ms / 1000,
        )

    def recorder(self) -> Recorder:
        """Return the worker that copies the logs into the ledger."""
        return Recorder(self.client, self.ledger, self.shows, self.drops)

    def rebuild(self) -> Rebuild:
        """Return what makes shows whole after their store was lost."""
        return Rebuild(self.client, self.ledger, self.shows, self.drops, self.recorder())

    async def prepare_doors(self) -> None:
        """Learn whose tokens count, before anybody is let in. Raises `unavailable`, KeyringError."""
        await self.revocations.read()
        if self.tokens.keyring is not None:
            await self.tokens.keyring.load()

    def door_jobs(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        """Return what keeps that up to date in a process with doors, by name."""
        jobs = {"revocations": self.revocations.run}
        return jobs if self.tokens.keyring is None else {**jobs, "keyring": self.tokens.keyring.run}

    def workers(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        """Return what works while nobody waits, by name: with the server, or alone under `livedrop work`."""
        deliveries = Deliveries(self.ledger, self.webhooks, RedisClock(self.client))
        return {
            "sweeper": self.sweeper().run,
            "recorder": self.recorder().run,
            "webhooks": deliveries.run,
        }


def build(settings: Settings) -> House:
    """Wire the rooms; connects nowhere yet. `settings.redis_url` must be set."""
    client = connect(settings.redis_url)
    scripts = Scripts(client)
    ledger = open_ledger(settings.database_url or settings.data)
    orders = Orders(ledger)
    methods = Methods(configured(settings), TABLE)
    flusher = Flusher(scripts)
    batches = Batches(
        scripts,
        flusher,
        Terms(
            claim_ms=settings.provider_seconds * 1000,
            most_waiting=settings.waitlist_places,
            skip_absent=settings.waitlist_skip_absent,
            addresses=settings.units_per_address > 0,
            address_key=settings.secret_key().encode()[:64],
        ),
        operations=settings.batch_operations,
        waiting=settings.batch_waiting,
        gate=settings.sold_out_gate,
    )
    scripts.changed = _changed(flusher, batches)
    parts = PARTS if isinstance(client, Cluster) else 1
    sender = Sender(reach_of(settings))
    keyring = Keyring(settings.jwks, loopback=not settings.production) if settings.jwks else None
    tokens = Tokens(settings.secret_key(), settings.issuer, keyring)
    skip_absent = settings.waitlist_skip_absent
    holds = Holds(client, scripts, batches, skip_absent=skip_absent)
    turns = Turns()
    return House(
        settings=settings,
        client=client,
        scripts=scripts,
        ledger=ledger,
        shows=Shows(
            client,
            scripts,
            settings.log_length,
            keep_ms=settings.keep_hours * 3_600_000,
            skip_absent=skip_absent,
        ),
        drops=Drops(client, scripts, skip_absent=skip_absent),
        batches=batches,
        holds=holds,
        waitlist=Waitlist(client, batches),
        waiting_room=WaitingRoom(client, scripts, settings) if settings.show_capacity else None,
        orders=orders,
        methods=methods,
        checkout=Checkout(
            client,
            scripts,
            holds,
            orders,
            methods,
            provider_seconds=settings.provider_seconds,
            action_seconds=settings.action_seconds,
            skip_absent=skip_absent,
            turns=turns,
        ),
        refunds=Refunds(
            scripts, RedisClock(client), orders, RefundBook(ledger), methods, skip_absent=skip_absent
        ),
        tokens=tokens,
        revocations=Revocations(client, scripts, tokens.revoked),
        limits=Limits(settings, Telling(scripts, settings.secret_key().encode(), parts=parts)),
        receipts=Receipts(settings.secret_key(), settings.issuer),
        contacts=Seal(settings.secret_key(), "livedrop contact 1"),
        idempotency=Idempotency(scripts, Seal(settings.secret_key(), "livedrop answer 1"), turns),
        sender=sender,
        webhooks=Webhooks(
            ledger, Seal(settings.secret_key(), "livedrop webhook 1"), sender, RedisClock(client)
        ),
    )


def _changed(flusher: Flusher, batches: Batches) -> Callable[[str, list[str]], None]:
    """Return what hears of stock that this process changed outside of the batches."""

    def changed(show: str, owed: list[str]) -> None:
        flusher.owe(show, owed)
        batches.open(show)

    return changed
