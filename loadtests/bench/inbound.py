"""What viewers say: `ping` with one under way on each connection, beside peers that echo; and `reserve`.

The messages per second are those of this machine, which the load generator shares; the CPU time is the server's.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.buying import reserve
from loadtests.bench.crowd import Crowd, crowd, quiet
from loadtests.bench.ground import OURS, PEER, REDIS, SUBPROTOCOL
from loadtests.bench.meter import Way
from loadtests.bench.tellers import PICOWS, installed
from server.protocol.codec import pack

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

PING = pack({"type": "ping", "id": "p1"})
RESERVATIONS = 24  # of each viewer, of one drop that everybody wants
NAIVE = "naive Starlette, an echo"


@dataclass(frozen=True, slots=True)
class Inbound:
    """`ping` answered with `pong`, the echoes of picows (None: not installed) and of Starlette, and `reserve`."""

    ours: Way
    picows: Way | None
    naive: Way
    reserve: Way


@dataclass(slots=True)
class Talk:
    """One server that is talked to: where, what its viewers say first, and what an answer of its holds."""

    way: Way
    address: str
    hellos: list[bytes | None]
    subprotocol: str | None
    mark: bytes

    async def block(self, viewers: Crowd, seconds: float) -> None:
        """Let everybody talk for so long, as one measured block."""
        group = await viewers.open(self.address, self.hellos, subprotocol=self.subprotocol)
        await quiet(group)
        with self.way.measured() as block:
            block.units, _ = await group.pump(PING, self.mark, seconds)
        await group.drop()


async def measure(ground: Ground, sizes: Sizes) -> Inbound:
    """Return what each message costs; the blocks take turns."""
    show = await ground.show()
    drop = await ground.drop(show)
    with ExitStack() as stack:
        server = stack.enter_context(ground.server())
        hellos: list[bytes | None] = [*ground.hellos(show, sizes.talkers)]
        address, processes = server.live(show), {OURS: server.pid, REDIS: ground.redis_pid}
        ours = Talk(Way("ours: ping, pong", processes), address, hellos, SUBPROTOCOL, b"pong")
        naive = _echo(ground, stack, NAIVE, "peer_naive", sizes.talkers)
        picows = _echo(ground, stack, PICOWS, "peer_picows", sizes.talkers) if installed(PICOWS) else None
        reserving = Way("ours: reserve", processes)
        viewers = stack.enter_context(crowd(ground.folder))
        for number in range(1, sizes.blocks + 1):
            for talk in filter(None, (ours, picows, naive)):
                ground.say(f"round {number} of {sizes.blocks}: {sizes.talkers} talk to {talk.way.name}")
                await talk.block(viewers, sizes.seconds)
            ground.say(f"round {number} of {sizes.blocks}: {sizes.buyers} viewers reserve")
            await reserve(reserving, address, ground.hellos(show, sizes.buyers), [drop] * RESERVATIONS)
    return Inbound(ours.way, picows.way if picows else None, naive.way, reserving)


def _echo(ground: Ground, stack: ExitStack, name: str, module: str, talkers: int) -> Talk:
    port, pid = stack.enter_context(ground.peer(module, "no-channel"))
    address = f"ws://127.0.0.1:{port}/live"
    return Talk(Way(name, {PEER: pid}), address, [None] * talkers, None, b"ping")
