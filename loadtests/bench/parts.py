"""The parts of a run by name: each measures, and gives its table and its goals."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from loadtests.bench import buying, fanout, goals, inbound, memory, mix, report, returning, stock, sweep
from loadtests.bench.ground import OURS, PEER, REDIS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.table import Table

    from loadtests.bench.goals import Goal
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

    Outcome = tuple[Table, list[Goal]]


class Part(StrEnum):
    """What can be measured by itself."""

    STOCK = "stock"
    BUYING = "buying"
    FANOUT = "fanout"
    MIX = "mix"
    MEMORY = "memory"
    INBOUND = "inbound"
    SWEEP = "sweep"
    RETURNING = "returning"


class Group(StrEnum):
    """The parts that belong together."""

    ALL = "all"
    SELLING = "selling"
    GATEWAY = "gateway"


SELLING = [Part.STOCK, Part.BUYING]
GROUPS = {
    Group.ALL: list(Part),
    Group.SELLING: SELLING,
    Group.GATEWAY: [part for part in Part if part not in SELLING],
}


async def _stock(ground: Ground, sizes: Sizes) -> Outcome:
    ways = await stock.measure(ground, sizes)
    title = "Reservations through one Redis"
    return report.rates(title, ways, REDIS, stock.CALLER), goals.of_stock(ways)


async def _buying(ground: Ground, sizes: Sizes) -> Outcome:
    ways = await buying.measure(ground, sizes)
    title = f"Reservations over {sizes.buyers} websockets"
    return report.rates(title, ways, OURS, PEER, REDIS), goals.of_buying(ways)


async def _fanout(ground: Ground, sizes: Sizes) -> Outcome:
    told = await fanout.measure(ground, sizes)
    return report.fanout(told, sizes.viewers), goals.of_fanout(told)


async def _mix(ground: Ground, sizes: Sizes) -> Outcome:
    mixed = await mix.measure(ground, sizes)
    return report.mix(mixed, sizes.mix_seconds), goals.of_mix(mixed)


async def _memory(ground: Ground, sizes: Sizes) -> Outcome:
    weights = await memory.measure(ground, sizes)
    return report.memory(weights), goals.of_memory(weights, sizes.crowd)


async def _inbound(ground: Ground, sizes: Sizes) -> Outcome:
    heard = await inbound.measure(ground, sizes)
    return report.inbound(heard, sizes.talkers), goals.of_inbound(heard)


async def _sweep(ground: Ground, sizes: Sizes) -> Outcome:
    swept = await sweep.measure(ground, sizes)
    return report.sweep(swept, sizes.crowd), goals.of_sweep(swept, sizes.crowd)


async def _returning(ground: Ground, sizes: Sizes) -> Outcome:
    back = await returning.measure(ground, sizes)
    return report.returning(back), goals.of_returning(back)


PARTS: dict[Part, Callable[[Ground, Sizes], Awaitable[Outcome]]] = {
    Part.STOCK: _stock,
    Part.BUYING: _buying,
    Part.FANOUT: _fanout,
    Part.MIX: _mix,
    Part.MEMORY: _memory,
    Part.INBOUND: _inbound,
    Part.SWEEP: _sweep,
    Part.RETURNING: _returning,
}
