"""The room that wires everything: from settings to a running house, and from there to the ASGI app."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute

from server import metrics
from server.api import ops, pages, receipts
from server.api.failures import exception_handlers
from server.api.headers import SecureHeaders
from server.api.http import endpoint
from server.api.operations import OPERATIONS
from server.api.rooms import Rooms
from server.auth import Tokens
from server.checkout.idempotency import Idempotency
from server.checkout.refunds import Refunds
from server.checkout.saga import Checkout
from server.errors import unavailable
from server.eventlog.live import Live
from server.eventlog.recovery import Joins
from server.gateway.admission import Admission
from server.gateway.dispatch import Dispatch
from server.gateway.door import Gateway
from server.gateway.drain import Drain
from server.gateway.hub import Hub
from server.gateway.overhear import overhearing
from server.gateway.places import Places
from server.gateway.presence import Presence
from server.gateway.reactions import Reactions
from server.gateway.timers import Timers
from server.inventory.awards import Awards
from server.inventory.batch import Terms
from server.inventory.batcher import Batches
from server.inventory.draw_log import Draws
from server.inventory.flush import Flusher
from server.inventory.holds import Holds
from server.inventory.waitlist import Waitlist
from server.ledger.database import Ledger, open_ledger
from server.orders.orders import Orders
from server.orders.refund_book import RefundBook
from server.payments.methods import TABLE, Methods
from server.payments.providers import configured
from server.receipts import Receipts
from server.seal import Seal
from server.settings import Settings
from server.shows.drops import Drops
from server.shows.recordings import Recordings
from server.shows.series import Series
from server.shows.shows import Shows
from server.shows.tap import Taps
from server.store.redis import connect, connect_subscriber, reaching, require_supported
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
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from server.shows.tap import Tap
    from server.store.redis import Redis

RESTART_SECONDS = 1.0
READY_SECONDS = 2.0  # a balancer asks every few seconds and should not wait for our own time-outs

log = structlog.get_logger(__name__)


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
    orders: Orders
    methods: Methods
    checkout: Checkout
    refunds: Refunds
    tokens: Tokens
    receipts: Receipts
    contacts: Seal
    idempotency: Idempotency
    sender: Sender
    webhooks: Webhooks

    async def aclose(self) -> None:
        """Close the connections; queued ledger writes are finished first."""
        await self.batches.aclose()
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
    sender = Sender(reach_of(settings))
    skip_absent = settings.waitlist_skip_absent
    holds = Holds(client, scripts, batches, skip_absent=skip_absent)
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
        ),
        refunds=Refunds(
            scripts, RedisClock(client), orders, RefundBook(ledger), methods, skip_absent=skip_absent
        ),
        tokens=Tokens(settings.secret_key(), settings.issuer),
        receipts=Receipts(settings.secret_key(), settings.issuer),
        contacts=Seal(settings.secret_key(), "livedrop contact 1"),
        idempotency=Idempotency(scripts, Seal(settings.secret_key(), "livedrop answer 1")),
        sender=sender,
        webhooks=Webhooks(
            ledger, Seal(settings.secret_key(), "livedrop webhook 1"), sender, RedisClock(client)
        ),
    )


def create_app(settings: Settings | None = None, *, work: bool = True) -> Starlette:
    """Return the ASGI app: both doors, and, with `work`, the sweeper and the recorder beside them."""
    settings = settings or Settings.load()
    house = build(settings)
    presence, reactions, timers = Presence(house.scripts), Reactions(house.scripts), Timers()
    clock = RedisClock(house.client)
    taps = Taps(Recordings(house.client, house.scripts), clock)
    places = Places(house.waitlist)
    hub = Hub(
        settings=settings,
        joins=Joins(house.scripts),
        presence=presence,
        places=places,
        holds=house.holds,
        hear=house.batches.hear,
    )
    subscriber = connect_subscriber(settings.redis_url)
    ear = Live(house.client, subscriber, hub, clock)
    hub.ear = ear
    taps.people, taps.told = hub.people, _tapping(hub, reactions, house.batches)
    drain = Drain(timers, presence, settings.drain_spread_ms)
    gateway = Gateway(
        tokens=house.tokens,
        shows=house.shows,
        hub=hub,
        dispatch=Dispatch(house.batches, reactions, clock, places, house.receipts.sign),
        drain=drain,
        timers=timers,
        admission=Admission(settings),
        settings=settings,
    )

    async def ready() -> None:
        if drain.leaving:
            raise unavailable("This server is leaving.")
        if not ear.hears:
            raise unavailable("The subscription does not hear its own echo.")
        try:
            async with asyncio.timeout(READY_SECONDS):
                with reaching("asking the store for a sign of life"):
                    await house.client.ping()
                await house.ledger.ping()
        except TimeoutError:
            raise unavailable(
                f"The store or the ledger gave no sign of life in {READY_SECONDS:g} s."
            ) from None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await require_supported(house.client)
        await clock.sync()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(subscriber.aclose)
            stack.push_async_callback(house.aclose)
            stack.push_async_callback(taps.leave)
            jobs = {
                "ear": ear.run,
                "presence": presence.run,
                "places": places.run,
                "reactions": reactions.run,
                "taps": taps.run,
                "timers": timers.run,
            }
            if work:
                jobs |= house.workers()
            tasks = [asyncio.create_task(keep_running(name, job)) for name, job in jobs.items()]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    rooms = Rooms(
        settings=settings,
        tokens=house.tokens,
        shows=house.shows,
        drops=house.drops,
        series=Series(house.client, house.scripts, house.shows),
        holds=house.holds,
        waitlist=house.waitlist,
        draws=Draws(house.client),
        awards=Awards(house.client, settings.provider_seconds * 1000),
        receipts=house.receipts,
        contacts=house.contacts,
        checkout=house.checkout,
        refunds=house.refunds,
        orders=house.orders,
        methods=house.methods,
        idempotency=house.idempotency,
        webhooks=house.webhooks,
        ledger=house.ledger,
        taps=taps,
        ready=ready,
    )
    app = Starlette(
        routes=[
            WebSocketRoute("/v1/shows/{show}/live", gateway),  # first: nothing else is asked for as often
            *(Route(each.path, endpoint(each, rooms), methods=[each.method]) for each in OPERATIONS),
            *receipts.routes(rooms),
            *ops.routes(rooms, OPERATIONS),
            *pages.routes(settings),
        ],
        middleware=[Middleware(SecureHeaders), *_cross_origin(settings)],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
    app.state.drain = drain
    return app


def _changed(flusher: Flusher, batches: Batches) -> Callable[[str, list[str]], None]:
    """Return what hears of stock that this process changed outside of the batches."""

    def changed(show: str, owed: list[str]) -> None:
        flusher.owe(show, owed)
        batches.open(show)

    return changed


def _tapping(hub: Hub, reactions: Reactions, batches: Batches) -> Callable[[Tap | None], None]:
    """Return what lets those who have something to tell know whether anything is recorded."""

    def told(tap: Tap | None) -> None:
        hub.tap = reactions.tap = tap
        batches.tap = None if tap is None else overhearing(tap)

    return told


def create_gateway() -> Starlette:
    """Return the app of a process that leaves deadlines and recording to `livedrop work`."""
    return create_app(work=False)


async def work(settings: Settings) -> None:
    """Run the sweeper and the recorder alone until cancelled."""
    house = build(settings)
    try:
        await require_supported(house.client)
        log.info("work.began")
        async with asyncio.TaskGroup() as tasks:
            for name, job in house.workers().items():
                tasks.create_task(keep_running(name, job))
    finally:
        await house.aclose()


async def keep_running(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Run a job that never ends by itself; should a bug end it, say so and start it again after a pause.

    Without its sweeper a server would go on selling and strand what is not paid: worse than a repeated error.
    """
    while True:
        try:
            await job()
        except Exception:
            metrics.JOBS_DIED.labels(name).inc()
            log.exception("job.died", job=name)
        await asyncio.sleep(RESTART_SECONDS)


def _cross_origin(settings: Settings) -> list[Middleware]:
    if not settings.allowed_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Idempotent-Replayed", "Retry-After"],
        )
    ]
