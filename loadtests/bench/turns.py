"""Ways that take turns: a round to warm up that does not count, then round after round, every second one backwards.

So each way has its blocks spread over the same minutes, and none always comes after the same other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from loadtests.bench.meter import Way

    Block = Callable[[Way, float], Awaitable[None]]

WARM_UP = 0.3  # of a block's length


@dataclass(frozen=True, slots=True)
class Turn:
    """A way, and what adds a block of about so many seconds to it; what it has to make ready is not measured."""

    way: Way
    block: Block


async def take_turns(
    turns: Sequence[Turn], blocks: int, seconds: float, say: Callable[[str], None]
) -> list[Way]:
    """Return the ways, each with so many blocks."""
    for turn in turns:
        say(f"warming up: {turn.way.name}")
        await turn.block(turn.way, seconds * WARM_UP)
        turn.way.blocks.clear()
    for number in range(blocks):
        for turn in turns if number % 2 == 0 else reversed(turns):
            say(f"round {number + 1} of {blocks}: {turn.way.name}")
            await turn.block(turn.way, seconds)
    return [turn.way for turn in turns]
