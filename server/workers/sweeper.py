"""The clock's hand: lets lapsed reservations and lost viewers go, moves drops, resumes orders, retires ended shows.

Any number of processes may run it: every step is one script, so two of them never do a thing twice. A show that
fails is tried again in the next round and holds up nobody else's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import Problem
from server.store import reads
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.checkout.refunds import Refunds
    from server.checkout.saga import Checkout
    from server.inventory.holds import Holds
    from server.shows.drops import Drops
    from server.shows.series import Series
    from server.shows.shows import Shows
    from server.store.redis import Redis
    from server.store.redis_clock import RedisClock
    from server.workers.recorder import Recorder

RESUME_SECONDS = 1.0
REFUND_SECONDS = 2.0
RETIRE_SECONDS = 10.0
RECOUNT_SECONDS = 5.0
SAMPLE_SECONDS = 10.0
AT_ONCE = 8  # shows looked after at the same time: one whose provider hangs delays no other
MOST_ROUNDS = (
    20  # looks for due moves of one show in a turn: a long queue is served in steps, and others wait too
)

log = structlog.get_logger(__name__)


class Sweeper:
    """Looks after all active shows every `pause_seconds`."""

    def __init__(  # noqa: PLR0913  each is a room of its own
        self,
        *,
        client: Redis,
        clock: RedisClock,
        shows: Shows,
        drops: Drops,
        series: Series,
        holds: Holds,
        checkout: Checkout,
        refunds: Refunds,
        recorder: Recorder,
        pause_seconds: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._shows = shows
        self._drops = drops
        self._series = series
        self._holds = holds
        self._checkout = checkout
        self._refunds = refunds
        self._recorder = recorder
        self._pause = pause_seconds

    async def run(self) -> None:
        """Go round for ever: time and stock in one task, orders and refunds (which wait for providers) in others."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_for_ever(self._pause, self._due, self._tick))
            tasks.create_task(_for_ever(RESUME_SECONDS, self._unfinished, self._checkout.resume))
            tasks.create_task(_for_ever(REFUND_SECONDS, self._refunds.waiting, self._refunds.resume))
            tasks.create_task(_for_ever(RETIRE_SECONDS, self._shows.active, self._retire))
            tasks.create_task(_for_ever(RECOUNT_SECONDS, self._shows.active, self._shows.recount))
            tasks.create_task(_for_ever(SAMPLE_SECONDS, self._shows.active, self._series.sample))

    async def _retire(self, show: str) -> None:
        """Retire an ended show once the ledger has all of its log; ended first, so that nothing comes after."""
        if await self._shows.is_over(show) and await self._recorder.record(show):
            await self._shows.retire(show)

    async def _due(self) -> list[str]:
        """Return the shows with a move or a lapse whose time has come: many idle shows cost one round trip."""
        return await self._come("due", "expiry")

    async def _unfinished(self) -> list[str]:
        """Return the shows with an order that nobody works on any more."""
        return await self._come("pending")

    async def _come(self, *indexes: str) -> list[str]:
        """Return the active shows in one of whose indexes of times a time has come."""
        shows = await self._shows.active()
        now = await self._clock.sync()
        names = [key(index, show=show) for show in shows for index in indexes]
        times = await reads.earliest(self._client, names, "looking for what is due")
        come = {name for name, time in zip(names, times, strict=True) if time is not None and time <= now}
        return [show for show in shows if not come.isdisjoint(key(index, show=show) for index in indexes)]

    async def _tick(self, show: str) -> None:
        """Let go what has lapsed, then make the moves that are due: no move holds units up."""
        more = True
        while more:
            swept = await self._holds.sweep(show)
            if swept.lapsed:
                metrics.LAPSED.inc(swept.lapsed)
                metrics.SWEEP_LAG_SECONDS.observe(swept.lag_ms / 1000)
            more = swept.more
        for _ in range(MOST_ROUNDS):
            if not await self._drops.due(show, await self._clock.sync()):
                break


async def _for_ever(
    pause: float, shows: Callable[[], Awaitable[list[str]]], work: Callable[[str], Awaitable[object]]
) -> None:
    """Work on the given shows (or refunds), then pause, for ever."""
    while True:
        began = monotonic()
        try:
            gate = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(_guarded(gate, show, work) for show in await shows()))
        except Problem as problem:
            log.warning("sweeper.unavailable", reason=problem.detail)
        await asyncio.sleep(max(0.0, pause - (monotonic() - began)))


async def _guarded(gate: asyncio.Semaphore, show: str, work: Callable[[str], Awaitable[object]]) -> None:
    try:
        async with gate:
            await work(show)
    except Problem as problem:
        log.warning("sweeper.show_waits", show=show, reason=problem.detail)
    except Exception:
        # A bug that one show brings out must not strand the units of all others.
        log.exception("sweeper.show_failed", show=show)
