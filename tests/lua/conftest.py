"""One private server for all scripts; every test has a show of its own on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store.redis import connect
from server.store.scripts import Scripts
from tests.lua.scene import Scene
from tests.outside.stores import store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.store.embedded import Embedded
    from server.store.redis import Redis


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with store(tmp_path_factory.mktemp("lua")) as server:
        yield server


@pytest.fixture
async def client(valkey: Embedded) -> AsyncIterator[Redis]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
async def scene(client: Redis) -> AsyncIterator[Scene]:
    """Give a show id on which nothing was done yet; after the test its books must balance."""
    one = Scene(client, Scripts(client))
    yield one
    await one.audit()
    await one.clear()
