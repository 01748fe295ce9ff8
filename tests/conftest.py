"""What all tests of the running product start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give one server for all tests that only need a show of their own on it."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data")
    process.settings = {"LIVEDROP_LOG_LENGTH": "200", "LIVEDROP_PROVIDER_SECONDS": "20"}
    process.start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show; after the test its books must balance."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        yield one
        await one.audit()
