"""The door's limits on a real server: who is one too many is told when to come back, and places become free again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stage import Stage

MOST = 4
RATE = 5  # new connections per second, and at once
SECONDS = 20.0


@pytest.fixture(scope="module", params=["process", "address", "rate"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Give a server with one narrow limit."""
    settings = {
        "process": {"LIVEDROP_CONNECTIONS": str(MOST)},
        "address": {"LIVEDROP_CONNECTIONS_PER_ADDRESS": str(MOST)},
        "rate": {"LIVEDROP_ACCEPTS_PER_SECOND": str(RATE)},
    }[request.param]
    with own_server(tmp_path_factory.mktemp(request.param), settings) as process:
        yield process


@pytest.fixture
async def crowd() -> AsyncIterator[AsyncExitStack]:
    """Give a stack for the connections of a test."""
    async with AsyncExitStack() as stack:
        yield stack


def narrow(stage: Stage) -> str:
    """Return the name of the server's one limit."""
    (name,) = stage.server.settings
    return name


async def refused(stage: Stage, crowd: AsyncExitStack) -> httpx.Response:
    """Let viewers come until one is refused; return the refusal."""
    for _ in range(2 * RATE + MOST):
        try:
            viewer = await crowd.enter_async_context(wire(stage, stage.viewer()))
        except InvalidStatus as caught:
            told = caught.response
            headers: dict[str, Any] = dict(told.headers.raw_items())
            return httpx.Response(told.status_code, headers=headers, content=bytes(told.body or b""))
        await viewer.lives()
    raise AssertionError("everybody was let in")


async def test_who_comes_too_many_is_told_when_to_come_back(stage: Stage, crowd: AsyncExitStack) -> None:
    """A problem in place of the handshake, with a time: 503 for a full process, 429 for an address or a storm."""
    answer = await refused(stage, crowd)
    expected: dict[str, tuple[int, str, str]] = {
        "LIVEDROP_CONNECTIONS": (503, "unavailable", f"This process has {MOST} connections open, its limit."),
        "LIVEDROP_CONNECTIONS_PER_ADDRESS": (429, "rate-limited", f"127.0.0.1 has {MOST} connections open"),
        "LIVEDROP_ACCEPTS_PER_SECOND": (429, "rate-limited", f"This process takes {RATE} new connections"),
    }
    assert_problem(answer, *expected[narrow(stage)])
    wait_ms = answer.json()["retry_after_ms"]
    assert 0 < wait_ms <= 30_000
    assert int(answer.headers["retry-after"]) * 1000 >= wait_ms
    async with httpx.AsyncClient(base_url=stage.server.url) as http:
        text = (await http.get("/metrics")).text
    assert f'livedrop_handshakes_total{{outcome="{answer.json()["code"]}"}}' in text


async def test_a_place_that_is_left_is_taken_again(stage: Stage, crowd: AsyncExitStack) -> None:
    """Refused handshakes cost no place, and closed connections give theirs back."""
    for _ in range(3):
        await refused(stage, crowd)
    await crowd.aclose()

    async def let_in() -> bool:
        try:
            async with wire(stage, stage.viewer()) as viewer:
                await viewer.lives()
        except InvalidStatus:
            return False
        return True

    await wait_for(let_in, "somebody is let in again", SECONDS)
