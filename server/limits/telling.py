"""Telling the store what was let through, and hearing what all processes let through together.

Group commit: per part one call is under way, and what is to be told meanwhile goes into the next one, in order; all of
one turn of the loop leave together. Who stands behind a take does not wait for it.

Bound: beyond `MOST_WAITING` takes per part, and where the store gives no answer, takes are not told: they are counted
in `livedrop_limits_untold_total`, and this process limits by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import Problem
from server.store.answers import ask

if TYPE_CHECKING:
    from server.limits.meter import Meter
    from server.store.scripts import Scripts

MOST_TAKES = 256  # in one call: about half a millisecond of the store's work
MOST_WAITING = 4096  # per part
DIGEST_BYTES = 12  # of a name in the store
PARTS = 16  # that names are spread over, where the store is a cluster

log = structlog.get_logger(__name__)


class Telling:
    """The lines to the store, one for each part; `key` is what names are hashed with.

    The store learns which names are equal, not what they are.
    """

    def __init__(self, scripts: Scripts, key: bytes, *, parts: int = 1) -> None:
        self._scripts = scripts
        self._key = key[:64]
        self._parts = parts
        self._waiting: dict[str, deque[Meter]] = {}  # those whose call is under way, or about to be
        self._tasks: set[asyncio.Task[None]] = set()

    def part_of(self, who: str) -> str:
        """Return the part that counts a name which belongs to no show."""
        return f"limits{hashlib.blake2b(who.encode(), digest_size=2).digest()[0] % self._parts}"

    def tell(self, meter: Meter) -> None:
        """Tell of one take; the meter hears it if the limit is used up."""
        waiting = self._waiting.get(meter.part)
        if waiting is None:
            waiting = self._waiting[meter.part] = deque()
            task = asyncio.create_task(self._serve(meter.part, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(waiting) < MOST_WAITING:
            waiting.append(meter)
        else:
            metrics.LIMITS_UNTOLD.inc()

    async def told(self) -> None:
        """Return once all that was to be told has been, or could not be."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Tell nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiting.clear()

    async def _serve(self, part: str, waiting: deque[Meter]) -> None:
        """Make call after call until nothing is to be told."""
        try:
            while waiting:
                takes = [waiting.popleft() for _ in range(min(len(waiting), MOST_TAKES))]
                await self._step(part, takes)
        finally:
            del self._waiting[part]

    async def _step(self, part: str, takes: list[Meter]) -> None:
        try:
            answer = await ask(
                self._scripts,
                "limit_take",
                {"part": part},
                things=[self._thing(meter) for meter in takes],
                intervals=[meter.limit.interval_us for meter in takes],
                bursts=[meter.limit.burst for meter in takes],
            )
        except Problem:
            metrics.LIMITS_UNTOLD.inc(len(takes))
            return
        except Exception:
            metrics.LIMITS_UNTOLD.inc(len(takes))
            log.exception("limits.failed", part=part, takes=len(takes))
            return
        now = monotonic()
        for meter, wait_ms in zip(takes, answer["waits"], strict=True):
            if wait_ms:
                meter.hear(wait_ms / 1000, now)

    def _thing(self, meter: Meter) -> bytes:
        """Return what stands for a name in the store."""
        name = f"{meter.limit.name}\0{meter.part}\0{meter.who}".encode()
        return hashlib.blake2b(name, digest_size=DIGEST_BYTES, key=self._key).digest()
