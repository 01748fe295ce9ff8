"""A live show's mix: an event of the log each second, and live numbers, 20 messages a second together.

Ours gathers live numbers for its flush window and may skip older ones; the raw loop writes each message to each
viewer. Both are judged by what the show said: CPU per message published and viewer. What the viewers of ours got of
it, and in how many reads, stands beside.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.bench.crowd import crowd, quiet
from loadtests.bench.ground import BenchError
from loadtests.bench.tellers import RAW, Switch, Teller, gather, tellers
from server.ids import new_drop
from server.protocol.codec import pack
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

PER_SECOND = 20
DROPS = 3  # whose stock changes


@dataclass(slots=True)
class Mixed:
    """One way through the mix, and what its viewers got: each of them, of `published` messages."""

    teller: Teller
    numbers: Iterator[bytes]
    published: int = 0
    received: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)


async def measure(ground: Ground, sizes: Sizes) -> list[Mixed]:
    """Return ours and the raw loop; their blocks take turns."""
    async with tellers(ground, [RAW]) as found:
        with crowd(ground.folder) as viewers:
            await gather(ground, found, viewers, sizes.viewers)
            mixed = [Mixed(teller, _numbers(teller.switch.show)) for teller in found]
            for number in range(1, sizes.blocks + 1):
                for one in mixed:
                    ground.say(
                        f"round {number} of {sizes.blocks}: {one.teller.name}, {sizes.mix_seconds:g} s"
                    )
                    await _block(ground, one, sizes.mix_seconds)
    return mixed


async def _block(ground: Ground, mixed: Mixed, seconds: float) -> None:
    teller, before = mixed.teller, await _counted(mixed.teller)
    with teller.telling.measured() as block:
        mixed.published = await _show(ground, teller.switch, mixed.numbers, seconds)
        await quiet(*teller.groups)
        block.units = mixed.published * teller.viewers
    after = await _counted(teller)
    received, reads = (after[name] - before[name] for name in ("messages", "reads"))
    if teller.name == RAW and received != block.units:
        raise BenchError(f"The raw loop delivered {received} of {block.units} messages.")
    mixed.received.append(received / teller.viewers)
    mixed.reads.append(reads / teller.viewers)


async def _show(ground: Ground, switch: Switch, numbers: Iterator[bytes], seconds: float) -> int:
    """Let the show talk, evenly; return how many messages it said."""
    channel = key("live", show=switch.show)
    count, began = round(seconds * PER_SECOND), time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        if number % PER_SECOND == 0:
            await switch.turn()
        else:
            await ground.house.client.spublish(channel, next(numbers))
    return count


def _numbers(show: str) -> Iterator[bytes]:
    """Yield live numbers as the scripts publish them: each drop's stock, the viewers, the reactions, in turn."""
    drops = [new_drop(show) for _ in range(DROPS)]
    for revision in itertools.count(1):
        for drop in drops:
            counts = {"available": 900 - revision, "held": revision, "sold": 100, "quantity": 1000}
            stock = {"type": "stock.updated", "drop_id": drop, **counts, "revision": revision}
            yield f"s{drop}\n".encode() + pack(stock)
        yield b"c\n" + pack({"type": "viewers.updated", "count": 2000 + revision})
        yield b"r\n" + pack({"type": "reactions", "counts": {"heart": 10 * revision, "fire": revision}})


async def _counted(teller: Teller) -> dict[str, int]:
    counted = [await group.counters() for group in teller.groups]
    return {name: sum(each[name] for each in counted) for name in ("messages", "reads")}
