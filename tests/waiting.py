"""Waiting for something that will be so, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from inspect import isawaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS = 15.0


def wait_until(predicate: Callable[[], bool], description: str) -> None:
    """Return once the predicate holds; fail with the description after 15 s."""
    deadline = time.monotonic() + SECONDS
    while not predicate():
        assert time.monotonic() < deadline, f"still not so after {SECONDS:.0f} s: {description}"
        time.sleep(0.01)


async def wait_for(
    predicate: Callable[[], Awaitable[bool] | bool], description: str, seconds: float = SECONDS
) -> None:
    """Do the same while the event loop runs on; the predicate may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        holds = predicate()
        if await holds if isawaitable(holds) else holds:
            return
        assert time.monotonic() < deadline, f"still not so after {seconds:.0f} s: {description}"
        await asyncio.sleep(0.01)
