"""Brings the outbox to the webhook endpoints: at least once, in order per order or show, each endpoint for itself.

Any number of processes may run it: a delivery is sent by who holds the lease in its row, and is sent again, under the
same id, where the sender died before it wrote down the outcome. Endpoints that answer and those that do not are served
from two lots of places, so those that hang take nothing from the others.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from server import ids, metrics, tracing
from server.clock import monotonic
from server.errors import Problem
from server.webhooks import deliveries, endpoints, signing
from server.webhooks.sending import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server.ledger.database import Ledger
    from server.webhooks.deliveries import Claim, Parcel
    from server.webhooks.endpoints import Clock, Webhooks
    from server.webhooks.sending import Result

PAUSE_SECONDS = 0.5  # between looks, where no delivery ends
AT_ONCE = 8  # deliveries to one endpoint that answers, each of another subject; to one that does not: one
PLACES = 48  # endpoints served at the same time
PLACES_IN_TROUBLE = 16  # and those besides that hung, or could not be reached, the last time
SLOW_MS = 5000  # an answer that took longer is as bad as none
REMEMBERED = 10_000  # endpoints in trouble; of more the oldest are taken for good ones again
KEEP_SECONDS = 10.0  # between counts, and looks for what is old

log = structlog.get_logger(__name__)


class Deliveries:
    """Delivers what is due; `clock` is the store's, or a test's own."""

    def __init__(self, ledger: Ledger, webhooks: Webhooks, clock: Clock) -> None:
        self._ledger = ledger
        self._webhooks = webhooks
        self._clock = clock
        self._worker = ids.new_gateway()
        self._served: set[str] = set()
        self._in_trouble: dict[str, None] = {}
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Deliver for ever."""
        kept = 0.0
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._ended.clear()
                try:
                    await self.step(tasks)
                    if monotonic() - kept > KEEP_SECONDS:
                        await self.keep()
                        kept = monotonic()
                except Problem as problem:
                    log.warning("webhooks.unavailable", reason=problem.detail)
                with suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_SECONDS):
                        await self._ended.wait()

    async def step(self, tasks: asyncio.TaskGroup) -> int:
        """Spread what is new, and start to serve endpoints that something is due for; return how many."""
        now = await self._clock.sync()
        while await self._ledger.read(lambda connection: deliveries.waits_to_be_spread(connection, now)):
            if not await self._ledger.write(lambda connection: deliveries.spread(connection, now)):
                break
        found = [*await self._due(now, in_trouble=False), *await self._due(now, in_trouble=True)]
        for endpoint in found:
            self._served.add(endpoint)
            tasks.create_task(self._serve(endpoint))
        return len(found)

    async def keep(self) -> None:
        """Count what waits, and remove what is old."""
        counts = await self._ledger.read(deliveries.counts)
        metrics.WEBHOOKS_WAITING.set(counts.get("waiting", 0))
        metrics.WEBHOOKS_PARKED.set(counts.get("parked", 0))
        now = self._clock.now_ms()
        await self._ledger.write(lambda connection: deliveries.forget(connection, now))

    async def _due(self, now: int, *, in_trouble: bool) -> list[str]:
        served, troubled = set(self._served), set(self._in_trouble)
        if in_trouble:
            most, but, among = PLACES_IN_TROUBLE - len(served & troubled), served, troubled
        else:
            most, but, among = PLACES - len(served - troubled), served | troubled, None
        if most <= 0 or among == set():
            return []
        return await self._ledger.read(
            lambda connection: deliveries.due(connection, now, most, but=but, among=among)
        )

    async def _serve(self, endpoint: str) -> None:
        """Send one endpoint what is due for it; then others have their turn."""
        try:
            now, most = self._clock.now_ms(), 1 if endpoint in self._in_trouble else AT_ONCE
            claim = await self._ledger.write(
                lambda connection: deliveries.claim(connection, endpoint, self._worker, now, most)
            )
            if claim is not None:
                await asyncio.gather(*(self._guarded(claim, parcel) for parcel in claim.parcels))
        except Problem as problem:
            log.warning("webhooks.endpoint_waits", endpoint=endpoint, reason=problem.detail)
        except Exception:
            # One endpoint's bad row must not keep all others from their messages.
            log.exception("webhooks.endpoint_failed", endpoint=endpoint)
        finally:
            self._served.discard(endpoint)
            self._ended.set()

    async def _guarded(self, claim: Claim, parcel: Parcel) -> None:
        """Deliver; where that cannot be written down the lease ends, and the message is sent again."""
        try:
            with tracing.order(f"webhook {parcel.type}", parcel.subject):
                await self._deliver(claim, parcel)
        except Problem as problem:
            log.warning("webhooks.not_recorded", endpoint=parcel.endpoint, reason=problem.detail)
        except Exception:
            log.exception("webhooks.delivery_failed", endpoint=parcel.endpoint, message=parcel.id)

    async def _deliver(self, claim: Claim, parcel: Parcel) -> None:
        content = signing.body(parcel.type, parcel.at, parcel.data)
        result = await self._webhooks.post(
            parcel.endpoint, claim.url, claim.secrets, parcel.id, content, self._clock.now_ms()
        )
        self._remember(parcel.endpoint, result)
        tracing.note(outcome=result.outcome.value, tries=parcel.tries + 1)
        now = self._clock.now_ms()
        if result.outcome is Outcome.GONE:
            log.warning("webhooks.disabled", endpoint=parcel.endpoint, message=parcel.id)

        def written(connection: Connection) -> bool:
            recorded = deliveries.record(connection, parcel, self._worker, now, result)
            if result.outcome is Outcome.GONE:
                reason = f"It answered {result.answer} to {parcel.id}: it wants no more."
                endpoints.disable(connection, parcel.endpoint, reason, now)
            return recorded

        recorded = await self._ledger.write(written)
        if recorded and result.delivered:
            metrics.WEBHOOK_LAG_SECONDS.observe(max(0, now - parcel.at) / 1000)

    def _remember(self, endpoint: str, result: Result) -> None:
        """Tell an endpoint that hangs from one that answers, whatever it says."""
        self._in_trouble.pop(endpoint, None)
        if result.outcome in {Outcome.TIMEOUT, Outcome.UNREACHABLE} or result.took_ms > SLOW_MS:
            self._in_trouble[endpoint] = None
            while len(self._in_trouble) > REMEMBERED:
                self._in_trouble.pop(next(iter(self._in_trouble)))
