"""What all tests of the running product start from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from server.store.embedded import Embedded
from server.store.place import Place
from tests.houses import house_at
from tests.keys import assert_no_leaks
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.app import House


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give one server for all tests that only need a show of their own on it."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data")
    process.settings = {"LIVEDROP_LOG_LENGTH": "200", "LIVEDROP_PROVIDER_SECONDS": "20"}
    process.start()
    yield process
    url = Place(process.data.absolute() / "valkey").url()
    assert url is not None
    asyncio.run(assert_no_leaks(url))
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show; after the test its books must balance."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        yield one
        await one.audit()


@pytest.fixture(scope="session")
def private_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give one Valkey for all tests that work on its data without a server; each makes a show of its own."""
    with Embedded.start(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
async def house(private_valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    """Give the rooms wired in this process, with an empty ledger."""
    async with house_at(private_valkey.url, tmp_path) as one:
        yield one
