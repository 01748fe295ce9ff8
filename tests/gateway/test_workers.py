"""`livedrop serve --workers 2`: two processes, one show. What one of them does, the viewers of both see."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from server.protocol.codec import Codec
from tests.gateway.test_leaving import farewell
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.client import LiveClient

MOST_VIEWERS = 40


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server of two processes."""
    process = ServerProcess(tmp_path_factory.mktemp("workers") / "data", options=("--workers", "2"))
    process.start()
    yield process
    assert process.stop() == 0


async def connections(server: ServerProcess) -> set[int]:
    """Return how many sockets a process has, of both as far as sixteen fresh connections meet them."""
    found = set()
    for _ in range(16):
        async with httpx.AsyncClient(base_url=server.url) as http:
            counted = re.search(
                r"^livedrop_connections (\d+)", (await http.get("/metrics")).text, re.MULTILINE
            )
            assert counted
            found.add(int(counted[1]))
    return found


async def test_two_processes_are_one_show(server: ServerProcess) -> None:
    """Events, live numbers and private messages cross from one process to the other, and SIGTERM ends both in order."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=30))
        stage = Stage(server, http)
        await stage.open()
        token = stage.viewer()
        viewers: list[LiveClient] = []

        async def spread() -> bool:
            codec = list(Codec)[len(viewers) % 2]
            mine = token if len(viewers) < 8 else stage.viewer()
            viewers.append(await stack.enter_async_context(stage.watching(mine, codec=codec)))
            assert len(viewers) <= MOST_VIEWERS, "all went to one process"
            counted = await connections(server) if len(viewers) >= 8 else set()
            return any(0 < count < len(viewers) for count in counted)

        await wait_for(spread, "both processes have viewers", seconds=40)
        start = max(viewer.place["offset"] for viewer in viewers)
        drop = await stage.drop(MOST_VIEWERS, hold_seconds=1)
        # Fresh connections land on either process; each viewer must see all of it.
        for verb in ("pause", "resume", "pause", "resume"):
            async with httpx.AsyncClient(base_url=server.url) as stage.http:
                await stage.move(drop, verb)
        stage.http = http
        taken = await asyncio.gather(*(viewer.reserve(drop, operation="same") for viewer in viewers[8:]))
        mine = await viewers[0].reserve(drop, operation="mine")
        kinds = [answer["type"] for answer in (*taken, mine)]
        assert kinds == ["reservation"] * len(kinds)
        reservation = mine["reservation"]["id"]
        for viewer in viewers[:8]:
            await viewer.until(lambda each: each.reservations.get(reservation, {}).get("state") == "expired")
        for viewer in viewers:
            await viewer.until(lambda each: stage.numbers(each.stock[drop]) == (MOST_VIEWERS, 0, 0))
            assert viewer.offsets == list(range(start + 1, start + 7))
        assert all(reservation not in viewer.reservations for viewer in viewers[8:])
        await stage.audit()
        leaving = [asyncio.create_task(farewell(viewer)) for viewer in viewers]
        assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()
        assert {code for code, _reason in await asyncio.gather(*leaving)} == {3001}
