"""One event of the log to many idle viewers: the server's CPU time per delivery, beside its peers'.

An event counts as delivered when the last viewer has it. What letting a viewer in costs, and what an idle one
weighs, falls off by the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.crowd import crowd
from loadtests.bench.tellers import (
    BROADCAST,
    NAIVE,
    NCHAN,
    PICOWS,
    RAW,
    Teller,
    gather,
    installed,
    tellers,
)

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

PEERS = [RAW, PICOWS, BROADCAST, NAIVE, NCHAN]


@dataclass(frozen=True, slots=True)
class Fanout:
    """The ways to deliver, ours first, the size of the event, and the peers that are not installed."""

    tellers: list[Teller]
    event_bytes: int
    missing: list[str]

    def peer(self, name: str) -> Teller | None:
        """Return a peer, or None where it is not installed."""
        return next((teller for teller in self.tellers if teller.name == name), None)


async def measure(ground: Ground, sizes: Sizes) -> Fanout:
    """Return the ways, each with its own viewers; their blocks take turns."""
    async with tellers(ground, PEERS) as found:
        example = await found[0].switch.newest()
        with crowd(ground.folder) as viewers:
            await gather(ground, found, viewers, sizes.viewers)
            for number in range(1, sizes.blocks + 1):
                for teller in found:
                    ground.say(f"round {number} of {sizes.blocks}: {teller.name}, {sizes.events} events")
                    await teller.block(sizes.events)
    return Fanout(found, len(example), [name for name in PEERS if not installed(name)])
