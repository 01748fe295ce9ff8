"""Time as this process sees it. Deadlines never come from here: they come from the Redis clock, inside scripts."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return this host's Unix time in milliseconds: for tokens and log lines, never for a deadline of stock."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Return seconds on a clock that never jumps: for measuring and for waiting."""
    return time.monotonic()
