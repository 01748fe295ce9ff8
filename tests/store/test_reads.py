"""Reads of many keys in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.store import reads

if TYPE_CHECKING:
    from server.store.redis import Redis


async def test_the_earliest_of_more_indexes_than_one_script_reads(client: Redis) -> None:
    """Each index's lowest score is told, None of an empty one, and 0 of what is no index at all."""
    names = [f"reads {number}" for number in range(2 * reads.AT_ONCE + 1)]
    await client.set(names[0], "foreign")
    for number in (3, reads.AT_ONCE, 2 * reads.AT_ONCE):
        await client.zadd(
            names[number], {"later": 1_800_000_000_123 + number, "soon": 1_700_000_000_123 + number}
        )
    found = await reads.earliest(client, names, "a test")
    expected: list[int | None] = [None] * len(names)
    expected[0] = 0
    for number in (3, reads.AT_ONCE, 2 * reads.AT_ONCE):
        expected[number] = 1_700_000_000_123 + number
    await client.delete(*names)
    assert found == expected
    assert await reads.earliest(client, [], "a test") == []
