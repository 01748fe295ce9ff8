"""The limits of a whole server: what both its doors say beyond them, and what is never limited."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.auth import Role
from server.protocol.codec import Codec
from server.store.keys import key
from server.store.redis import connect as connect_store
from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SETTINGS = {
    "LIVEDROP_FAILED_SIGN_INS": "1",  # a minute, which no machine is too slow for
    "LIVEDROP_JOINS_PER_SECOND": "1",
    "LIVEDROP_MESSAGES_PER_SECOND": "1",
    "LIVEDROP_REQUESTS_PER_SECOND": "1",
    "LIVEDROP_TRUSTED_PROXIES": "127.0.0.1",
}
BURST = 5  # requests of a viewer at once
MESSAGES = 50  # of the 60 that may come at once; told of, they are counted for half a minute
CROWD = 40  # more than come through in the seconds that they take together


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server with narrow limits, which believes who is said to stand before it."""
    with own_server(tmp_path_factory.mktemp("limits"), SETTINGS) as process:
        yield process


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        one = Stage(server, http)
        await one.open()
        yield one


@asynccontextmanager
async def wire_from(stage: Stage, address: str) -> AsyncIterator[Wire]:
    """Connect from an address; say nothing yet."""
    url = f"ws{stage.server.url.removeprefix('http')}/v1/shows/{stage.show}/live"
    headers = {"X-Forwarded-For": address}
    async with connect(url, additional_headers=headers, compression=None, proxy=None) as socket:
        yield Wire(socket, Codec.JSON)


async def farewell(stage: Stage, token: str, address: str = "203.0.113.1") -> tuple[int, int]:
    """Say hello; return the close code and the time to come back at, or zeros where the answer is a welcome."""
    async with wire_from(stage, address) as one:
        await one.send({"type": "hello", "token": token})
        try:
            assert (await one.read())["type"] == "welcome"
        except ConnectionClosed:
            code, reason = await one.closed()
            return code, reason.get("retry_after_ms", 0)
    return 0, 0


async def test_after_a_bad_token_the_address_waits_at_both_doors(stage: Stage) -> None:
    """A bad hello closes with 3500; the next one, however good, with 3013 and when to come back; HTTP says 429."""
    address, host = "203.0.113.9", stage.server.token(Role.HOST, "host")
    assert await farewell(stage, "bad", address) == (3500, 0)
    code, wait_ms = await farewell(stage, host, address)
    assert code == 3013
    assert 0 < wait_ms <= 60_000
    path = f"/v1/shows/{stage.show}"
    headers = {"Authorization": f"Bearer {host}", "X-Forwarded-For": address}
    refused = await stage.http.get(path, headers=headers)
    assert_problem(refused, 429, "rate-limited", "Too many tokens from 203.0.113.9 were not valid")
    assert refused.json()["retry_after_ms"] <= 60_000
    assert await farewell(stage, host, "203.0.113.10") == (0, 0)


async def test_who_comes_too_many_at_once_is_told_when_to_come_back(stage: Stage) -> None:
    """One join a second: of twenty at once some are welcomed, the others closed with 3013; hosts are never."""
    met = await asyncio.gather(*(farewell(stage, stage.viewer()) for _ in range(20)))
    welcomed = [code for code, _ in met].count(0)
    assert 0 < welcomed < 20
    refused = [(code, wait_ms) for code, wait_ms in met if code]
    assert {code for code, _ in refused} == {3013}
    assert all(0 < wait_ms <= 30_000 for _, wait_ms in refused)
    host = stage.server.token(Role.HOST, "host")
    assert await asyncio.gather(*(farewell(stage, host) for _ in range(4))) == [(0, 0)] * 4


async def test_a_viewer_who_asks_too_often(stage: Stage) -> None:
    """A viewer's burst is served, then 429; their host, the operators and the pages have all that they ask for."""
    viewer, path = stage.viewer(), f"/v1/shows/{stage.show}"
    answers = await asyncio.gather(*(stage.call("GET", path, viewer) for _ in range(CROWD)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= BURST
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, 429, "rate-limited", "A viewer may send 1 requests per second")
    assert refused.headers["retry-after"] == "1"
    host = stage.server.token(Role.HOST, "another")
    others = await asyncio.gather(*(stage.call("GET", path, host) for _ in range(CROWD)))
    open_to_all = ("/healthz", "/readyz", "/metrics", f"/watch/{stage.show}")
    others += await asyncio.gather(*(stage.http.get(each) for each in open_to_all for _ in range(5)))
    assert {answer.status_code for answer in others} == {200}
    figures = (await stage.http.get("/metrics")).text
    assert 'livedrop_limited_total{limit="requests"}' in figures


async def test_a_viewers_messages_are_counted_for_all_processes(stage: Stage) -> None:
    """Who says much is told of to the store, on the show's own node, in a key that goes by itself."""
    store, place = connect_store(stage.server.store_url), key("limits", part=stage.show)

    async def counted() -> bool:
        return await store.zcard(place) > 0

    async with wire_from(stage, "203.0.113.2") as one:
        await one.send({"type": "hello", "token": stage.server.token(Role.HOST, "host")})
        assert (await one.read())["type"] == "welcome"
        for _ in range(MESSAGES):
            await one.send({"type": "ping"})
            assert (await one.answer())["type"] == "pong"
        await wait_for(counted, "the messages are counted")
    assert 0 < await store.pttl(place) <= 60_000
    await store.aclose()
