"""One script call for each reservation by asyncio's redis-py: 50 connections, and whoever finds none free waits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from loadtests.bench import lean
from loadtests.bench.taking import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtests.bench.ground import Ground
    from loadtests.bench.taking import Ask, Asking

CONNECTIONS = 50
NAME = "one EVALSHA each, redis-py"


@asynccontextmanager
async def client(ground: Ground) -> AsyncIterator[Asking]:
    """Give what reserves so, for the block."""
    pool = BlockingConnectionPool.from_url(ground.redis_url, max_connections=CONNECTIONS)
    redis = Redis.from_pool(pool)

    async def asking(_ground: Ground, show: str, _drop: str) -> Ask:
        await lean.offer(redis, show)

        async def ask() -> int:
            try:
                return lean.held(await redis.evalsha(*lean.words(show)))
            except RedisConnectionError as error:
                raise BusyError(f"No connection came free: {error}") from error

        return ask

    try:
        yield asking
    finally:
        await redis.aclose()
