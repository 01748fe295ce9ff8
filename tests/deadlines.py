"""Time that a test does not wait for: deadlines in Redis moved to where the test wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis

EXPIRES_AT = 5  # its place in a hold's record


def packed(record: list[Any]) -> bytes:
    """Return a record as the scripts pack theirs."""
    return bytes(msgpack.packb(record, use_bin_type=False))


async def redis_now(client: Redis) -> int:
    """Return the one clock: Unix milliseconds of the Redis server."""
    seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def move_deadline(client: Redis, show: str, reservation: str, to: int) -> None:
    """Let a hold lapse at `to` (Unix ms): in its record and in the expiry index, in one step."""
    raw = await reads.field(client, key("holds", show=show), reservation, "hold")
    assert raw is not None, f"no hold {reservation}"
    record = unpacked(raw)
    record[EXPIRES_AT] = to
    async with client.pipeline(transaction=True) as pipe:
        pipe.hset(key("holds", show=show), reservation, packed(record))
        pipe.zadd(key("expiry", show=show), {reservation: to}, xx=True)
        await pipe.execute()


async def let_lapse(client: Redis, show: str, *reservations: str) -> None:
    """Put the deadlines of holds a second into the past: the next sweep lets them go."""
    past = await redis_now(client) - 1000
    for reservation in reservations:
        await move_deadline(client, show, reservation, past)


async def end_lease(client: Redis, show: str, order: str) -> None:
    """Put the end of an order's lease into the past, as where its worker died: the next worker resumes it."""
    await client.zadd(key("pending", show=show), {order: await redis_now(client) - 1000}, xx=True)
