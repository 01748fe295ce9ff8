"""What an idle viewer weighs: the growth of a fresh server's resident memory, everything included.

Everything of ours, that is: buffers in the kernel are not in a process's resident memory, and are the same for all.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.crowd import crowd
from loadtests.bench.tellers import gather, tellers

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

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
