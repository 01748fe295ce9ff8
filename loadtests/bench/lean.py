"""The peer that calls a script for each reservation: one that was written for exactly that, and is leaner than ours.

It holds in full: replay, state, limit, stock, the hold, its deadline. It keeps no log and tells nobody. Ours, called
for one reservation at a time, pays for being able to take many, so this is the fairer peer.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from loadtests.bench.ground import LIMIT, QUANTITY, BenchError
from loadtests.bench.pipe import PIPELINED, for_seconds, kept_busy, packed
from loadtests.bench.taking import numbers

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from loadtests.bench.ground import Ground
    from loadtests.bench.meter import Way
    from loadtests.bench.turns import Block

SOURCE = """
local drop_key, holds_key, taken_key, expiry_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local reservation, viewer, quantity = ARGV[1], ARGV[2], tonumber(ARGV[3])
local known = redis.call('HGET', holds_key, reservation)
if known then
  return known
end
local terms = redis.call('HMGET', drop_key, 'status', 'limit', 'hold_ms', 'available')
if terms[1] ~= 'open' then
  return 'drop-not-open'
end
if tonumber(redis.call('HGET', taken_key, viewer) or '0') + quantity > tonumber(terms[2]) then
  return 'limit-reached'
end
if tonumber(terms[4]) < quantity then
  return 'out-of-stock'
end
local time = redis.call('TIME')
local expires_at = time[1] * 1000 + math.floor(time[2] / 1000) + terms[3]
local hold = cmsgpack.pack({ 'held', viewer, quantity, expires_at })
redis.call('HSET', holds_key, reservation, hold)
redis.call('HINCRBY', taken_key, viewer, quantity)
redis.call('ZADD', expiry_key, expires_at, reservation)
redis.call('HINCRBY', drop_key, 'available', -quantity)
redis.call('HINCRBY', drop_key, 'held', quantity)
return hold
"""
SHA = hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()  # it is how Redis names a script
HELD = b"\xa4held"
TERMS: dict[Any, Any] = {
    "status": "open",
    "limit": LIMIT,
    "hold_ms": 120_000,
    "available": QUANTITY,
    "held": 0,
}


async def offer(redis: Redis, show: str) -> None:
    """Offer units under a show's name, as this script keeps them."""
    await redis.script_load(SOURCE)
    await redis.hset(_keys(show)[0], mapping=TERMS)


def words(show: str) -> tuple[Any, ...]:
    """Return the words of a call after EVALSHA: the next viewer takes a unit."""
    places, number = _keys(show), next(numbers)
    return (SHA, len(places), *places, f"r{number:012}", f"v{number}", 1)


def held(answer: bytes) -> int:
    """Return 1, as many as were held. Raises BenchError where it was refused."""
    if HELD not in answer:
        raise BenchError(f"A reservation was refused: {answer!r}")
    return 1


def pipelined(ground: Ground) -> Block:
    """Return what adds a block of calls that are sent together, packed and parsed in C."""

    async def block(way: Way, seconds: float) -> None:
        async with ground.shelf() as (show, _):
            await offer(ground.house.client, show)
            with way.measured() as measured:
                measured.units = await kept_busy(
                    ground.redis_url,
                    lambda: packed("EVALSHA", *map(str, words(show))),
                    held,
                    PIPELINED,
                    for_seconds(seconds),
                )
            measured.calls = measured.units

    return block


def _keys(show: str) -> list[str]:
    return [f"lean:{{{show}}}:{name}" for name in ("drop", "holds", "taken", "expiry")]
