"""What an idle viewer weighs, among few and among many: a fresh server's resident memory grows by it.

Everything of ours is in it: buffers in the kernel are not in a process's resident memory, and are the same for all.
Then two servers, one with ten times the viewers of the other, tell events in turns: a delivery should cost both the
same.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.crowd import crowd
from loadtests.bench.tellers import gather, tellers

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.meter import Way
    from loadtests.bench.sizes import Sizes

TENFOLD = 10
FILES_BESIDE = 300  # of a server with no viewers


@dataclass(frozen=True, slots=True)
class Weight:
    """How many viewers, bytes for each, and the CPU microseconds that letting one in took."""

    viewers: int
    each: float
    arrival: float


async def measure(ground: Ground, sizes: Sizes) -> list[Weight]:
    """Return the weight at each number of viewers that this machine lets a process have, each on a fresh server."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    weights = []
    for count in sizes.weighed:
        if count + FILES_BESIDE > files:
            continue
        async with tellers(ground, []) as (ours,):
            with crowd(ground.folder) as viewers:
                await gather(ground, [ours], viewers, count)
                weights.append(Weight(count, ours.weight, ours.arrival.cost().middle))
    return weights


async def told(ground: Ground, sizes: Sizes) -> tuple[Way, Way]:
    """Return what telling a tenth of the crowd costs, and telling all of it; their blocks take turns."""
    async with tellers(ground, []) as (few,), tellers(ground, []) as (many,):
        with crowd(ground.folder) as tenth, crowd(ground.folder) as all_of_it:
            await gather(ground, [few], tenth, sizes.crowd // TENFOLD)
            await gather(ground, [many], all_of_it, sizes.crowd)
            for number in range(1, sizes.blocks + 1):
                for teller, events in ((few, TENFOLD * sizes.events), (many, sizes.events)):
                    ground.say(
                        f"round {number} of {sizes.blocks}: {events} events to {teller.viewers:,} viewers"
                    )
                    await teller.block(events)
    return few.telling, many.telling
