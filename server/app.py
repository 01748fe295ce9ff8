"""The room that wires the doors: from a house to the ASGI app, and the work that goes on beside it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
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
from server.errors import unavailable
from server.eventlog.live import Live
from server.eventlog.recovery import Joins
from server.gateway.admission import Admission
from server.gateway.dispatch import Dispatch
from server.gateway.door import Gateway
from server.gateway.drain import Drain
from server.gateway.hub import Hub
from server.gateway.lobby import Lobby
from server.gateway.overhear import overhearing
from server.gateway.places import Places
from server.gateway.presence import Presence
from server.gateway.reactions import Reactions
from server.gateway.timers import Timers
from server.house import build
from server.inventory.awards import Awards
from server.inventory.draw_log import Draws
from server.ledger.actions import Actions
from server.settings import Settings
from server.shows.recordings import Recordings
from server.shows.series import Series
from server.shows.tap import Taps
from server.store.redis import connect_subscriber, reaching, require_supported
from server.store.redis_clock import RedisClock
from server.workers.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.auth import Revocation
    from server.house import House
    from server.inventory.batcher import Batches
    from server.shows.tap import Tap

RESTART_SECONDS = 1.0
READY_SECONDS = 2.0  # a balancer asks every few seconds and should not wait for our own time-outs

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None, *, work: bool = True) -> Starlette:
    """Return the ASGI app: both doors, and, with `work`, the sweeper and the recorder beside them."""
    settings = settings or Settings.load()
    house = build(settings)
    lobby = None if house.waiting_room is None else Lobby(house.waiting_room, settings.sockets_per_viewer)
    presence = Presence(house.scripts, keep_ms=settings.turn_seconds * 1000 if lobby is not None else 0)
    reactions, timers = Reactions(house.scripts), Timers()
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
        pace=house.limits.messages,
    )
    watch = Watch(house.client, house.scripts, house.ledger)
    subscriber = connect_subscriber(settings.redis_url)
    ear = Live(house.client, subscriber, hub, clock)
    hub.ear = ear
    actions = Actions(house.ledger)
    house.revocations.tell(_shutting_out(hub, lobby), ear.also)
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
        limits=house.limits,
        settings=settings,
        now_ms=clock.now_ms,
        lobby=lobby,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await require_supported(house.client)
        await clock.sync()
        await watch.look()
        await house.prepare_doors()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(subscriber.aclose)
            stack.push_async_callback(house.aclose)
            stack.push_async_callback(taps.leave)
            stack.push_async_callback(actions.leave)
            if lobby is not None:
                stack.push_async_callback(lobby.aclose)
            jobs = {
                "ear": ear.run,
                "presence": presence.run,
                "places": places.run,
                "reactions": reactions.run,
                "taps": taps.run,
                "timers": timers.run,
                "watch": watch.run,
                "actions": actions.run,
                **house.door_jobs(),
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
        revocations=house.revocations,
        actions=actions,
        now_ms=clock.now_ms,
        limits=house.limits,
        shows=house.shows,
        drops=house.drops,
        series=Series(house.client, house.scripts, house.shows),
        holds=house.holds,
        waitlist=house.waitlist,
        waiting_room=house.waiting_room,
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
        ready=_readiness(house, drain, ear, watch),
    )
    app = Starlette(
        routes=[
            WebSocketRoute("/v1/shows/{show}/live", gateway),  # first: nothing else is asked for as often
            *(Route(each.path, endpoint(each, rooms), methods=[each.method]) for each in OPERATIONS),
            *receipts.routes(rooms),
            *ops.routes(rooms, OPERATIONS),
            *pages.routes(settings),
        ],
        middleware=[Middleware(SecureHeaders, strict=settings.production), *_cross_origin(settings)],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
    app.state.drain = drain
    return app


def _readiness(house: House, drain: Drain, ear: Live, watch: Watch) -> Callable[[], Awaitable[None]]:
    """Return what raises `unavailable`, with the reason, where this process cannot sell."""

    async def ready() -> None:
        if drain.leaving:
            raise unavailable("This server is leaving.")
        if not ear.hears:
            raise unavailable("The subscription does not hear its own echo.")
        if watch.sentence:
            raise unavailable(watch.sentence)
        try:
            async with asyncio.timeout(READY_SECONDS):
                with reaching("asking the store for a sign of life"):
                    await house.client.ping()
                await house.ledger.ping()
        except TimeoutError:
            raise unavailable(
                f"The store or the ledger gave no sign of life in {READY_SECONDS:g} s."
            ) from None

    return ready


def _shutting_out(hub: Hub, lobby: Lobby | None) -> Callable[[Revocation], None]:
    """Return what closes the sockets of whom a revocation is about, in their show or waiting for it."""

    def told(revocation: Revocation) -> None:
        hub.shut_out(revocation)
        if lobby is not None:
            lobby.shut_out(revocation)

    return told


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
