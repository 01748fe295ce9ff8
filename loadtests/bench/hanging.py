"""Reservations while many checkouts hang at a provider that takes ten seconds, beside reservations without any.

Both come in the same server, of the same drop, as the same open arrivals at half of what there is room for. A checkout
that waits for its provider holds no lock and no connection, so nobody should see it.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.bench.ground import BenchError, until
from loadtests.bench.latency import (
    LENGTH,
    MS,
    SEED,
    Arrivals,
    Curve,
    Load,
    capacity,
    percentiles,
    poisson,
)
from loadtests.bench.meter import Figure
from loadtests.bench.paying import basket, pay, shop
from loadtests.bench.taking import reserving
from loadtests.bench.till import Till

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

SECONDS = 10.0  # that the provider takes: longer than a block
SHARE = 0.5  # of what there is room for
CAPACITY_LENGTH = 0.2  # of a block's


@dataclass(frozen=True, slots=True)
class Hanging:
    """So many checkouts hang: reservations without them, and beside them."""

    count: int
    alone: Load
    beside: Load

    def slower(self, percentile: float) -> Figure:
        """Return how many times as long a reservation takes beside them, round by round."""
        pairs = zip(self.beside.waits[percentile], self.alone.waits[percentile], strict=True)
        return Figure.of([beside / alone for beside, alone in pairs])


async def measure(ground: Ground, sizes: Sizes) -> Hanging:
    """Return what reservations waited; both ways take turns, and have the same arrivals. Raises BenchError."""
    till, found = Till(SECONDS), Hanging(sizes.hanging, Load(SHARE), Load(SHARE))
    async with shop(ground, till) as house:
        here, curve = replace(ground, house=house), Curve("reservations", reserving, sizes.callers)
        for number in range(sizes.pairs):
            rate = SHARE * await capacity(here, curve, sizes.seconds * CAPACITY_LENGTH, sizes.warm_up)
            order = [(found.alone, 0), (found.beside, sizes.hanging)]
            for load, count in order if number % 2 == 0 else reversed(order):
                ground.say(f"round {number + 1} of {sizes.pairs}: {count} checkouts hang")
                chance = random.Random(f"{SEED} {number}")
                spans = (sizes.warm_up, sizes.seconds * LENGTH)
                load.offered.append(rate)
                await _offer(here, till, count, load, [poisson(rate, each, chance) for each in spans])
    return found


async def _offer(ground: Ground, till: Till, count: int, load: Load, times: list[list[float]]) -> None:
    async with ground.shelf() as (show, drop), hung(ground, till, show, drop, count):
        arrivals = Arrivals(await reserving(ground, show, drop))
        for each in times:  # to warm up, and to be measured
            arrivals.forget()
            await arrivals.at(each)
    for percentile, wait in percentiles(arrivals.waits).items():
        load.waits[percentile].append(MS * wait)


@asynccontextmanager
async def hung(ground: Ground, till: Till, show: str, drop: str, count: int) -> AsyncIterator[None]:
    """Let so many checkouts hang at the till, all through the block; then all are paid. Raises BenchError."""
    till.forget()
    house = ground.house
    requests = [await basket(house, show, drop) for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(pay(house, request))
        await until(lambda: till.waiting == count, f"{count} checkouts to hang")
        yield
        left = till.waiting
        till.hurry()
    if left < count:
        raise BenchError(f"Only {left} of {count} checkouts hung to the end.")
