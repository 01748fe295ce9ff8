"""Plain reads of Redis with the types that our byte-clients give, and failures as `unavailable`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from server.store.cluster import Cluster
from server.store.redis import meaning, reaching
from server.store.slots import slot_of

if TYPE_CHECKING:
    from server.errors import Problem
    from server.store.redis import Redis

StreamRow = tuple[bytes, dict[bytes, bytes]]

AT_ONCE = 512  # keys of one script: Redis serves nobody else for a quarter of a millisecond
# A read as a script, because hundreds of commands cost their caller sixteen times as much as one.
EARLIEST = """
local scores = {}
for place, key in ipairs(KEYS) do
  local first = redis.pcall('ZRANGE', key, 0, 0, 'WITHSCORES')
  scores[place] = first.err and '0' or first[2] or false
end
return scores
"""


async def fields(client: Redis, name: str, what: str) -> dict[bytes, bytes]:
    """Return a whole hash; empty where there is none. `what` opens the sentence of a failure."""
    with reaching(what):
        return cast("dict[bytes, bytes]", await client.hgetall(name))


async def field(client: Redis, name: str, of: str, what: str) -> bytes | None:
    """Return one field of a hash, or None."""
    with reaching(what):
        return cast("bytes | None", await client.hget(name, of))


async def several(client: Redis, name: str, of: list[str], what: str) -> list[bytes | None]:
    """Return some fields of a hash, None where there is none."""
    with reaching(what):
        return cast("list[bytes | None]", await client.hmget(name, of))


async def several_of_each(
    client: Redis, names: list[str], of: list[str], what: str
) -> list[list[bytes | None] | Problem]:
    """Return the same fields of many hashes; one round trip for all.

    One that the store cannot tell of now, as where a node of a cluster is away, is the `unavailable` Problem. One that
    cannot be read (a bug, a foreign write) counts as gone: whoever then works on it alone meets the error.
    """
    with reaching(what):
        async with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(name, of)
            found: list[Any] = await pipe.execute(raise_on_error=False) if names else []
    return [(meaning(row, what) or [None] * len(of)) if isinstance(row, Exception) else row for row in found]


async def members(client: Redis, name: str, what: str) -> list[str]:
    """Return a set's members in order."""
    with reaching(what):
        found = cast("set[bytes]", await client.smembers(name))
    return sorted(member.decode() for member in found)


async def due(client: Redis, name: str, until: int, limit: int, what: str) -> list[str]:
    """Return up to `limit` members of a sorted set with scores up to `until`, lowest first."""
    with reaching(what):
        found = await client.zrangebyscore(name, "-inf", until, start=0, num=limit)
    return [member.decode() for member in cast("list[bytes]", found)]


async def earliest(client: Redis, names: list[str], what: str) -> list[int | None]:
    """Return the lowest score of each sorted set, None where it is empty; one round trip for all.

    One that cannot be read (a bug, a foreign write) counts as 0: whoever then works on it alone meets the error.
    So do all that are asked of a node of a cluster that is away.
    """
    groups = _groups(client, names)
    with reaching(what):
        async with client.pipeline(transaction=False) as pipe:
            for group in groups:
                pipe.eval(EARLIEST, len(group), *group)
            found: list[Any] = await pipe.execute(raise_on_error=False) if groups else []
    known: dict[str, int | None] = {}
    for group, scores in zip(groups, found, strict=True):
        known |= dict(zip(group, map(_score, [0] * len(group) if _failed(scores) else scores), strict=True))
    return [known[name] for name in names]


def _groups(client: Redis, names: list[str]) -> list[list[str]]:
    """Return the names in lists that one script may read: in a cluster it reads one slot, and a bounded number ever."""
    by_slot: dict[int, list[str]] = {}
    for name in names:
        by_slot.setdefault(slot_of(name) if isinstance(client, Cluster) else 0, []).append(name)
    return [group[at : at + AT_ONCE] for group in by_slot.values() for at in range(0, len(group), AT_ONCE)]


def _failed(scores: Any) -> bool:
    return isinstance(scores, Exception)


def _score(score: Any) -> int | None:
    return None if score is None else int(float(score))


async def newest(client: Redis, name: str, after: str | None, limit: int, what: str) -> list[tuple[str, int]]:
    """Return up to `limit` members of a sorted set with their scores, highest first, from behind `after` on.

    A member that is no longer there has nothing behind it.
    """
    with reaching(what):
        rank = -1 if after is None else await client.zrevrank(name, after)
        if rank is None:
            return []
        start = int(cast("int", rank)) + 1
        found = await client.zrevrange(name, start, start + limit - 1, withscores=True)
    return [(member.decode(), int(score)) for member, score in cast("list[tuple[bytes, float]]", found)]


async def lengths(client: Redis, names: list[str], what: str) -> list[int]:
    """Return how many entries each stream has; one round trip for all.

    One that cannot be read counts as 1: whoever then works on it alone meets the error.
    """
    with reaching(what):
        async with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.xlen(name)
            found: list[Any] = await pipe.execute(raise_on_error=False) if names else []
    return [1 if _failed(count) else int(count) for count in found]


async def stream_after(client: Redis, name: str, offset: int, limit: int, what: str) -> list[StreamRow]:
    """Return up to `limit` entries of a stream after the id `<offset>-0`, oldest first."""
    with reaching(what):
        found: Any = await client.xrange(name, min=f"({offset}-0", count=limit)
    return cast("list[StreamRow]", found)


async def stream_behind(  # noqa: PLR0913  a piece of a stream is its two ends and its size
    client: Redis, name: str, last: str, limit: int, what: str, *, upto: str = "+"
) -> list[StreamRow]:
    """Return up to `limit` entries of a stream behind the id `last`, or from its first on, oldest first.

    None that came behind the id `upto`.
    """
    with reaching(what):
        found: Any = await client.xrange(name, min=f"({last}" if last else "-", max=upto, count=limit)
    return cast("list[StreamRow]", found)


async def stream_drop(client: Redis, name: str, rows: list[StreamRow], what: str) -> None:
    """Take entries out of a stream; those that are gone already are no matter."""
    if rows:
        with reaching(what):
            await client.xdel(name, *(row[0] for row in rows))


async def stream_before(
    client: Redis, name: str, offset: int | None, limit: int, what: str
) -> list[StreamRow]:
    """Return up to `limit` entries of a stream before the id `<offset>-0`, or its newest, newest first."""
    with reaching(what):
        newest = "+" if offset is None else f"({offset}-0"
        found: Any = await client.xrevrange(name, max=newest, count=limit)
    return cast("list[StreamRow]", found)
