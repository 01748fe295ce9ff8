"""One Chromium for all tests of the pages, windows of its own for each; a complaint of the browser is a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.windows import Windows, browsing
from tests.stage import on_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser

    from tests.server import ServerProcess
    from tests.stage import Stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


@pytest.fixture(scope="session")
def books(server: ServerProcess) -> Iterator[set[str]]:
    """Gather the shows of these tests; at the end one audit looks at all of them."""
    shows: set[str] = set()
    yield shows
    done = server.command("audit", "--json")
    drops = [drop for drop in json.loads(done.stdout)["drops"] if drop["show"] in shows]
    assert drops, f"the audit saw no drop of these tests: {done.stdout}{done.stderr}"
    assert not [drop for drop in drops if drop["differences"]], done.stdout


@pytest_asyncio.fixture(loop_scope="session")
async def stage(server: ServerProcess, books: set[str]) -> AsyncIterator[Stage]:
    """Give a live show, in the loop that the browser lives in."""
    async with on_stage(server) as one:
        books.add(one.show)
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def windows(chromium: Browser, stage: Stage) -> AsyncIterator[Windows]:
    """Give a test its windows; afterwards none of them may have complained of an error or a breach of the policy."""
    all_windows = Windows(chromium, stage)
    yield all_windows
    await all_windows.close()
    assert all_windows.complaints == []
