"""What the peers have in common: one show's channel in Redis, followed as simply as it can be."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Deliver = Callable[[bytes], None] | Callable[[bytes], Awaitable[None]]


async def follow(redis_url: str, channel: str, deliver: Deliver) -> None:
    """Give everything that is published there to `deliver`, for ever: the body, as the scripts packed it."""
    client = Redis.from_url(redis_url, socket_timeout=None)
    async with client.pubsub() as pubsub:
        await pubsub.ssubscribe(channel)
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is not None and message["type"] == "smessage":
                waiting = deliver(message["data"].partition(b"\n")[2])
                if waiting is not None:
                    await waiting


@asynccontextmanager
async def following(redis_url: str, channel: str, deliver: Deliver) -> AsyncIterator[None]:
    """Follow a channel during the block."""
    task = asyncio.create_task(follow(redis_url, channel, deliver))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def told_to_leave() -> None:
    """Return at SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
