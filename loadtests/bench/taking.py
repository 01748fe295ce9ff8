"""Reservations as the server makes them, in this process: callers of `Holds` who ask again with every answer.

Every reservation is a viewer's and an operation's own, and every block has a show of its own: nobody meets the
holds, the limits or the memory of the block before.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING

from loadtests.bench.ground import REDIS, BenchError
from loadtests.bench.pipe import for_seconds
from server.errors import Code, Problem
from server.inventory.outcomes import Held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from loadtests.bench.ground import Ground
    from loadtests.bench.meter import Way
    from loadtests.bench.turns import Block

    Ask = Callable[[], Awaitable[int]]  # does something, and returns how many operations it was
    Asking = Callable[[Ground, str, str], Awaitable[Ask]]  # of a show and a drop

CALLER = "the caller"

BUSY = {Code.RATE_LIMITED, Code.UNAVAILABLE}

numbers = itertools.count()


class BusyError(BenchError):
    """More was asked for than there was room for: the answer was to come back later."""


def processes(ground: Ground) -> dict[str, int]:
    """Return whose CPU counts: the store's and the caller's, which is this process."""
    return {REDIS: ground.redis_pid, CALLER: os.getpid()}


async def reserving(ground: Ground, show: str, drop: str) -> Ask:
    """Return what reserves a unit for a viewer who was never seen before. It raises BenchError, BusyError."""
    reserve = ground.house.holds.reserve

    async def ask() -> int:
        outcome = await reserve(show, f"v{next(numbers)}", "op", drop, 1)
        if isinstance(outcome, Held):
            return 1
        busy = isinstance(outcome, Problem) and outcome.code in BUSY
        raise (BusyError if busy else BenchError)(f"A reservation was refused: {outcome}")

    return ask


async def in_vain(ground: Ground, show: str, drop: str) -> Ask:
    """Return what asks for the only unit of a drop: one gets it, all others nothing. It raises BenchError."""
    reserve, winners = ground.house.holds.reserve, 0

    async def ask() -> int:
        nonlocal winners
        outcome = await reserve(show, f"v{next(numbers)}", "op", drop, 1)
        winners += isinstance(outcome, Held)
        if winners > 1 or (isinstance(outcome, Problem) and outcome.code is not Code.OUT_OF_STOCK):
            raise BenchError(f"A drop of one unit answered {outcome}")
        return 1

    return ask


async def there_and_back(ground: Ground, show: str, drop: str) -> Ask:
    """Return what reserves a unit and gives it back: two operations. It raises BenchError."""
    reserve, release = ground.house.holds.reserve, ground.house.holds.release

    async def ask() -> int:
        viewer = f"v{next(numbers)}"
        held = await reserve(show, viewer, "op", drop, 1)
        outcome = await release(held.reservation["id"], viewer) if isinstance(held, Held) else held
        if not isinstance(outcome, Held):
            raise BenchError(f"An operation was refused: {outcome}")
        return 2

    return ask


def at_once(
    ground: Ground,
    callers: int,
    asking: Asking = reserving,
    units: int | None = None,
) -> Block:
    """Return what adds a block of so many callers at once, on a drop of so many units (None: more than are taken)."""

    async def block(way: Way, seconds: float) -> None:
        async with ground.shelf(units) as (show, drop):
            ask = await asking(ground, show, drop)
            before = await ground.script_calls()
            with way.measured() as measured:
                measured.units = await again_and_again(ask, callers, for_seconds(seconds))
            measured.calls = await ground.script_calls() - before

    return block


async def again_and_again(ask: Ask, callers: int, more: Callable[[], bool]) -> int:
    """Let so many callers ask again with every answer while there are to be more; return how many operations it was."""

    async def caller() -> int:
        done = 0
        while more():
            done += await ask()
        return done

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(caller()) for _ in range(callers)]
    return sum(task.result() for task in tasks)
