"""A server that is told to leave tells everybody when to come back, takes nobody new, and ends with 0."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.client import ClosedError, LiveClient
from server.protocol.codec import Codec
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.problems import assert_problem
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

SPREAD_MS = 5_000
DRAIN_SECONDS = 2
PINS = 120  # times 60 kB: more than the kernels of both ends buffer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server with a short grace time and long patience with slow viewers."""
    process = ServerProcess(tmp_path_factory.mktemp("leaving") / "data")
    process.settings = {
        "LIVEDROP_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "LIVEDROP_VIEWER_BUFFER_BYTES": str(2**26),
        "LIVEDROP_LOG_LENGTH": "300",
    }
    process.start()
    yield process
    assert process.stop() == 0


async def farewell(viewer: LiveClient) -> tuple[int, dict[str, int]]:
    """Wait for the server's close and return its code and the reason's JSON."""
    with pytest.raises(ClosedError) as caught:
        await viewer.until(lambda _each: False)
    return caught.value.code, json.loads(caught.value.reason)


async def test_a_server_that_leaves_says_so(server: ServerProcess) -> None:
    """SIGTERM: viewers get 3001 with a time of their own, /readyz is 503, nobody new is taken, and the exit code is 0.

    One viewer has stopped to read, so the grace time is used to its end; it does not keep the server from leaving.
    Who comes back to the next process with `since` has missed nothing.
    """
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        stage = Stage(server, http)
        await stage.open()
        drop, token = await stage.drop(5), stage.viewer()
        async with (
            stage.watching(token) as first,
            stage.watching(codec=Codec.JSON) as second,
            stage.watching() as third,
            Sluggish(stage) as deaf,
        ):
            await deaf.send({"type": "hello", "token": stage.viewer()})
            held = await first.reserve(drop)
            await pin_big_products(stage, PINS)
            await first.until(lambda each: len(each.offsets) == PINS)
            place = first.place
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            told = await asyncio.gather(*(farewell(viewer) for viewer in (first, second, third)))
            assert [code for code, _reason in told] == [3001] * 3
            assert all(reason["code"] == 3001 for _code, reason in told)
            waits = [reason["retry_after_ms"] for _code, reason in told]
            assert all(0 < wait <= SPREAD_MS for wait in waits)
            assert len(set(waits)) == 3
            assert_problem(await http.get("/readyz"), 503, "unavailable", "This server is leaving.")
            assert (await http.get("/healthz")).status_code == 200
            with pytest.raises(InvalidStatus) as refused:
                async with wire(stage):
                    pass
            assert refused.value.response.status_code == 503
            await wait_for(lambda: server.process.poll() is not None, "the server has left")  # type: ignore[union-attr]  # it runs until here
            assert server.process.poll() == 0, server.log.read_text()
    log = server.log.read_text()
    assert '"event": "drained"' in log
    assert "Traceback" not in log, log
    server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        stage.http = http
        await stage.move(drop, "pause")
        async with stage.watching(token, since=place) as first:
            assert (first.welcome["recovered"], first.welcome["missed"]) == (True, 1)
            await first.event("drop.paused")
            assert first.offsets == [place["offset"] + 1]
            assert first.welcome["reservations"] == [held["reservation"]]
        await stage.audit()
