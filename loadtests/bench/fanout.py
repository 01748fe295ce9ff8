"""One event of the log to many idle viewers: the server's CPU time per delivery, beside two peers'.

All three follow a show of their own on the same Redis and deliver the same bytes. The event is written by this
process with the server's own script, so no request is part of the cost; it counts as delivered when the last
viewer has it. What connecting a viewer costs, and what an idle one weighs, falls off by the way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.ground import OURS, PEER, SUBPROTOCOL, until
from loadtests.bench.meter import Way, resident_bytes
from loadtests.bench.wires import Wire, open_wires
from server.store.keys import key

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground

EVENTS = 16  # per block
WARM_UP_VIEWERS = 50
QUIET_SECONDS = 1.2  # without a message for so long: nothing is on its way any more

MARKS = (b"drop.paused", b"drop.resumed")


@dataclass(frozen=True, slots=True)
class Fanout:
    """The three ways to deliver, and what a viewer of ours costs: its hello in CPU, its idling in bytes."""

    ours: Way
    broadcast: Way
    raw: Way
    hello: Way
    bytes_per_viewer: float


class Audience:
    """The idle viewers of one show, and the drop whose pause and resumption they are told."""

    def __init__(self, show: str, drop: str) -> None:
        self.show = show
        self.drop = drop
        self.seen = 0  # events, over all viewers
        self.messages = 0
        self.wires: list[Wire] = []
        self._paused = False

    def take(self, _wire: Wire, payload: bytes) -> None:
        """Count a message."""
        self.messages += 1
        if MARKS[0] in payload or MARKS[1] in payload:
            self.seen += 1

    async def tell(self, ground: Ground, events: int) -> int:
        """Write events, one after the other has reached everybody; return the number of deliveries."""
        for _ in range(events):
            wanted = self.seen + len(self.wires)
            move = ground.house.drops.resume if self._paused else ground.house.drops.pause
            self._paused = not self._paused
            await move(self.show, self.drop)
            await self._reached(wanted)
        return events * len(self.wires)

    async def _reached(self, wanted: int) -> None:
        await until(lambda: self.seen >= wanted, "an event to reach everybody")

    async def quiet(self) -> None:
        """Wait until nothing comes any more."""
        known = -1
        while known != self.messages:
            known = self.messages
            await asyncio.sleep(QUIET_SECONDS)


async def measure(ground: Ground, blocks: int, viewers: int) -> Fanout:
    """Return the three ways, each with its own `viewers`; their blocks take turns."""
    ours, broadcasting, raw = [await _audience(ground) for _ in range(3)]
    channels = [key("live", show=each.show) for each in (broadcasting, raw)]
    with (
        ground.peer("peer_broadcast", channels[0], "broadcast") as (broadcast_port, broadcast_pid),
        ground.peer("peer_broadcast", channels[1], "raw") as (raw_port, raw_pid),
    ):
        pid = ground.stage.pid
        ways = (
            Way("ours: log, recovery, limits, metrics", {OURS: pid}),
            Way("websockets.broadcast", {PEER: broadcast_pid}),
            Way("raw loop, one write(2) per viewer", {PEER: raw_pid}),
        )
        hello = Way("connect and hello", {OURS: pid})
        try:
            await _arrive(ground, ours, WARM_UP_VIEWERS)
            before = resident_bytes(pid)
            with hello.measured() as block:
                await _arrive(ground, ours, viewers - WARM_UP_VIEWERS)
                block.units = viewers - WARM_UP_VIEWERS
            await ours.quiet()
            weight = (resident_bytes(pid) - before) / block.units
            for audience, port in ((broadcasting, broadcast_port), (raw, raw_port)):
                address = f"ws://127.0.0.1:{port}/"
                audience.wires = await open_wires(address, viewers, audience.take, None, None, binary=True)
            audiences = (ours, broadcasting, raw)
            for _ in range(blocks):
                for way, audience in zip(ways, audiences, strict=True):
                    with way.measured() as block:
                        block.units = await audience.tell(ground, EVENTS)
        finally:
            for audience in (ours, broadcasting, raw):
                for wire in audience.wires:
                    wire.close()
    return Fanout(*ways, hello, weight)


async def _audience(ground: Ground) -> Audience:
    show = await ground.show()
    return Audience(show, await ground.drop(show))


async def _arrive(ground: Ground, audience: Audience, viewers: int) -> None:
    welcomed = [0]

    def take(wire: Wire, payload: bytes) -> None:
        audience.take(wire, payload)
        if b"\xa7welcome" in payload:
            welcomed[0] += 1

    address, hello = ground.address(audience.show), ground.hello(audience.show)
    audience.wires += await open_wires(address, viewers, take, hello, SUBPROTOCOL, binary=True)
    await until(lambda: welcomed[0] == viewers, "all to be welcomed")
