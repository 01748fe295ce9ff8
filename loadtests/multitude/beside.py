"""What goes on beside an act, until it is over: something repeated, and a look at a process's memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.meter import resident_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOOK_SECONDS = 0.1  # between looks at the memory


@dataclass(slots=True)
class Memory:
    """Resident bytes of a process when looking began, and the most since."""

    before: int
    peak: int


@asynccontextmanager
async def repeated(act: Callable[[], Awaitable[None]], every: float) -> AsyncIterator[None]:
    """Do something over and over, with pauses in seconds, until the end of the block; then once more."""
    ended = asyncio.Event()

    async def repeat() -> None:
        while not ended.is_set():
            await act()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), every)
        await act()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        ended.set()
        await task


@asynccontextmanager
async def watched(pid: int) -> AsyncIterator[Memory]:
    """Watch a process's memory until the end of the block."""
    before = resident_bytes(pid)
    memory = Memory(before, before)

    async def look() -> None:
        memory.peak = max(memory.peak, resident_bytes(pid))

    async with repeated(look, LOOK_SECONDS):
        yield memory
