"""Plain DECR: one key counted down by 50 connections that each wait for their answer. No holds, no limits, no log.

The C client that comes with Valkey and Redis does it; where that is not installed, connections of this process do,
which are slower: then the peer's name says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from loadtests.bench.driven import driven, redis_benchmark
from loadtests.bench.ground import REDIS, WAIT_SECONDS, BenchError
from loadtests.bench.meter import Way
from loadtests.bench.pipe import address, for_seconds, packed
from loadtests.bench.taking import processes
from loadtests.bench.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.bench.ground import Ground
    from loadtests.bench.turns import Block

CONNECTIONS = 50
COUNTER = "bench:plain"


def turn(ground: Ground) -> Turn:
    """Return the peer's turn, with the fastest client there is here."""
    program = redis_benchmark()
    if program is None:
        name = f"plain DECR, {CONNECTIONS} connections in Python"
        return Turn(Way(name, processes(ground)), _in_python(ground))
    name = f"plain DECR, {CONNECTIONS} connections in C"
    return Turn(Way(name, {REDIS: ground.redis_pid}), _in_c(ground, program))


def _in_c(ground: Ground, program: str) -> Block:
    host, port = address(ground.redis_url)
    options = ["-h", host, "-p", str(port), "-c", str(CONNECTIONS), "-l", "-q"]

    async def count() -> int:
        return -int(await ground.house.client.get(COUNTER) or 0)

    async def block(way: Way, seconds: float) -> None:
        await driven(way, [program, *options, "DECR", COUNTER], ground.folder, count, seconds)

    return block


def _in_python(ground: Ground) -> Block:
    async def block(way: Way, seconds: float) -> None:
        loop, more = asyncio.get_running_loop(), for_seconds(seconds)
        with way.measured() as block:
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Countdown(more), *address(ground.redis_url))
                    for _ in range(CONNECTIONS)
                )
            )
            countdowns = [protocol for _, protocol in made]
            async with asyncio.timeout(seconds + WAIT_SECONDS):
                await asyncio.gather(*(each.done for each in countdowns))
            block.units = sum(each.count for each in countdowns)

    return block


class Countdown(asyncio.Protocol):
    """A connection that sends DECR, waits for the answer, and sends the next, for as long as it may."""

    COMMAND = packed("DECR", COUNTER)

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self._may_go_on = may_go_on
        self.count = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.COMMAND)

    def data_received(self, data: bytes) -> None:
        """Count the answer and go on: `:-1`, one line, always whole because nothing else is under way."""
        self.count += 1
        if data.startswith(b":") and self._may_go_on():
            self.transport.write(self.COMMAND)
            return
        self.transport.close()
        if not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Know that it is over."""
        if not self.done.done():
            self.done.set_exception(BenchError(f"Redis closed the connection: {error}"))
