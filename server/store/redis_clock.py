"""The Redis clock as this process knows it: for what it tells others about the time, never for a deadline.

Deadlines are compared inside scripts. Between two looks the process' own monotonic clock carries the time on, so a
host whose wall clock is wrong, or jumps, tells the right time all the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from server.clock import monotonic
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis


DRIFT = 100e-6  # of the time, by which two clocks part at most: twice what quartz is sold with


class RedisClock:
    """Unix milliseconds of the Redis server, right to half of the best round trip there was, plus the drift since then.

    A look that took long says little: a busy process reads its answer late and would believe in a clock that is behind
    by half of that. It counts only where it contradicts what was known: then a clock was set, or Redis is another one.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._ahead_ms = 0.0
        self._error_ms = math.inf  # at most, when it was last looked at
        self._looked_at = 0.0

    async def sync(self) -> int:
        """Look at the clock; return its time. Raises `unavailable`."""
        asked = monotonic()
        with reaching("asking the store for the time"):
            seconds, micros = await self._client.time()
        answered = monotonic()
        told = int(seconds) * 1000 + int(micros) / 1000
        self._learn(told - (asked + answered) / 2 * 1000, (answered - asked) / 2 * 1000, answered)
        return int(told)

    def now_ms(self) -> int:
        """Return the time now; `sync` must have been called once."""
        return int(monotonic() * 1000 + self._ahead_ms)

    def _learn(self, ahead_ms: float, error_ms: float, now: float) -> None:
        """Take in a look unless what is known is more exact and agrees with it."""
        known_ms = self._error_ms + (now - self._looked_at) * 1000 * DRIFT
        if error_ms <= known_ms or abs(ahead_ms - self._ahead_ms) > error_ms + known_ms:
            self._ahead_ms, self._error_ms, self._looked_at = ahead_ms, error_ms, now
