"""From one reservation in a script call to 256: the rate, and the CPU time of Redis and of Python for each.

Twice: through the server's own way with so many callers at once, who ask again with every answer, and with nothing
but the script, called with exactly so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.meter import Way
from loadtests.bench.pipe import PIPELINED
from loadtests.bench.taking import at_once, processes
from loadtests.bench.turns import Turn, take_turns
from loadtests.bench.wholesale import WHOLE, in_calls_of

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

SHARE = 0.4  # of a block's length: there are many


@dataclass(frozen=True, slots=True)
class Batch:
    """A size: so many callers of ours, and so many in each call of the script."""

    size: int
    ours: Way
    script: Way


async def measure(ground: Ground, sizes: Sizes) -> list[Batch]:
    """Return both ways at each size; their blocks take turns."""
    turns = []
    for size in sizes.batches:
        ours, script = (Way(f"{name} {size}", processes(ground)) for name in ("callers:", "in each call:"))
        turns.append(Turn(ours, at_once(ground, size)))
        turns.append(Turn(script, in_calls_of(ground, size, PIPELINED if size == 1 else WHOLE)))
    ways = await take_turns(turns, sizes.blocks, sizes.seconds * SHARE, ground.say)
    pairs = zip(ways[::2], ways[1::2], strict=True)
    return [Batch(size, *pair) for size, pair in zip(sizes.batches, pairs, strict=True)]
