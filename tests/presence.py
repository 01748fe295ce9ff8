"""Who is in a show, as Redis has it written down in three ways that must agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.deadlines import packed
from tests.lua.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.redis import Redis


@asynccontextmanager
async def live_scene(url: str) -> AsyncIterator[Scene]:
    """Give a live show; at the end nothing of it may be left that should not be."""
    client = connect(url)
    scene = await Scene(client, Scripts(client)).live()
    try:
        yield scene
        await scene.audit()
        await scene.clear()
    finally:
        await client.aclose()


async def stays(client: Redis, show: str) -> dict[str, set[str]]:
    """Return the viewers by process; assert that leases, stays, counts by viewer and the figure agree."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.zrange(key("present", show=show), 0, -1)
        pipe.hgetall(key("viewers", show=show))
        pipe.hkeys(key("gateways", show=show))
        pipe.hget(key("figures", show=show), "viewers")
        members, counted, processes, figure = await pipe.execute()
    found: defaultdict[str, set[str]] = defaultdict(set)
    for member in members:
        process, _, viewer = member.decode().partition("\0")
        found[process].add(viewer)
    times = Counter(viewer for viewers in found.values() for viewer in viewers)
    assert {viewer.decode(): int(count) for viewer, count in counted.items()} == times
    assert set(found) <= {process.decode() for process in processes}
    assert int(figure or 0) == len(times)
    return dict(found)


async def leases(client: Redis, show: str) -> dict[str, list[int]]:
    """Return each process' end of its lease, ms, and its last turn."""
    found = await reads.fields(client, key("gateways", show=show), "leases")
    return {process.decode(): unpacked(record) for process, record in found.items()}


async def let_lapse(client: Redis, show: str, *processes: str) -> None:
    """Let the leases of these processes be over, of those that are there."""
    for process, (ends, turn) in (await leases(client, show)).items():
        if process in processes and ends:  # 0 says that its viewers are being taken out, and stays
            await client.hset(key("gateways", show=show), process, packed([1, turn]))
