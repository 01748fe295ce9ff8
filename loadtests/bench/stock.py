"""Reservations through one Redis: as the server makes them, and every other way that one would think of.

All of the ways on Redis but plain DECR hold units in full. Those that call a script for each reservation do so with
ours, and with a leaner one that was written for that. The peers that keep Redis busiest are given what makes them
quick: calls packed and parsed in C and sent together, or a client in C.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench import countdown, lean, postgres, single
from loadtests.bench.meter import Way
from loadtests.bench.pipe import PIPELINED
from loadtests.bench.taking import at_once, in_vain, processes, there_and_back
from loadtests.bench.turns import Turn, take_turns
from loadtests.bench.wholesale import MOST, WHOLE, in_calls_of

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes
    from loadtests.bench.turns import Block


@dataclass(frozen=True, slots=True)
class Stock:
    """Ours by the server's way, on a day when all is sold, and back and forth; ours by the script alone; the peers."""

    ours: Way
    refused: Way
    both_ways: Way
    script: Way
    script_for_one: Way
    lean: Way
    single: Way
    plain: Way
    postgres: list[Way]  # empty where there is none

    @property
    def ways(self) -> list[Way]:
        """All of them, in the order of the table."""
        ours = [self.ours, self.refused, self.both_ways, self.script, self.script_for_one]
        return [*ours, self.lean, self.single, self.plain, *self.postgres]


async def measure(ground: Ground, sizes: Sizes) -> Stock:
    """Return the ways; their blocks take turns."""
    callers, mine = sizes.callers, processes(ground)

    def turn(name: str, block: Block) -> Turn:
        return Turn(Way(name, mine), block)

    with ExitStack() as stack:
        async with single.client(ground) as one_call_each:
            turns = [
                turn(f"ours, {callers} callers", at_once(ground, callers)),
                turn("ours, all is sold out", at_once(ground, callers, in_vain, 1)),
                turn("ours, reserve and release", at_once(ground, callers, there_and_back)),
                turn(f"our script, {MOST} in each call", in_calls_of(ground, MOST, WHOLE)),
                turn("our script, 1 in each, pipelined", in_calls_of(ground, 1, PIPELINED)),
                turn("a leaner EVALSHA each, pipelined", lean.pipelined(ground)),
                turn(single.NAME, at_once(ground, single.CONNECTIONS, one_call_each)),
                countdown.turn(ground),
            ]
            database = stack.enter_context(postgres.running())
            turns += postgres.turns(database) if database is not None else []
            ways = await take_turns(turns, sizes.blocks, sizes.seconds, ground.say)
    ours, refused, both_ways, script, script_for_one, leaner, one_each, plain, *others = ways
    return Stock(ours, refused, both_ways, script, script_for_one, leaner, one_each, plain, others)
