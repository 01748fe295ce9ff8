"""How long a reservation takes at 10, 50 and 90 % of what there is room for; beside it, one call each by redis-py.

Arrivals are open: they come when a Poisson process says (seeded, so every run has the same), whether or not
earlier ones are answered, and the clock of each runs from the moment at which it was meant to come. So a pause
delays all who come meanwhile, and counts for each of them. The capacity is what the same caller reaches when it
always has as many under way as make it quickest; it is measured anew before each block, because machines drift.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING

from loadtests.bench import single
from loadtests.bench.ground import WAIT_SECONDS, BenchError
from loadtests.bench.meter import Figure
from loadtests.bench.pipe import for_seconds
from loadtests.bench.taking import BusyError, reserving

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes
    from loadtests.bench.taking import Ask, Asking

LOADS = (0.1, 0.5, 0.9)  # of the capacity
PERCENTILES = (50.0, 99.0, 99.9)
CAPACITY_LENGTH = 0.4  # of a block's
LENGTH = 2.0  # of a block's: the last of a thousand is to be seen more than once
FEWEST = 2  # waits of which there are percentiles
SEED = 2026
MS = 1000.0


@dataclass(slots=True)
class Load:
    """One load, of each round: arrivals and answers per second, units per call, the percentiles in ms."""

    share: float
    offered: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    per_call: list[float] = field(default_factory=list)
    sent_away: int = 0
    waits: dict[float, list[float]] = field(default_factory=lambda: {each: [] for each in PERCENTILES})

    def at(self, percentile: float) -> Figure:
        """Return a percentile's median over the rounds, and its spread, ms."""
        return Figure.of(self.waits[percentile])

    @property
    def rate(self) -> float:
        """Arrivals per second, the median of the rounds."""
        return median(self.offered)


@dataclass(slots=True)
class Curve:
    """A way to reserve, with how many under way it is quickest, and its loads, the lightest first."""

    name: str
    asking: Asking
    under_way: int
    loads: list[Load] = field(default_factory=lambda: [Load(share) for share in LOADS])


async def measure(ground: Ground, sizes: Sizes) -> list[Curve]:
    """Return both curves, ours first; their rounds take turns. Raises BenchError."""
    async with single.client(ground) as asking:
        curves = [Curve("Livedrop", reserving, sizes.callers), Curve(single.NAME, asking, single.CONNECTIONS)]
        for number in range(sizes.blocks):
            for curve in curves if number % 2 == 0 else reversed(curves):
                for load in curve.loads:
                    ground.say(f"round {number + 1} of {sizes.blocks}: {curve.name} at {load.share:.0%}")
                    room = await capacity(ground, curve, sizes.seconds * CAPACITY_LENGTH, sizes.warm_up)
                    await _offer(ground, curve, load, load.share * room, sizes)
        return curves


async def capacity(ground: Ground, curve: Curve, seconds: float, warm_up: float) -> float:
    """Return how many reservations per second there is room for at this moment. Raises BenchError."""
    async with ground.shelf() as (show, drop):
        arrivals = Arrivals(await curve.asking(ground, show, drop))
        await arrivals.crowd(curve.under_way, for_seconds(warm_up))
        began, before = time.perf_counter(), len(arrivals.waits)
        await arrivals.crowd(curve.under_way, for_seconds(seconds))
        return (len(arrivals.waits) - before) / (time.perf_counter() - began)


async def _offer(ground: Ground, curve: Curve, load: Load, rate: float, sizes: Sizes) -> None:
    chance = random.Random(f"{SEED} {load.share} {len(load.answered)}")
    async with ground.shelf() as (show, drop):
        arrivals = Arrivals(await curve.asking(ground, show, drop))
        await arrivals.at(poisson(rate, sizes.warm_up, chance))
        arrivals.forget()
        times, before = poisson(rate, sizes.seconds * LENGTH, chance), await ground.script_calls()
        began = time.perf_counter()
        await arrivals.at(times)
        took = time.perf_counter() - began
        calls = await ground.script_calls() - before
    if len(arrivals.waits) < FEWEST:
        raise BenchError(
            f"{curve.name} at {load.share:.0%}: {arrivals.sent_away} of {len(times)} were sent away."
        )
    load.offered.append(rate)
    load.answered.append(len(arrivals.waits) / took)
    load.per_call.append(len(arrivals.waits) / calls)
    load.sent_away += arrivals.sent_away
    for percentile, found in percentiles(arrivals.waits).items():
        load.waits[percentile].append(MS * found)


class Arrivals:
    """Reservations that nobody waits for before the next: each is a task. `waits` are the seconds that they took.

    Who is told to come back later does not come again and has no wait: that is counted in `sent_away`.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._under_way: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self.waits: list[float] = []
        self.sent_away = 0

    async def at(self, times: list[float]) -> None:
        """Let them come at these times, seconds from now, and return when all are answered. Raises BenchError.

        It looks at the clock with every turn of the loop: a timer would be late by up to a millisecond.
        """
        began, number = time.perf_counter(), 0
        while number < len(times):
            now = time.perf_counter() - began
            while number < len(times) and times[number] <= now:
                self._come(began + times[number])
                number += 1
            await self._turn()
        await self._all_answered()

    async def crowd(self, under_way: int, more: Callable[[], bool]) -> None:
        """Keep so many under way while there are to be more, and return when all are answered. Raises BenchError."""
        while more():
            while len(self._under_way) < under_way:
                self._come(time.perf_counter())
            await self._turn()
        await self._all_answered()

    def forget(self) -> None:
        """Begin to count anew."""
        self.waits.clear()
        self.sent_away = 0

    def _come(self, moment: float) -> None:
        task = asyncio.create_task(self._one(moment))
        self._under_way.add(task)
        task.add_done_callback(self._gone)

    async def _one(self, moment: float) -> None:
        try:
            await self._ask()
        except BusyError:
            self.sent_away += 1
        else:
            self.waits.append(time.perf_counter() - moment)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            error = task.exception()
            self._failed = self._failed or error

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self._failed is not None:
            for task in self._under_way:
                task.cancel()
            raise self._failed

    async def _all_answered(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while self._under_way:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{len(self._under_way)} reservations had no answer in {WAIT_SECONDS:.0f} s."
                )
            await self._turn()


def poisson(rate: float, seconds: float, chance: random.Random) -> list[float]:
    """Return the moments at which they come: independent of each other, `rate` per second in the mean."""
    moments, now = [], chance.expovariate(rate)
    while now < seconds:
        moments.append(now)
        now += chance.expovariate(rate)
    return moments


def percentiles(waits: list[float]) -> dict[float, float]:
    """Return the wait below which each of `PERCENTILES` of them lie. At least two waits."""
    cuts = quantiles(waits, n=1000, method="inclusive")
    return {each: cuts[round(each * 10) - 1] for each in PERCENTILES}
