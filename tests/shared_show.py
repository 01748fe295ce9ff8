"""Fixtures for folders whose tests share a show: one live show per module, audited at its end, a stage per test.

The server is the one of all tests, or the module's own where it has a fixture of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire import shared_show, stage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.server import ServerProcess
    from tests.stage import Stage


@pytest.fixture(scope="module")
def show(server: ServerProcess) -> Iterator[str]:
    """Give the module's show."""
    yield from shared_show(server)


@pytest.fixture
async def stage(server: ServerProcess, show: str) -> AsyncIterator[Stage]:
    """Give a stage on the module's show."""
    async for each in stage_of(server, show):
        yield each
