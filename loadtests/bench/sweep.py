"""From a drop's opening to the last of a great crowd, beside the raw loop; and what a reservation waits meanwhile.

A sweep is timed from just before the script that opens the drop to the receipt of the last viewer, by one clock of
the machine. First ours and the raw loop sweep in turn, undisturbed; then ours again, while other viewers reserve.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from loadtests.bench.crowd import Crowd, Group, crowd, quiet
from loadtests.bench.ground import SUBPROTOCOL, WAIT_SECONDS, BenchError
from loadtests.bench.meter import cpu_seconds
from loadtests.bench.wires import Wire, close_wires, open_wires
from server.protocol.codec import pack, unpack_event
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from loadtests.bench.ground import Ground, Server
    from loadtests.bench.sizes import Sizes

MARK = b"drop.opened"
SWEEPS_PER_BLOCK = 2
BUYERS = 64  # who reserve in turn, one reservation under way: nobody holds so many that it costs
BROADCAST_SUM = "livedrop_broadcast_seconds_sum"
PAUSE_SECONDS = 0.002  # between an answer and the next reservation
SETTLED_SECONDS = 0.5  # between sweeps: live numbers of the last one have left


@dataclass(slots=True)
class Sweep:
    """Seconds to the last viewer, ours and raw, in turn, and the CPU seconds that each took; and with reservations.

    `inside` has the seconds of ours that the server itself has counted as telling. `waits` has the seconds that
    each reservation waited which was under way during a sweep, sweep by sweep.
    """

    ours: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    ours_cpu: list[float] = field(default_factory=list)
    raw_cpu: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    while_reserving: list[float] = field(default_factory=list)
    waits: list[list[float]] = field(default_factory=list)


@dataclass(slots=True)
class Side:
    """A show, its drops that are still to open, its crowd, and the process that tells them."""

    ground: Ground
    show: str
    drops: list[str]
    group: Group
    pid: int

    async def sweep(self) -> tuple[float, float]:
        """Open the next drop; return when that began and when the last viewer knew."""
        drop, began = self.drops.pop(), time.monotonic()
        await self.ground.house.drops.open(self.show, drop)
        return began, await self.group.told()


async def measure(ground: Ground, sizes: Sizes) -> Sweep:
    """Return the sweeps to `sizes.crowd` viewers each."""
    sweeps, result = sizes.blocks * SWEEPS_PER_BLOCK, Sweep()
    with ExitStack() as stack:
        server = stack.enter_context(ground.server())
        ours, raw = await _scene(ground, 2 * sweeps + 1), await _scene(ground, sweeps)
        port, pid = stack.enter_context(ground.peer("peer_raw", key("live", show=raw[0])))
        crowds = [stack.enter_context(crowd(ground.folder)) for _ in range(2)]
        ground.say(f"{sizes.crowd:,} viewers come to ours")
        told = await _group(crowds[0], server.live(ours[0]), ground.hellos(ours[0], sizes.crowd))
        ground.say(f"{sizes.crowd:,} viewers come to the raw loop")
        peer = await _group(crowds[1], f"ws://127.0.0.1:{port}/", [None] * sizes.crowd)
        sides = Side(ground, *ours, told, server.pid), Side(ground, *raw, peer, pid)
        for number in range(1, sweeps + 1):
            ground.say(f"sweep {number} of {sweeps} to {sizes.crowd:,} viewers")
            before = await _inside(server)
            await _timed(sides[0], result.ours, result.ours_cpu)
            result.inside.append(await _inside(server) - before)
            await _timed(sides[1], result.raw, result.raw_cpu)
        await _reserving(ground, server, sides[0], result, sweeps)
    return result


async def _reserving(ground: Ground, server: Server, told: Side, result: Sweep, sweeps: int) -> None:
    wanted = told.drops.pop()
    await ground.house.drops.open(told.show, wanted)
    await told.group.told()
    async with _reservations(ground, server, told.show, wanted) as waits:
        for number in range(1, sweeps + 1):
            ground.say(f"sweep {number} of {sweeps} while others reserve")
            began, ended = await told.sweep()
            await asyncio.sleep(SETTLED_SECONDS)
            result.while_reserving.append(ended - began)
            result.waits.append([end - start for start, end in waits if end > began and start < ended])


@asynccontextmanager
async def _reservations(
    ground: Ground, server: Server, show: str, drop: str
) -> AsyncIterator[list[tuple[float, float]]]:
    """Let viewers reserve, one at a time, during the block; give when each asked and had the answer."""
    waits: list[tuple[float, float]] = []
    answers: asyncio.Queue[str] = asyncio.Queue()

    def take(_wire: Wire, payload: bytes) -> None:
        message = unpack_event(payload)
        if message["type"] in {"reservation", "error"}:
            answers.put_nowait(message["type"])

    async def reserve(wires: list[Wire]) -> None:
        for number in itertools.count():
            request = pack({"type": "reserve", "id": f"op-{number}", "drop": drop, "quantity": 1})
            began = time.monotonic()
            wires[number % BUYERS].send(request)
            async with asyncio.timeout(WAIT_SECONDS):
                answer = await answers.get()
            waits.append((began, time.monotonic()))
            if answer != "reservation":
                raise BenchError("A reservation was refused during a sweep.")
            await asyncio.sleep(PAUSE_SECONDS)

    wires = await open_wires(server.live(show), ground.hellos(show, BUYERS), take, SUBPROTOCOL)
    await asyncio.sleep(SETTLED_SECONDS)  # all are welcome
    task = asyncio.create_task(reserve(wires))
    try:
        await asyncio.sleep(SETTLED_SECONDS)
        yield waits
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await close_wires(wires)


async def _group(viewers: Crowd, address: str, hellos: Sequence[bytes | None]) -> Group:
    group = await viewers.open(address, hellos, mark=MARK, subprotocol=SUBPROTOCOL if hellos[0] else None)
    await quiet(group)
    return group


async def _scene(ground: Ground, count: int) -> tuple[str, list[str]]:
    """Make a show with that many drops to open."""
    show = await ground.show()
    return show, [await ground.scheduled_drop(show) for _ in range(count)]


async def _timed(side: Side, seconds: list[float], cpu: list[float]) -> None:
    before = cpu_seconds(side.pid)
    began, ended = await side.sweep()
    seconds.append(ended - began)
    cpu.append(cpu_seconds(side.pid) - before)
    await asyncio.sleep(SETTLED_SECONDS)


async def _inside(server: Server) -> float:
    """Return the seconds that the server itself says it has spent telling, 0 where it does not say."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{server.port}/metrics")).text
    lines = (line.split() for line in text.splitlines())
    return sum(float(words[1]) for words in lines if words and words[0] == BROADCAST_SUM)
