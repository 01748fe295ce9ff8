"""End to end: `reserve` over websockets, against a naive server that calls Redis for every message.

Every connection waits for its answer before it asks again, and is a viewer of its own; all want the same drop, and
take it unit by unit. Ours tells all of them about the falling stock meanwhile; the peer tells nobody.
It counts a key down, and, for comparison, calls a script that holds a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from loadtests.bench import lean
from loadtests.bench.ground import OURS, PEER, REDIS, SUBPROTOCOL, BenchError, until
from loadtests.bench.meter import Way
from loadtests.bench.turns import Turn, take_turns
from loadtests.bench.wires import Wire, close_wires, open_wires
from server.protocol.codec import pack

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

UNITS = 8  # that each viewer takes
NAIVE_ROUNDS = 8

TAKEN = b'"reserved":true'
WELCOME, RESERVATION, ERROR = b"\xa7welcome", b"\xabreservation", b"\xa5error"


async def measure(ground: Ground, sizes: Sizes) -> list[Way]:
    """Return the ways: ours, the naive one, the naive one that holds; their blocks take turns."""
    count = sizes.buyers
    with ground.server() as server, ground.peer("peer_naive", "no-channel") as (port, pid):
        peer = {PEER: pid, REDIS: ground.redis_pid}

        async def ours(way: Way, _seconds: float) -> None:
            async with ground.shelf() as (show, drop):
                hellos, before = ground.hellos(show, count), await ground.script_calls()
                await reserve(way, server.live(show), hellos, [drop] * UNITS)
                way.blocks[-1].calls = await ground.script_calls() - before

        async def counting(way: Way, _seconds: float) -> None:
            await _naive(way, f"ws://127.0.0.1:{port}/", count, {"drop": "mug", "quantity": 1})

        async def holding(way: Way, _seconds: float) -> None:
            async with ground.shelf() as (show, _):
                await lean.offer(ground.house.client, show)
                await _naive(way, f"ws://127.0.0.1:{port}/hold", count, {"show": show})

        turns = [
            Turn(Way("ours: check, hold, log, tell", {OURS: server.pid, REDIS: ground.redis_pid}), ours),
            Turn(Way("naive Starlette, a DECR each", peer), counting),
            Turn(Way("naive Starlette, a script call each", peer), holding),
        ]
        return await take_turns(turns, sizes.blocks, sizes.seconds, ground.say)


@dataclass(slots=True)
class Buyers:
    """Connections that ask again with every answer, until each has asked for all of `requests`."""

    requests: list[bytes]
    asked: dict[Wire, int]
    answers: int = 0
    failed: bytes = b""

    def go_on(self, wire: Wire) -> None:
        """Count an answer, and ask for the next."""
        self.answers += 1
        self.ask(wire)

    def ask(self, wire: Wire) -> None:
        """Send the next request, if there is one."""
        number = self.asked.get(wire, 0)
        if number < len(self.requests):
            self.asked[wire] = number + 1
            wire.send(self.requests[number])

    async def run(self, wires: list[Wire]) -> int:
        """Let all ask until all are answered; return how many answers there were. Raises BenchError."""
        for wire in wires:
            self.ask(wire)
        wanted = len(wires) * len(self.requests)
        await until(lambda: self.answers >= wanted or bool(self.failed), f"{wanted} answers")
        if self.failed:
            raise BenchError(f"A reservation was refused: {self.failed!r}")
        return self.answers


async def reserve(way: Way, address: str, hellos: list[bytes], drops: list[str]) -> None:
    """Let each viewer reserve a unit of each of the drops (some may be the same), as one measured block."""
    requests = [
        pack({"type": "reserve", "id": f"op-{number}", "drop": drop, "quantity": 1})
        for number, drop in enumerate(drops)
    ]
    buyers, welcomed = Buyers(requests, {}), [0]

    def take(wire: Wire, payload: bytes) -> None:
        if RESERVATION in payload:
            buyers.go_on(wire)
        elif WELCOME in payload:
            welcomed[0] += 1
        elif ERROR in payload:
            buyers.failed = payload

    wires = await open_wires(address, hellos, take, SUBPROTOCOL)
    try:
        await until(lambda: welcomed[0] == len(hellos), "all to be welcomed")
        with way.measured() as block:
            block.units = await buyers.run(wires)
    finally:
        await close_wires(wires)


async def _naive(way: Way, address: str, connections: int, words: dict[str, str | int]) -> None:
    request = msgspec.json.encode({"op": "reserve", **words})
    buyers = Buyers([request] * NAIVE_ROUNDS, {})

    def take(wire: Wire, payload: bytes) -> None:
        if TAKEN in payload:
            buyers.go_on(wire)
        else:
            buyers.failed = payload

    wires = await open_wires(address, [None] * connections, take, binary=False)
    try:
        with way.measured() as block:
            block.units = await buyers.run(wires)
    finally:
        await close_wires(wires)
