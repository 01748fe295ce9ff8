"""End to end: `reserve` over websockets, against a naive server that counts a key down for every message.

Every connection waits for its answer before it asks again, and is a viewer of its own who takes one unit of each
of many drops, as in a long show. Ours tells all of them about the falling stock meanwhile; the peer tells nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from loadtests.bench.ground import OURS, PEER, REDIS, SUBPROTOCOL, BenchError, until
from loadtests.bench.meter import Way
from loadtests.bench.wires import Wire, close_wires, open_wires
from server.protocol.codec import pack, unpack_event

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

DROPS = 24
NAIVE_ROUNDS = 48  # it is quicker; this keeps it busy for about as long

WELCOME, RESERVATION, ERROR = b"\xa7welcome", b"\xabreservation", b"\xa5error"


async def measure(ground: Ground, sizes: Sizes) -> list[Way]:
    """Return the two ways, ours and the naive one; their blocks take turns."""
    show = await ground.show()
    drops = [await ground.drop(show) for _ in range(DROPS)]
    with ground.server() as server, ground.peer("peer_naive", "no-channel") as (port, pid):
        ours = Way("ours: check, hold, log, tell", {OURS: server.pid, REDIS: ground.redis_pid})
        naive = Way("naive Starlette, a DECR each", {PEER: pid, REDIS: ground.redis_pid})
        for number in range(1, sizes.blocks + 1):
            ground.say(f"round {number} of {sizes.blocks}: {sizes.buyers} websockets reserve")
            await reserve(ours, server.live(show), ground.hellos(show, sizes.buyers), drops)
            await _naive(naive, port, sizes.buyers)
        return [ours, naive]


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
            raise BenchError(f"A reservation was refused: {unpack_event(self.failed)}")
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


async def _naive(way: Way, port: int, connections: int) -> None:
    request = msgspec.json.encode({"op": "reserve", "drop": "mug", "quantity": 1})
    buyers = Buyers([request] * NAIVE_ROUNDS, {})
    address, hellos = f"ws://127.0.0.1:{port}/", [None] * connections
    wires = await open_wires(address, hellos, lambda wire, _: buyers.go_on(wire), binary=False)
    try:
        with way.measured() as block:
            block.units = await buyers.run(wires)
    finally:
        await close_wires(wires)
