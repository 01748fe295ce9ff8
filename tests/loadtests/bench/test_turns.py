"""Taking turns, and counting whose CPU it was."""

from __future__ import annotations

import os
import subprocess
import sys

from loadtests.bench.meter import Block, Way, cpu_seconds, family_seconds
from loadtests.bench.turns import Turn, take_turns

TICK = 0.01  # in which the time of those who are gone is counted, system and user time each
BUSY = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"


async def test_ways_take_turns() -> None:
    """Each way has its blocks, every second round goes backwards, and what warms up leaves no block."""
    order: list[tuple[str, float]] = []

    async def block(way: Way, seconds: float) -> None:
        order.append((way.name, seconds))
        way.blocks.append(Block(1, seconds))

    turns = [Turn(Way(name, {}), block) for name in ("a", "b")]
    ways = await take_turns(turns, 3, 1.0, lambda _: None)
    assert [name for name, _ in order] == [*"ab", *"ab", *"ba", *"ab"]
    assert [way.name for way in ways] == ["a", "b"]
    assert [[block.seconds for block in way.blocks] for way in ways] == [[1.0] * 3, [1.0] * 3]


def test_a_family_is_counted_together() -> None:
    """A child's CPU counts for its family while it lives and when it is gone, and never for the process alone."""
    alone, together = cpu_seconds(os.getpid()), family_seconds(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "\n"
        grown = family_seconds(os.getpid()) - together
        child.communicate("go\n")
    own = cpu_seconds(os.getpid()) - alone
    assert grown >= 0.2
    assert own < 0.2
    assert family_seconds(os.getpid()) - together >= 0.2 - 2 * TICK


def test_units_per_call() -> None:
    """How many units a call does is the median of the blocks, and unknown where nobody counted the calls."""
    blocks = [Block(100, 1.0, calls=10), Block(100, 1.0, calls=50), Block(100, 1.0, calls=20)]
    assert Way("counted", {}, blocks).per_call == 5
    assert Way("not counted", {}, [Block(100, 1.0)]).per_call is None
