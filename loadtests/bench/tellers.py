"""Who tells the idle viewers of a show: ours and the peers, each with viewers of its own, told the same way.

Ours and the peers follow a show of their own on the same Redis; the event is written by this process with the
server's own script, so no request is part of the cost. nchan takes the event's bytes from its HTTP publisher.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import msgspec

from loadtests.bench import nchan
from loadtests.bench.crowd import quiet
from loadtests.bench.ground import OURS, PEER, SUBPROTOCOL
from loadtests.bench.meter import Way, resident_bytes
from server.eventlog import stream
from server.protocol.shapes import Product
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from loadtests.bench.crowd import Crowd, Group
    from loadtests.bench.ground import Ground

WARM_UP_VIEWERS = 20
MARK = b"product.pinned"  # in every event that is told here
PINNED = msgspec.to_builtins(
    Product(
        sku="MUG",
        handle="mug",
        title="Enamel Mug",
        description="",
        vendor="",
        options={},
        unit_price=1250,
        currency="EUR",
        images=[],
        tags=[],
    )
)

RAW = "raw loop, one write(2) each"
PICOWS = "picows"
BROADCAST = "websockets.broadcast"
NAIVE = "naive Starlette"
NCHAN = "nchan"
LIBRARIES = {PICOWS: "peer_picows", BROADCAST: "peer_broadcast", NAIVE: "peer_naive"}


@dataclass(slots=True)
class Teller:
    """One server with its viewers. `arrival` is what a viewer cost to let in, `weight` what one weighs, bytes."""

    name: str
    pid: int
    address: str
    switch: Switch
    tell: Callable[[], Awaitable[None]]
    telling: Way
    arrival: Way
    greeted: bool = False  # whether viewers say hello: to ours
    weight: float = 0.0
    groups: list[Group] = field(default_factory=list)

    async def let_in(self, ground: Ground, crowd: Crowd, count: int) -> None:
        """Let so many viewers come. Raises BenchError."""
        hellos = ground.hellos(self.switch.show, count) if self.greeted else [None] * count
        subprotocol = SUBPROTOCOL if self.greeted else None
        self.groups.append(await crowd.open(self.address, hellos, mark=MARK, subprotocol=subprotocol))

    async def block(self, events: int) -> None:
        """Tell so many events, one after the other has reached everybody, as one measured block."""
        with self.telling.measured() as block:
            for _ in range(events):
                await self.tell()
                for group in self.groups:
                    await group.told()
            block.units = events * self.viewers

    @property
    def viewers(self) -> int:
        """How many are told."""
        return sum(group.count for group in self.groups)


class Switch:
    """A product that is pinned again and again: one event each time, and nothing else is said beside it."""

    def __init__(self, ground: Ground, show: str) -> None:
        self._ground = ground
        self.show = show

    @classmethod
    async def on(cls, ground: Ground) -> Switch:
        """Return one on a show of its own."""
        return cls(ground, await ground.show())

    async def turn(self) -> None:
        """Write the next event."""
        await self._ground.house.shows.pin(self.show, [PINNED])

    async def newest(self) -> bytes:
        """Write an event, and return it as the script packed it."""
        await self.turn()
        place = await self._ground.place(self.show)
        entries = await stream.after(self._ground.house.client, self.show, place["offset"] - 1)
        return entries[0].packed


async def gather(ground: Ground, tellers: list[Teller], crowd: Crowd, count: int) -> None:
    """Let so many viewers come to each, a few of them before the measured ones. Raises BenchError."""
    warm = min(WARM_UP_VIEWERS, count // 2)
    for teller in tellers:
        await teller.let_in(ground, crowd, warm)
    await _settled(tellers)
    before = [resident_bytes(teller.pid) for teller in tellers]
    for teller in tellers:
        ground.say(f"{count:,} viewers come to {teller.name}")
        with teller.arrival.measured() as block:
            await teller.let_in(ground, crowd, count - warm)
            block.units = count - warm
    await _settled(tellers)
    for teller, weight in zip(tellers, before, strict=True):
        teller.weight = (resident_bytes(teller.pid) - weight) / (count - warm)


async def _settled(tellers: list[Teller]) -> None:
    """Wait until what servers do about viewers who came is done."""
    await quiet(*(group for teller in tellers for group in teller.groups))


@asynccontextmanager
async def tellers(ground: Ground, names: list[str]) -> AsyncIterator[list[Teller]]:
    """Start ours and those of the named peers that are installed here, and end them after the block."""
    with ExitStack() as stack:
        switch = await Switch.on(ground)
        server = stack.enter_context(ground.server())
        ours = _teller("ours", {OURS: server.pid}, server.live(switch.show), switch)
        ours.greeted = True
        found = [ours]
        if RAW in names:
            found.append(await _peer(ground, stack, RAW, "peer_raw", "/"))
        for name, module in LIBRARIES.items():
            if name in names and installed(name):
                found.append(await _peer(ground, stack, name, module, "/live"))
        async with httpx.AsyncClient(trust_env=False) as http:
            if NCHAN in names and installed(NCHAN):
                port, pid = stack.enter_context(nchan.running(ground))
                address, event = f"ws://127.0.0.1:{port}{nchan.SUBSCRIBE}", await switch.newest()
                found.append(_teller(NCHAN, {PEER: pid}, address, switch))
                found[-1].tell = nchan.publisher(http, port, event)
            yield found


def installed(name: str) -> bool:
    """Whether a peer that comes from elsewhere is on this machine."""
    if name == PICOWS:
        return importlib.util.find_spec("picows") is not None
    return name != NCHAN or nchan.found() is not None


async def _peer(ground: Ground, stack: ExitStack, name: str, module: str, path: str) -> Teller:
    switch = await Switch.on(ground)
    port, pid = stack.enter_context(ground.peer(module, key("live", show=switch.show)))
    return _teller(name, {PEER: pid}, f"ws://127.0.0.1:{port}{path}", switch)


def _teller(name: str, processes: dict[str, int], address: str, switch: Switch) -> Teller:
    (pid,) = processes.values()
    return Teller(name, pid, address, switch, switch.turn, Way(name, processes), Way(name, processes))
