"""The Redis clock as this process knows it: for what it tells others about the time, never for a deadline.

Deadlines are compared inside scripts. Between two looks the process' own monotonic clock carries the time on, so a
host whose wall clock is wrong, or jumps, tells the right time all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.clock import monotonic
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis


class RedisClock:
    """Unix milliseconds of the Redis server, right to about a round trip after each `sync`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._ahead_ms = 0.0

    async def sync(self) -> int:
        """Look at the clock; return its time. Raises `unavailable`."""
        asked = monotonic()
        with reaching("asking the store for the time"):
            seconds, micros = await self._client.time()
        answered = monotonic()
        told = int(seconds) * 1000 + int(micros) / 1000
        self._ahead_ms = told - (asked + answered) / 2 * 1000
        return int(told)

    def now_ms(self) -> int:
        """Return the time now; `sync` must have been called once."""
        return int(monotonic() * 1000 + self._ahead_ms)
