"""Who gets units when everybody presses at one instant; and how far that depends on how old a connection is.

Viewers of two servers press for one drop after the other, all at once and each time in another random order. A
viewer's place is the rank of the award, from the award log; who got nothing shares the last places. Over all drops
each viewer has a mean place, and the statistic is Spearman's rank correlation between it and the connection's age.
What chance makes of it is measured too: the same correlation with the ages dealt out at random, many times over.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import sqrt
from operator import mul
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import httpx

from loadtests.bench.wires import close_wires, open_wires
from server import ids
from server.protocol.codec import Codec, pack
from server.store.redis import connect
from tests.chaos.books import look
from tests.flows.named.broken import TALKATIVE
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from loadtests.bench.wires import Wire

DEALS = 1000  # of the ages, at random
SIGMAS = 4.5  # beyond which it is no chance: once in 150,000 runs
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Fairness:
    """The correlation of age and place, and how far chance moves it (one standard deviation)."""

    correlation: float
    noise: float
    drops: int
    viewers: int

    @property
    def fair(self) -> bool:
        """Whether it is no more than chance."""
        return abs(self.correlation) <= SIGMAS * self.noise

    def __str__(self) -> str:
        return (
            f"{self.viewers} viewers, {self.drops} drops: correlation of age and place {self.correlation:+.4f}, "
            f"chance alone ±{self.noise:.4f}, bound {SIGMAS * self.noise:.4f}"
        )


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the smallest; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            found[place] = (start + 1 + end) / 2
        start = end
    return found


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation, 0 where one side is all the same."""
    first, second = centred(ranks(one)), centred(ranks(other))
    spread = sqrt(product(first, first) * product(second, second))
    return product(first, second) / spread if spread else 0.0


def centred(values: Sequence[float]) -> list[float]:
    """Return the values less their mean."""
    mean = fmean(values)
    return [value - mean for value in values]


def product(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the sum of the products."""
    total: float = sum(map(mul, one, other))
    return total


def judged(places: Sequence[Sequence[float]], chance: random.Random) -> Fairness:
    """Return how fair the places were: for each drop the places of the viewers, the oldest connection's first."""
    mean = [fmean(of) for of in zip(*places, strict=True)]
    correlation = spearman(range(len(mean)), mean)
    ages, dealt = centred(range(len(mean))), centred(ranks(mean))
    spread = sqrt(product(ages, ages) * product(dealt, dealt))
    by_chance = []
    for _ in range(DEALS):
        chance.shuffle(dealt)
        by_chance.append(product(ages, dealt) / spread)
    return Fairness(correlation, pstdev(by_chance), len(places), len(mean))


class Crowd:
    """The viewers' connections, the oldest first, every second one at the second server; and what they are told."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self._mark = b"welcome"
        self._told = 0

    def take(self, _wire: Wire, payload: bytes) -> None:
        """Take in a message of any connection."""
        self._told += self._mark in payload

    async def told(self, size: int) -> None:
        """Wait until so many have been told what is waited for."""
        await wait_for(lambda: self._told >= size, f"{size} are told {self._mark!r}", ANSWER_SECONDS)

    async def press(self, drop: str, operation: str, chance: random.Random) -> None:
        """Let everybody ask for a unit at once, in an order of this drop's own, and wait until all are answered."""
        message = pack({"type": "reserve", "id": operation, "drop": drop, "quantity": 1})
        self._mark, self._told = operation.encode(), 0
        for wire in chance.sample(self.wires, len(self.wires)):
            wire.send(message)
        await self.told(len(self.wires))


@asynccontextmanager
async def doors(folder: Path, fault: str = "") -> AsyncIterator[tuple[Stage, Stage]]:
    """Give one live show at two servers on the same data, both with the fault where one is named."""
    listed = folder / "faults"
    await asyncio.to_thread(listed.write_text, fault)
    settings = {"FAULTS": str(listed), **TALKATIVE}
    module = "tests.flows.named.broken" if fault else "server"
    first, second = (ServerProcess(folder / "data", module=module, settings=settings) for _ in range(2))
    try:
        await asyncio.to_thread(first.start)
        await asyncio.to_thread(second.start)
        async with (
            httpx.AsyncClient(base_url=first.url, timeout=30, verify=NO_TLS) as http,
            httpx.AsyncClient(base_url=second.url, timeout=30, verify=NO_TLS) as other,
        ):
            here, there = Stage(first, http), Stage(second, other)
            await here.open()
            there.show = here.show
            yield here, there
    finally:
        await asyncio.to_thread(second.stop)
        await asyncio.to_thread(first.stop)


@asynccontextmanager
async def crowd(here: Stage, there: Stage, names: list[str]) -> AsyncIterator[Crowd]:
    """Connect these viewers in this order, at both servers side by side."""
    one = Crowd()

    async def arrive(stage: Stage, half: list[str]) -> list[Wire]:
        address = f"ws{stage.server.url.removeprefix('http')}/v1/shows/{stage.show}/live"
        hellos = [pack({"type": "hello", "token": stage.viewer(name)}) for name in half]
        return await open_wires(address, hellos, one.take, Codec.MSGPACK.value)

    halves = await asyncio.gather(arrive(here, names[::2]), arrive(there, names[1::2]))
    one.wires = [wire for pair in zip(*halves, strict=True) for wire in pair]
    try:
        await one.told(len(names))
        yield one
    finally:
        await close_wires(one.wires)


async def measured(folder: Path, viewers: int, drops: int, seed: int, fault: str = "") -> Fairness:
    """Measure in a folder of its own, with half as many units as viewers in every drop."""
    chance = random.Random(seed)  # noqa: S311  an order of pressing, no secret
    names = [f"viewer-{age:05d}" for age in range(viewers)]
    operations = [f"press-{number:04d}-" for number in range(drops)]
    async with doors(folder, fault) as (here, there):
        planned = [await here.drop(viewers // 2, opened=False, waitlist=False) for _ in operations]
        async with crowd(here, there, names) as pressing:
            for operation, drop in zip(operations, planned, strict=True):
                await here.move(drop, "open")
                await pressing.press(drop, operation, chance)
        url = here.server.store_url
        async with connect(url) as client:
            awarded = {own: rank for _, own, _, rank in (await look(client, here.show)).awarded()}
        show = here.show
    places = []
    for operation in operations:
        found = [awarded.get(ids.own_part(show, name, operation), 0) for name in names]
        assert sorted(filter(None, found)) == list(range(1, viewers // 2 + 1)), "not every unit was awarded"
        last = (viewers // 2 + 1 + viewers) / 2  # the mean of the places that nobody got
        places.append([rank or last for rank in found])
    return judged(places, chance)
