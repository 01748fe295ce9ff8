"""The script that reserves, called with a fixed number of reservations and nothing around it: what Redis can do.

The words of a call are packed as the server packs them; answers are only counted, so the caller costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgpack

from loadtests.bench.ground import BenchError
from loadtests.bench.pipe import Depth, call, for_seconds, kept_busy
from loadtests.bench.taking import numbers
from server.inventory.asks import reserve
from server.inventory.batch import Terms, packed
from server.store.answers import unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.bench.ground import Ground
    from loadtests.bench.meter import Way
    from loadtests.bench.turns import Block

SCRIPT = "hold_batch"
MOST = 256  # reservations that the server sends in one call
TERMS = Terms(claim_ms=30_000, most_waiting=10_000, skip_absent=False, addresses=False)
WHOLE = Depth(per_write=1, under_way=3)  # Redis always finds the next call waiting


def in_calls_of(ground: Ground, size: int, depth: Depth) -> Block:
    """Return what adds a block of calls with exactly so many reservations, each a viewer's of their own."""

    async def block(way: Way, seconds: float) -> None:
        await ground.house.client.script_load(ground.house.scripts[SCRIPT].source)
        async with ground.shelf() as (show, drop):
            calls = 0

            def command() -> bytes:
                nonlocal calls
                calls += 1
                return batch(ground, show, drop, strangers(size))

            with way.measured() as measured:
                measured.units = await kept_busy(ground.redis_url, command, held, depth, for_seconds(seconds))
            measured.calls = calls
        if measured.units != size * calls:
            raise BenchError(f"Of {size * calls} reservations only {measured.units} were held.")

    return block


def batch(ground: Ground, show: str, drop: str, viewers: Sequence[str]) -> bytes:
    """Return the call, as Redis reads it, in which each of the viewers reserves a unit."""
    return call(ground.house.scripts[SCRIPT], show, batch=asked(show, drop, viewers))


def asked(show: str, drop: str, viewers: Sequence[str]) -> bytes:
    """Return what a call says in which each of the viewers reserves a unit, packed."""
    asks = [reserve(show, viewer, f"op-{next(numbers)}", drop, 1) for viewer in viewers]
    return bytes(msgpack.packb(packed(asks, TERMS), use_bin_type=False))


def strangers(count: int) -> list[str]:
    """Return so many viewers who were never seen before."""
    return [f"v{next(numbers)}" for _ in range(count)]


def held(answer: bytes) -> int:
    """Return how many reservations of a call's answer were held: of those it tells the rank."""
    return sum(type(outcome) is int for outcome in unpacked(answer)["out"])
