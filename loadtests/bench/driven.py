"""Clients written in C: one works for as long as it is let, and what it did is counted where it did it."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING

from loadtests.bench.ground import POLL_SECONDS, WAIT_SECONDS, BenchError
from loadtests.stagehand import clean_environment, log_tail, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from loadtests.bench.meter import Way

REDIS_BENCHMARKS = ("valkey-benchmark", "redis-benchmark")


def redis_benchmark() -> str | None:
    """Return the path of the C client of Valkey or Redis, or None where neither is installed."""
    return next(filter(None, map(shutil.which, REDIS_BENCHMARKS)), None)


async def driven(
    way: Way, command: Sequence[str], folder: Path, count: Callable[[], Awaitable[int]], seconds: float
) -> None:
    """Let a program work, and measure so many seconds of it as a block. Raises BenchError where it does nothing.

    `count` returns how many units are done so far, whoever did them.
    """
    log = folder / "driven.log"
    before = await count()
    with running(list(command), clean_environment(), folder, log) as process:
        deadline = time.monotonic() + WAIT_SECONDS
        while await count() == before:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{command[0]} does nothing:\n{log_tail(log)}")
            await asyncio.sleep(POLL_SECONDS)
        before = await count()
        with way.measured() as block:
            await asyncio.sleep(seconds)
            block.units = await count() - before
        if process.poll() is not None:
            raise BenchError(f"{command[0]} ended in the middle:\n{log_tail(log)}")
