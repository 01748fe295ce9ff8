"""A server whose way to its store can fail, and a stage of its own for each test."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest_asyncio

from server.errors import Problem
from server.eventlog import stream
from server.store.embedded import Embedded
from server.workers.audit import audit
from tests.faults.proxy import Proxy
from tests.faults.witness import Crowd, crowd
from tests.houses import house_at
from tests.keys import assert_no_leaks
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import pytest

    from server.house import House

LOG_LENGTH = 40  # events that a show keeps
STREAM = 15  # events of an undisturbed stream, before and after
PACE_SECONDS = 0.02  # between the events of a steady stream


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, its store, the relay between them, and rooms of our own that go past the relay."""

    server: ServerProcess
    store: Embedded
    proxy: Proxy
    house: House

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        """Give a live show, whose books must balance afterwards."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=30, verify=NO_TLS) as http:
            stage = Stage(self.server, http)
            await stage.open()
            yield stage
            audited = await audit(self.house.client, self.house.orders, stage.show)
            assert [line for drop in audited for line in drop.differences] == []

    @asynccontextmanager
    async def streaming(self, stage: Stage) -> AsyncIterator[Crowd]:
        """Give a crowd that watches while events are written; at the end everybody must have been told them all."""
        async with crowd(stage) as viewers:
            writing = asyncio.create_task(write_on(self.house, stage.show))
            try:
                yield viewers
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            await self.settle(stage, viewers)
            assert viewers.complaints() == []

    async def settle(self, stage: Stage, viewers: Crowd) -> None:
        """Wait until everybody stands at the top of the log."""
        top = await stream.top(self.house.client, stage.show)
        assert top is not None
        await viewers.settle(top.epoch, top.offset)

    @contextmanager
    def store_stopped(self) -> Iterator[None]:
        """Let the store stand still."""
        with stopped(self.store.pid):
            yield

    @contextmanager
    def server_stopped(self) -> Iterator[None]:
        """Let the server stand still."""
        assert self.server.process is not None
        with stopped(self.server.process.pid):
            yield

    async def goes_on(self, show: str, events: int = STREAM) -> None:
        """Wait until so many more events are written at the stream's steady pace."""
        start = await stream.top(self.house.client, show)
        assert start is not None

        async def written() -> bool:
            top = await stream.top(self.house.client, show)
            return top is not None and (top.epoch != start.epoch or top.offset >= start.offset + events)

        await wait_for(written, f"{events} more events")

    async def pin(self, show: str, times: int) -> None:
        """Write events past the server."""
        for number in range(times):
            await self.house.shows.pin(show, picture(number))

    async def hears(self) -> None:
        """Wait until the server listens and is ready."""
        await wait_for(lambda: bool(self.proxy.subscriptions), "it has subscribed")
        await wait_for(self.ready, "it is ready")

    async def ready(self) -> bool:
        """Whether the server says that it can sell."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=10, verify=NO_TLS) as http:
            return (await http.get("/readyz")).status_code == httpx.codes.OK


@contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """Let a process stand still."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def picture(number: int) -> list[dict[str, Any]]:
    """Return products to pin, others each time."""
    return [
        {"sku": "MUG", "handle": "mug", "title": f"Mug {number}", "unit_price": 1250, "currency": "EUR"}
        | {"description": "", "vendor": "", "options": {}, "images": [], "tags": []}
    ]


async def write_on(house: House, show: str) -> None:
    """Write events at a steady pace until cancelled, however the store does."""
    number = 0
    while True:
        number += 1
        with suppress(Problem):  # whether it was written is unknown then; the log will tell
            await house.shows.pin(show, picture(number))
        await asyncio.sleep(PACE_SECONDS)


@asynccontextmanager
async def a_scene(folder: Path, module: str = "tests.faults.hasty", **settings: str) -> AsyncIterator[Scene]:
    """Give a scene in a folder of its own; its server is quick to find out that it does not hear, or another one."""
    with Embedded.start(folder / "store") as store:
        async with (
            Proxy(store.url) as proxy,
            house_at(store.url, folder / "data", log_length=LOG_LENGTH) as house,
        ):
            server = ServerProcess(folder / "data", module=module)
            server.settings = {"REDIS_URL": proxy.url, "LIVEDROP_LOG_LENGTH": str(LOG_LENGTH), **settings}
            await asyncio.to_thread(server.start)
            try:
                yield Scene(server, store, proxy, house)
                await assert_no_leaks(store.url)
            finally:
                assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the module's scene."""
    async with a_scene(tmp_path_factory.mktemp("faults")) as one:
        yield one
