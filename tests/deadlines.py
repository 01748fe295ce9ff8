"""Time that a test does not wait for: deadlines in Redis moved to where the test wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

from server import ids
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis

STATE, EXPIRES_AT, DEADLINE = 3, 5, 8  # their places in a hold's record
PAYING = 2
TOLD_AT = 6  # its place in a stock row
GONE = -2  # what TTL says of a key that is no more


def packed(record: Any) -> bytes:
    """Return a record as the scripts pack theirs."""
    return bytes(msgpack.packb(record, use_bin_type=False))


async def redis_now(client: Redis) -> int:
    """Return the one clock: Unix milliseconds of the Redis server."""
    seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def move_deadline(client: Redis, show: str, reservation: str, to: int) -> None:
    """Let a hold lapse at `to` (Unix ms), also one that is being paid: in its record and in the index, in one step."""
    own = ids.own(reservation)
    raw = await reads.field(client, key("holds", show=show), own, "hold")
    assert raw is not None, f"no hold {reservation}"
    record = unpacked(raw)
    record[EXPIRES_AT] = to
    if record[STATE] == PAYING:
        record[DEADLINE] = to
    async with client.pipeline(transaction=True) as pipe:
        pipe.hset(key("holds", show=show), own, packed(record))
        pipe.zadd(key("expiry", show=show), {own: to})
        await pipe.execute()


async def let_lapse(client: Redis, show: str, *reservations: str) -> None:
    """Put the deadlines of holds a second into the past: the next sweep lets them go."""
    past = await redis_now(client) - 1000
    for reservation in reservations:
        await move_deadline(client, show, reservation, past)


async def end_lease(client: Redis, show: str, order: str) -> None:
    """Put the end of an order's lease into the past, as where its worker died: the next worker resumes it."""
    await client.zadd(key("pending", show=show), {order: await redis_now(client) - 1000}, xx=True)


async def let_tell(client: Redis, show: str) -> None:
    """Let every drop's numbers have been told long ago: the next change is told at once."""
    await _told_at(client, show, 0)


async def let_wait(client: Redis, show: str) -> None:
    """Let every drop's numbers have been told just now, for as long as a test may take: the next change waits."""
    await _told_at(client, show, await redis_now(client) + 60_000)


async def _told_at(client: Redis, show: str, at: int) -> None:
    stock = key("stock", show=show)
    for drop, raw in (await reads.fields(client, stock, "stock")).items():
        row = unpacked(raw)
        if row[TOLD_AT]:
            row[TOLD_AT] = at
            await client.hset(stock, drop.decode(), packed(row))


async def going(client: Redis, show: str, seconds: int) -> set[str]:
    """Return the names of a show's keys, each of which must go by itself within so long, or have gone since the look.

    What was planned goes with its last move, as when the last numbers are told.
    """
    names = [name async for name in client.scan_iter(f"ld:{{{show}}}:*")]
    for name in names:
        left = await client.ttl(name)
        assert left == GONE or 0 < left <= seconds, f"{name!r} goes in {left} s"
    return {name.decode().rpartition(":")[2] for name in names}
