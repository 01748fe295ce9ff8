"""Stray keys found: every key in Redis must be one of the dictionary, of its type, and sure to go one day."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

from server.auth import MAX_TTL_SECONDS
from server.shows.shows import KEPT_AFTER_END_MS
from server.store.keys import KEYS, Key, Lifetime, key
from server.store.redis import connect
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.store.redis import Redis

LONGEST_MS = KEPT_AFTER_END_MS  # nothing with a TTL lives longer than this, but what is about tokens
STORED_AS = {"hyperloglog": "string"}  # what Redis calls a type of the dictionary
SETTLE_SECONDS = 5.0  # a show's birth and retirement take two steps


def _pattern(kind: Key) -> re.Pattern[str]:
    parts = []
    for literal, name, _spec, _conversion in Formatter().parse(kind.pattern):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(rf"(?P<{name}>[^{{}}:]+)")
    return re.compile("".join(parts))


PATTERNS = {name: (kind, _pattern(kind)) for name, kind in KEYS.items() if kind.lifetime is not Lifetime.NONE}


async def leaks(client: Redis) -> list[str]:
    """Return a sentence for every key that should not be, or not so: none where all is in order.

    A key must match one pattern of the dictionary and have its type. It must have a TTL of at most a day, or be
    permanent by the dictionary, or belong to a show that workers still look after.
    """
    places = sorted([place async for place in client.scan_iter(count=1000)])
    async with client.pipeline(transaction=True) as pipe:
        pipe.smembers(key("active"))
        for place in places:
            pipe.type(place)
            pipe.pttl(place)
        active, *told = await pipe.execute()
    found = [
        _complaint(place.decode(), kind.decode(), ttl, {show.decode() for show in active})
        for place, kind, ttl in zip(places, told[::2], told[1::2], strict=True)
        if kind != b"none"  # it expired between the two looks
    ]
    return [complaint for complaint in found if complaint]


def _complaint(place: str, kind: str, ttl: int, active: set[str]) -> str:
    """Return what is wrong with one key, or an empty string. `ttl` is in ms, -1 for none."""
    matches = [(known, match) for known, pattern in PATTERNS.values() if (match := pattern.fullmatch(place))]
    if not matches:
        return f"{place} is in no dictionary"
    known, match = matches[0]
    expected = STORED_AS.get(known.type, known.type)
    if kind != expected:
        return f"{place} is a {kind}, the dictionary says {expected}"
    kept = known.lifetime is Lifetime.PERMANENT
    looked_after = known.lifetime is Lifetime.SHOW and match["show"] in active
    if ttl < 0:
        return "" if kept or looked_after else f"{place} has no TTL and nobody looks after it"
    if kept:
        return f"{place} is permanent, yet goes in {ttl} ms"
    if known.lifetime is Lifetime.TOKEN and ttl <= MAX_TTL_SECONDS * 1000:
        return ""
    return f"{place} goes in {ttl} ms, later than a day" if ttl > LONGEST_MS else ""


async def assert_no_leaks(redis_url: str, settle_seconds: float = SETTLE_SECONDS) -> None:
    """Assert that the Redis at the URL holds no leaked key; what is half-way gets a few seconds to settle."""
    client = connect(redis_url)
    found: list[str] = []

    async def clean() -> bool:
        found[:] = await leaks(client)
        return not found

    try:
        await wait_for(clean, "no leaked key", settle_seconds)
    except AssertionError:
        raise AssertionError("leaked keys:\n" + "\n".join(found)) from None
    finally:
        await client.aclose()
