"""Reservations through one Redis: as the server makes them, one script call each in a pipeline, and plain DECR.

`ours` is the server's own way (`Holds`), in this process, with 50 callers at once: from the call to its outcome.
The pipelined peer keeps Redis busy with the same script, one call per reservation, packed and parsed in C. The
plain peer counts down one key with 50 connections that each wait for their answer: no holds, no limits, no log.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import hiredis

from loadtests.bench.ground import REDIS, WAIT_SECONDS, BenchError
from loadtests.bench.meter import Way
from server.inventory.holds import Held
from server.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

CALLERS = 50
BATCH = 64  # commands per write of the pipelined peer
BATCHES_UNDER_WAY = 4
CALLER = "the caller"

numbers = itertools.count()
pack: Any = hiredis.pack_command  # its stub knows only tuples of one word


def packed(*words: str) -> bytes:
    """Return a command as Redis reads it."""
    return bytes(pack(words))


async def measure(ground: Ground, sizes: Sizes) -> list[Way]:
    """Return the three ways: ours, pipelined, plain; their blocks take turns."""
    show = await ground.show()
    drop = await ground.drop(show)
    processes = {REDIS: ground.redis_pid, CALLER: os.getpid()}
    ours, pipelined, plain = (
        Way(name, processes)
        for name in (
            f"ours, {CALLERS} callers at once",
            "one EVALSHA each, pipelined",
            f"plain DECR, {CALLERS} connections, unpipelined",
        )
    )
    await ground.house.client.script_load(ground.house.scripts["hold_reserve"].source)
    seconds = sizes.seconds
    for number in range(1, sizes.blocks + 1):
        ground.say(f"round {number} of {sizes.blocks}: reservations through one Redis")
        with ours.measured() as block:
            block.units = await _ours(ground, show, drop, seconds)
        with pipelined.measured() as block:
            block.units = await _pipelined(ground, show, drop, seconds)
        with plain.measured() as block:
            block.units = await _plain(ground, seconds)
    return [ours, pipelined, plain]


async def _ours(ground: Ground, show: str, drop: str, seconds: float) -> int:
    deadline = time.perf_counter() + seconds

    async def caller() -> int:
        count = 0
        while time.perf_counter() < deadline:
            outcome = await ground.house.holds.reserve(show, f"v{next(numbers)}", "op", drop, 1)
            if not isinstance(outcome, Held):
                raise BenchError(f"A reservation was refused: {outcome.detail}")
            count += 1
        return count

    return sum(await asyncio.gather(*(caller() for _ in range(CALLERS))))


async def _pipelined(ground: Ground, show: str, drop: str, seconds: float) -> int:
    script = ground.house.scripts["hold_reserve"]
    places = [keys.key(name, show=show) for name in script.keys]
    slots = [slot.name for slot in script.args]

    def batch() -> bytes:
        return b"".join(command() for _ in range(BATCH))

    def command() -> bytes:
        number = next(numbers)
        values = {
            "reservation": f"rs_{show[3:]}_{number:020}",
            "viewer": f"v{number}",
            "drop": drop,
            "quantity": "1",
        }
        words = (
            "EVALSHA",
            script.sha,
            str(len(places)),
            *places,
            *(values[name] for name in slots),
        )
        return packed(*words)

    reader, writer = await asyncio.open_connection(*_address(ground))
    replies, sent, received = hiredis.Reader(), 0, 0
    deadline = time.perf_counter() + seconds
    while True:
        while sent - received < BATCH * BATCHES_UNDER_WAY and time.perf_counter() < deadline:
            writer.write(batch())
            sent += BATCH
        if received == sent:
            break
        async with asyncio.timeout(WAIT_SECONDS):
            data = await reader.read(1 << 16)
        if not data:
            raise BenchError("Redis closed the connection.")
        replies.feed(data)
        while (reply := replies.gets()) is not False:
            if not isinstance(reply, bytes) or b"held" not in reply:
                raise BenchError(f"A reservation was refused: {reply!r}")
            received += 1
    writer.close()
    await writer.wait_closed()
    return received


async def _plain(ground: Ground, seconds: float) -> int:
    deadline = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = await asyncio.gather(
        *(
            loop.create_connection(
                lambda: Countdown(lambda: time.perf_counter() < deadline), *_address(ground)
            )
            for _ in range(CALLERS)
        )
    )
    countdowns = [protocol for _, protocol in made]
    async with asyncio.timeout(seconds + WAIT_SECONDS):
        await asyncio.gather(*(each.done for each in countdowns))
    return sum(each.count for each in countdowns)


class Countdown(asyncio.Protocol):
    """A connection that sends DECR, waits for the answer, and sends the next, for as long as it may."""

    COMMAND = packed("DECR", "bench:plain")

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


def _address(ground: Ground) -> tuple[str, int]:
    parts = urlsplit(ground.redis_url)
    return parts.hostname or "", parts.port or 0
