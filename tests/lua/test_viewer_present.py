"""viewer_present: who is here, by viewer, under a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.keys import LONGEST_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene

LEASE_MS = 60_000


async def count(
    scene: Scene, here: list[str], left: list[str] | None = None, lease_ms: int = LEASE_MS
) -> int:
    answer = await scene.run("viewer_present", here=here, left=left or [], lease_ms=lease_ms)
    assert answer["outcome"] == "counted"
    viewers: int = answer["count"]
    return viewers


async def test_counted(scene: Scene) -> None:
    """A viewer counts once; who left does not count; every change of the number is told."""
    await scene.live()
    async with scene.watched() as told:
        assert await count(scene, ["ann", "bob"]) == 2
        assert await count(scene, ["ann", "cat"], ["bob"]) == 2
        assert await count(scene, [], ["ann"]) == 1
    assert told.counts == [
        {"type": "viewers.updated", "count": 2},
        {"type": "viewers.updated", "count": 1},
    ]
    assert (await scene.figure("viewers"), await scene.figure("peak_viewers")) == (1, 2)
    assert await scene.client.pfcount(scene.key("audience")) == 3


async def test_a_renewed_viewer_is_no_news(scene: Scene) -> None:
    """Renewing who is here extends the lease and tells nobody."""
    await scene.live()
    await count(scene, ["ann"])
    before = await scene.client.zscore(scene.key("present"), "ann")
    async with scene.watched() as told:
        assert await count(scene, ["ann"], lease_ms=2 * LEASE_MS) == 1
    after = await scene.client.zscore(scene.key("present"), "ann")
    assert told.nothing
    assert before is not None
    assert after is not None
    assert after >= before + LEASE_MS


async def test_a_lease_ends(scene: Scene) -> None:
    """A viewer of whom nothing was heard for the length of the lease counts no more."""
    await scene.live()
    await count(scene, ["ann", "bob"])
    await scene.client.zadd(scene.key("present"), {"ann": await scene.now()})
    assert await count(scene, []) == 1


async def test_a_show_that_goes_gets_no_keys(scene: Scene) -> None:
    """In a show that is gone, or has its TTL, nothing is written and nobody counts."""
    nobody = {"outcome": "counted", "count": 0}
    assert await scene.refused("viewer_present", here=["ann"], left=[], lease_ms=LEASE_MS) == nobody
    await scene.live()
    await scene.client.pexpire(scene.key("show"), LONGEST_MS)
    assert await scene.refused("viewer_present", here=["ann"], left=[], lease_ms=LEASE_MS) == nobody
