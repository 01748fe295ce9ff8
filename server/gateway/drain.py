"""Leaving in good order: not ready, no new sockets, commands under way answered, viewers told when to come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.clock import monotonic
from server.errors import CLOSE_LEAVING
from server.gateway.viewer import Viewer

if TYPE_CHECKING:
    from server.gateway.presence import Presence
    from server.gateway.timers import Timers

POLL_SECONDS = 0.05
YIELD_EVERY = 500  # farewells per turn of the loop

log = structlog.get_logger(__name__)


class Drain:
    """Whether this process is leaving, and the way out."""

    def __init__(self, timers: Timers, presence: Presence, spread_ms: int) -> None:
        self._timers = timers
        self._presence = presence
        self._spread_ms = spread_ms
        self.leaving = False

    async def drain(self, grace_seconds: float) -> None:
        """Close every viewer with 3001 and return when they are gone, or after the grace time and half of it again.

        Each is told a time of its own to come back, spread evenly over the setting.
        """
        self.leaving = True
        viewers = [socket for socket in self._timers.everybody() if isinstance(socket, Viewer)]
        for number, viewer in enumerate(viewers, start=1):
            viewer.farewell(self._spread_ms * number // len(viewers))
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        deadline = monotonic() + grace_seconds
        while self._timers.count and monotonic() < deadline:  # noqa: ASYNC110  the deadline bounds it
            await asyncio.sleep(POLL_SECONDS)
        for viewer in viewers:  # whose command has no answer yet: its id is safe to repeat
            viewer.close(CLOSE_LEAVING, "server is leaving", self._spread_ms)
        await self._presence.leave(grace_seconds / 2)
        log.info("drained", connections=len(viewers), left=self._timers.count)
