"""What the tests of the store start from: a server of their own and clients that are closed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store.embedded import Embedded
from server.store.redis import connect
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from redis.asyncio import Redis


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Embedded]:
    with Embedded.start(tmp_path / "data") as server:
        yield server


@pytest.fixture
async def client(valkey: Embedded) -> AsyncIterator[Redis]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
async def proxy(valkey: Embedded) -> AsyncIterator[Proxy]:
    async with Proxy(valkey.url) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy) -> AsyncIterator[Redis]:
    client = connect(f"{proxy.url}&socket_timeout=0.5")
    await client.ping()
    yield client
    await client.aclose()
