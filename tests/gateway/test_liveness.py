"""Who has gone without a word is found out; who gives any sign of life, and be it one kind only, stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from websockets.frames import Opcode

from server.gateway import timers
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.gateway.test_limits import figure
from tests.server import ServerProcess, own_server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage import Stage

PERIOD_SECONDS = 0.96  # of `brisk`, between two looks at a connection
MOST_SECONDS = 40.0  # that a dead peer may stay, of the server as it is
STAY_PERIODS = 4
CLOSED = 'livedrop_closed_total{code="3012"}'
PINS_AT_ONCE = 10
PINS = 150  # times 60 kB: more than the kernels of both ends buffer
BUFFER = 2**24  # more than the clogged one falls behind; above the low mark it is, an eighth of this


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that looks after its connections every second."""
    settings = {"LIVEDROP_VIEWER_BUFFER_BYTES": str(BUFFER)}
    with own_server(tmp_path_factory.mktemp("brisk"), settings, module="tests.gateway.brisk") as process:
        yield process
    assert "Traceback" not in process.log.read_text()


async def join(stage: Stage, peer: Sluggish) -> None:
    """Say hello and read the welcome."""
    await peer.send({"type": "hello", "token": stage.viewer()})
    while not peer.frames:
        await peer.read()


async def gone(stage: Stage, connections: float) -> None:
    """Wait until the server has no more connections than that."""

    async def fewer() -> bool:
        return await figure(stage, "livedrop_connections") <= connections

    await wait_for(fewer, f"{connections:.0f} connections are left", 3 * PERIOD_SECONDS + 5)


def test_three_periods_are_less_than_promised() -> None:
    """Silent since just after a look, not heard at the next, not heard after its ping: gone within 40 s."""
    assert 3 * timers.PERIOD_SECONDS + 2 * timers.TICK_SECONDS <= MOST_SECONDS


async def test_who_vanishes_is_let_go_and_told_why(stage: Stage) -> None:
    """No word and no pong. Should the peer come to life, in its line wait a ping, the close with 3012, and the end."""
    connections, closed = await figure(stage, "livedrop_connections"), await figure(stage, CLOSED)
    async with Sluggish(stage) as silent:
        await join(stage, silent)
        await gone(stage, connections)
        assert await figure(stage, CLOSED) == closed + 1
        code, reason = await silent.closed()
        assert code == reason["code"] == 3012
        assert reason["retry_after_ms"] >= 0
        assert [frame.opcode for frame in silent.frames].count(Opcode.PING) == 1
        assert not await silent.read()


async def test_who_vanishes_with_a_full_line_is_let_go(stage: Stage) -> None:
    """No close frame can leave any more: the connection is ended all the same, and the others miss nothing."""
    connections = await figure(stage, "livedrop_connections")
    async with Sluggish(stage) as clogged, stage.watching() as other:
        await join(stage, clogged)
        for _ in range(PINS // PINS_AT_ONCE):
            await pin_big_products(stage, PINS_AT_ONCE)
            await clogged.send({"type": "react", "kind": "heart", "count": 1})
        assert await figure(stage, "livedrop_connections") == connections + 2
        await gone(stage, connections + 1)
        await other.until(lambda each: len(each.offsets) == PINS)
        assert other.offsets == list(range(other.offsets[0], other.offsets[0] + PINS))
        assert (await other.request({"type": "ping"}))["type"] == "pong"


async def test_any_sign_of_life_is_enough(stage: Stage) -> None:
    """Who sends and never answers a ping is not even pinged; who only answers pings stays as well."""
    pings = await figure(stage, "livedrop_ping_seconds_count")
    async with Sluggish(stage) as talker, stage.watching() as listener:
        await join(stage, talker)
        for _ in range(4 * STAY_PERIODS):
            await talker.send({"type": "react", "kind": "heart", "count": 1})
            await asyncio.sleep(PERIOD_SECONDS / 4)
        assert await figure(stage, "livedrop_ping_seconds_count") >= pings + 1
        assert (await listener.request({"type": "ping"}))["type"] == "pong"
        await talker.send({"type": "ping", "id": "last"})
        while b"last" not in talker.frames[-1].data:
            assert await talker.read()
        assert Opcode.PING not in [frame.opcode for frame in talker.frames]


async def test_who_does_not_answer_a_close_is_hung_up_on(stage: Stage) -> None:
    """The server has closed with a code; a peer that leaves it at that keeps no connection."""
    connections = await figure(stage, "livedrop_connections")
    async with Sluggish(stage) as peer:
        await join(stage, peer)
        for _ in range(5):
            await peer.send({"type": "nonsense"})
        assert (await peer.closed())[0] == 3501
        async with asyncio.timeout(2 * PERIOD_SECONDS):  # sooner than who vanished is found out
            assert not await peer.read()
        await gone(stage, connections)
