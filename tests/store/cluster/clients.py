"""Clients of the cluster besides the usual one, and what they must be told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import RedisCluster

from server.errors import Code, Problem
from server.store.redis import connect, reaching
from tests.store.cluster.nodes import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.redis import Redis
    from tests.store.cluster.nodes import Nodes

BRIEF_SECONDS = 0.3


@asynccontextmanager
async def hasty(nodes: Nodes, seconds: float = BRIEF_SECONDS) -> AsyncIterator[Redis]:
    """Give a client that does not wait long for an answer."""
    client = connect(f"{nodes.url}&socket_timeout={seconds}")
    await client.exists("anything")
    yield client
    await client.aclose()


@asynccontextmanager
async def library_client(nodes: Nodes, **settings: Any) -> AsyncIterator[RedisCluster]:
    """Give redis-py's own client of the cluster, for negative controls."""
    client = RedisCluster(host=HOST, port=nodes.primaries[0].port, **settings)
    yield client
    client._initialize = False  # else it would leave connections open that it has given up
    await client.aclose()


async def refused(client: Redis, *command: str | int) -> Problem:
    """Run a command that must end in a Problem, and return that."""
    with pytest.raises(Problem) as caught, reaching("a test"):
        await client.execute_command(*command)  # type: ignore[no-untyped-call]  # the library's own gap
    assert caught.value.code is Code.UNAVAILABLE
    return caught.value
