"""One cluster for all tests of this folder, and a client of it for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store.redis import connect
from tests.store.cluster.nodes import three_nodes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.store.redis import Redis
    from tests.store.cluster.nodes import Nodes


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with three_nodes(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def client(nodes: Nodes) -> AsyncIterator[Redis]:
    client = connect(nodes.url)
    yield client
    await client.aclose()
