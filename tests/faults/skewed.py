"""A server on a host whose clock is wrong: `SKEW_SECONDS=600 python -m tests.faults.skewed serve …`."""

from __future__ import annotations

import os
import time

from server.cli import main

SKEW_SECONDS = int(os.environ.get("SKEW_SECONDS", "0"))
_right_time, _right_time_ns = time.time, time.time_ns


def wrong_time() -> float:
    """Return Unix seconds by the wrong clock."""
    return _right_time() + SKEW_SECONDS


def wrong_time_ns() -> int:
    """Return Unix nanoseconds by the wrong clock."""
    return _right_time_ns() + SKEW_SECONDS * 10**9


if __name__ == "__main__":
    time.time, time.time_ns = wrong_time, wrong_time_ns
    main()
