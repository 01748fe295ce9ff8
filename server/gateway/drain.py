"""Leaving in good order: not ready, no new sockets, viewers told when to come back.

A command whose answer no longer reaches its viewer is repeated by them elsewhere, under the same id.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.clock import monotonic

if TYPE_CHECKING:
    from server.gateway.hub import Hub

SPREAD_MS = 5_000  # viewers come back over this time, each at their own moment
POLL_SECONDS = 0.05

log = structlog.get_logger(__name__)


class Drain:
    """Whether this process is leaving, and the way out."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.leaving = False

    async def drain(self, grace_seconds: float) -> None:
        """Close every viewer with 3001 and return when they are gone, or after the grace time."""
        self.leaving = True
        connections = self._hub.count
        self._hub.dismiss(SPREAD_MS)
        deadline = monotonic() + grace_seconds
        while self._hub.count and monotonic() < deadline:  # noqa: ASYNC110  the deadline bounds it
            await asyncio.sleep(POLL_SECONDS)
        log.info("drained", connections=connections, left=self._hub.count)
