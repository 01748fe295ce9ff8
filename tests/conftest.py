"""What all tests of the running product start from."""

from __future__ import annotations

import asyncio
import gc
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.houses import house_at
from tests.keys import assert_no_leaks
from tests.outside import stores
from tests.outside.stores import store
from tests.promises.outcomes import add_option, gather
from tests.server import own_server
from tests.stage import on_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.house import House
    from server.store.embedded import Embedded
    from tests.server import ServerProcess
    from tests.stage import Stage


TESTS = Path(__file__).parent
SLOW = frozenset({"browser", "chaos", "faults", "flows", "house", "loadtests"})

# What is imported and collected stays for good: to look through it again and again costs each worker seconds.
gc.disable()

# The suite makes thousands of clients that never speak TLS, and each would read all certificate authorities: 20 ms.
pytest.MonkeyPatch().setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know `--fault-table`."""
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Gather outcomes for the table of promises, where it is asked for."""
    gather(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, shuffled as they are: at the end all workers have something."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in SLOW)


def pytest_collection_finish() -> None:
    """Look for garbage from now on, in what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give one server for all tests that only need a show of their own on it."""
    settings = {"LIVEDROP_LOG_LENGTH": "200", "LIVEDROP_PROVIDER_SECONDS": "20"}
    with own_server(tmp_path_factory.mktemp("server"), settings) as process:
        yield process
        asyncio.run(assert_no_leaks(process.store_url))


@pytest.fixture(scope="session", autouse=True)
def outside_template() -> Iterator[None]:
    """Leave nothing in a PostgreSQL outside of the suite."""
    yield
    stores.drop_all()


@pytest.fixture(autouse=True)
def outside_ledgers() -> Iterator[None]:
    """Remove the ledgers that a test has made there."""
    before = stores.ledgers()
    yield
    stores.drop(stores.ledgers() - before)


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show; after the test its books must balance."""
    async with on_stage(server) as one:
        yield one
        await one.audit()


@pytest.fixture(scope="session")
def private_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give one Valkey for all tests that work on its data without a server; each makes a show of its own."""
    with store(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
async def house(private_valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    """Give the rooms wired in this process, with an empty ledger."""
    async with house_at(private_valkey.url, tmp_path) as one:
        yield one
