"""The parts of a run by name: each measures, and gives its table and its goals."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from loadtests.bench import (
    batches,
    buying,
    fanout,
    figures,
    flash,
    goals,
    growth,
    hanging,
    inbound,
    latency,
    memory,
    mix,
    paying,
    plot,
    report,
    returning,
    stock,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.table import Table

    from loadtests.bench.figures import Named
    from loadtests.bench.goals import Goal
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part found: its tables, its goals, its figures, and a picture (SVG) where it has one."""

    tables: list[Table]
    goals: list[Goal]
    figures: list[Named]
    picture: str = ""


class Part(StrEnum):
    """What can be measured by itself."""

    STOCK = "stock"
    BATCHES = "batches"
    LATENCY = "latency"
    GROWTH = "growth"
    BUYING = "buying"
    FANOUT = "fanout"
    MIX = "mix"
    MEMORY = "memory"
    INBOUND = "inbound"
    SWEEP = "sweep"
    RETURNING = "returning"
    PAYING = "paying"
    HANGING = "hanging"
    LOAD = "load"


class Group(StrEnum):
    """The parts that belong together."""

    ALL = "all"
    INVENTORY = "inventory"
    GATEWAY = "gateway"
    CHECKOUT = "checkout"
    LOAD = "load"


INVENTORY = [Part.STOCK, Part.BATCHES, Part.LATENCY, Part.GROWTH, Part.BUYING]
CHECKOUT = [Part.PAYING, Part.HANGING]
LOAD = [Part.LOAD]
GROUPS = {
    Group.ALL: list(Part),
    Group.INVENTORY: INVENTORY,
    Group.GATEWAY: [part for part in Part if part not in INVENTORY + CHECKOUT + LOAD],
    Group.CHECKOUT: CHECKOUT,
    Group.LOAD: LOAD,
}


async def _stock(ground: Ground, sizes: Sizes) -> Outcome:
    ways = await stock.measure(ground, sizes)
    return Outcome([report.stock(ways)], goals.of_stock(ways), figures.of_ways(ways.ways))


async def _batches(ground: Ground, sizes: Sizes) -> Outcome:
    measured = await batches.measure(ground, sizes)
    ways = [way for batch in measured for way in (batch.ours, batch.script)]
    return Outcome([report.batches(measured)], [], figures.of_ways(ways))


async def _latency(ground: Ground, sizes: Sizes) -> Outcome:
    curves = await latency.measure(ground, sizes)
    note = f"{os.cpu_count()} cores, one Redis on loopback; medians of {sizes.blocks} rounds, thin lines: their spread"
    return Outcome([report.latency(curves)], [], figures.of_latency(curves), plot.picture(curves, note))


async def _growth(ground: Ground, sizes: Sizes) -> Outcome:
    grown = await growth.measure(ground, sizes)
    return Outcome(report.growth(grown), goals.of_growth(grown), figures.of_growth(grown))


async def _buying(ground: Ground, sizes: Sizes) -> Outcome:
    ways = await buying.measure(ground, sizes)
    return Outcome([report.buying(ways, sizes.buyers)], goals.of_buying(ways), figures.of_ways(ways))


async def _fanout(ground: Ground, sizes: Sizes) -> Outcome:
    told = await fanout.measure(ground, sizes)
    return Outcome([report.fanout(told, sizes.viewers)], goals.of_fanout(told), figures.of_fanout(told))


async def _mix(ground: Ground, sizes: Sizes) -> Outcome:
    mixed = await mix.measure(ground, sizes)
    return Outcome([report.mix(mixed, sizes.mix_seconds)], goals.of_mix(mixed), figures.of_mix(mixed))


async def _memory(ground: Ground, sizes: Sizes) -> Outcome:
    weights = await memory.measure(ground, sizes)
    few, many = await memory.told(ground, sizes)
    return Outcome(
        report.memory(weights, few, many),
        goals.of_memory(weights, few, many, sizes.crowd),
        figures.of_memory(weights, few, many),
    )


async def _inbound(ground: Ground, sizes: Sizes) -> Outcome:
    heard = await inbound.measure(ground, sizes)
    return Outcome([report.inbound(heard, sizes.talkers)], goals.of_inbound(heard), figures.of_inbound(heard))


async def _sweep(ground: Ground, sizes: Sizes) -> Outcome:
    swept = await sweep.measure(ground, sizes)
    return Outcome(
        [report.sweep(swept, sizes.crowd)], goals.of_sweep(swept, sizes.crowd), figures.of_sweep(swept)
    )


async def _returning(ground: Ground, sizes: Sizes) -> Outcome:
    back = await returning.measure(ground, sizes)
    return Outcome([report.returning(back)], goals.of_returning(back), figures.of_returning(back))


async def _paying(ground: Ground, sizes: Sizes) -> Outcome:
    measured = await paying.measure(ground, sizes)
    return Outcome(
        [report.paying(measured, sizes.payers)], goals.of_paying(measured), figures.of_paying(measured)
    )


async def _hanging(ground: Ground, sizes: Sizes) -> Outcome:
    measured = await hanging.measure(ground, sizes)
    return Outcome([report.hanging(measured)], goals.of_hanging(measured), figures.of_hanging(measured))


async def _load(ground: Ground, sizes: Sizes) -> Outcome:
    run = await flash.measure(ground, sizes)
    return Outcome([report.load(run)], goals.of_load(run), figures.of_load(run))


PARTS: dict[Part, Callable[[Ground, Sizes], Awaitable[Outcome]]] = {
    Part.STOCK: _stock,
    Part.BATCHES: _batches,
    Part.LATENCY: _latency,
    Part.GROWTH: _growth,
    Part.BUYING: _buying,
    Part.FANOUT: _fanout,
    Part.MIX: _mix,
    Part.MEMORY: _memory,
    Part.INBOUND: _inbound,
    Part.SWEEP: _sweep,
    Part.RETURNING: _returning,
    Part.PAYING: _paying,
    Part.HANGING: _hanging,
    Part.LOAD: _load,
}
