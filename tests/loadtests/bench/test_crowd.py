"""The crowd: a process of many viewers that reads, counts and checks, against the websockets library's server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, broadcast, serve

from loadtests.bench.crowd import Crowd, crowd
from loadtests.bench.ground import BenchError
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

VIEWERS = 20

Connections = set[ServerConnection]


@pytest.fixture(name="viewers", scope="module")
def _viewers() -> Iterator[Crowd]:
    with TemporaryDirectory() as folder, crowd(Path(folder)) as one:  # a socket's path must be short
        yield one


@asynccontextmanager
async def serving(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve on a free port and give the address."""
    async with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


async def test_everybody_has_seen_an_event_when_it_is_told(viewers: Crowd) -> None:
    """`told` returns when the last viewer has a message with the mark; others and pings do not count as one."""
    connections: Connections = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    async with serving(handle) as address:
        group = await viewers.open(address, [None] * VIEWERS, mark=b"drop.")
        broadcast(connections, b"a number")
        pongs = [await connection.ping() for connection in connections]
        async with asyncio.timeout(5):
            await asyncio.gather(*pongs)
        told = asyncio.ensure_future(group.told())
        *others, last = connections
        broadcast(others, b"drop.opened")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(told)
        await last.send(b"drop.opened")
        await told
        counted = await group.counters()
        await group.drop()
    assert (counted["messages"], counted["seen"], counted["ready"]) == (2 * VIEWERS, VIEWERS, VIEWERS)


async def test_a_dropped_group_is_gone(viewers: Crowd) -> None:
    """After `drop` the server has none of its connections any more; the crowd's next group is not affected."""
    connections: Connections = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    async with serving(handle) as address:
        group = await viewers.open(address, [None] * VIEWERS)
        await group.drop()
        await wait_for(lambda: not connections, "all to be gone")
        again = await viewers.open(address, [None] * 2, mark=b"drop.")
        broadcast(connections, b"drop.opened")
        await again.told()
        await again.drop()


async def test_a_pump_counts_answers(viewers: Crowd) -> None:
    """Each viewer has one message under way: what the server was sent is what was answered, and nothing else is."""
    connections: Connections = set()
    received = 0

    async def echo(connection: ServerConnection) -> None:
        nonlocal received
        connections.add(connection)
        async for message in connection:
            received += 1
            broadcast(connections, b"a number")
            await connection.send(message)

    async with serving(echo) as address:
        group = await viewers.open(address, [None] * VIEWERS)
        answers, seconds = await group.pump(b"a ping", b"ping", 0.2)
        assert answers == received >= VIEWERS
        assert seconds >= 0.2
        await group.drop()


@pytest.mark.parametrize(("offsets", "broken"), [([6, 7, 8], 0), ([6, 8], 1), ([6, 7, 7, 8], 1)])
async def test_who_comes_back_is_checked(viewers: Crowd, offsets: list[int], broken: int) -> None:
    """An event that is lost or comes twice is counted for each viewer who has it so."""

    async def handle(connection: ServerConnection) -> None:
        assert await connection.recv() == b"hello"
        await connection.send(msgpack.packb({"type": "welcome", "recovered": True}))
        for offset in offsets:
            await connection.send(msgpack.packb({"type": "drop.paused", "offset": offset}))
        await connection.wait_closed()

    async with serving(handle) as address:
        group = await viewers.open(address, [b"hello"] * VIEWERS, since=5)
        counted = await group.caught_up(8)
        await group.drop()
    assert (counted["recovered"], counted["broken"]) == (VIEWERS, broken * VIEWERS)


async def test_who_is_sent_away_is_an_error(viewers: Crowd) -> None:
    """A crowd whose viewers are not let in says so at once, instead of waiting for them."""

    async def handle(connection: ServerConnection) -> None:
        await connection.close()

    async with serving(handle) as address:
        with pytest.raises(BenchError, match="sent away"):
            await viewers.open(address, [b"hello"])
