"""order_lease: unfinished orders that nobody works on, given to one worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deadlines import end_lease
from tests.lua.scene import LEASE_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_leased(scene: Scene) -> None:
    """An order whose lease is over is given once, under a fresh lease; one that is worked on is not given."""
    drop = await scene.opened()
    for order in ("or_1", "or_2"):
        await scene.claimed(await scene.held(drop), order=order)
    await end_lease(scene.client, scene.show, "or_1")
    began = await scene.now()
    leased = await scene.run("order_lease", lease_ms=LEASE_MS, limit=10)
    assert leased == {"outcome": "leased", "orders": [await scene.order("or_1")]}
    lease = await scene.lease("or_1")
    assert lease is not None
    assert began <= lease - LEASE_MS <= await scene.now()
    nothing = {"outcome": "leased", "orders": []}
    assert await scene.refused("order_lease", lease_ms=LEASE_MS, limit=10) == nothing


async def test_one_step_is_bounded(scene: Scene) -> None:
    """A worker gets the oldest up to its limit; the rest is for the next."""
    drop = await scene.opened()
    for order in ("or_1", "or_2", "or_3"):
        await scene.claimed(await scene.held(drop), order=order)
        await end_lease(scene.client, scene.show, order)
    given = [await scene.run("order_lease", lease_ms=LEASE_MS, limit=2) for _ in range(3)]
    assert [len(answer["orders"]) for answer in given] == [2, 1, 0]


async def test_an_order_without_record(scene: Scene) -> None:
    """What is pending and has no record any more is taken off."""
    await scene.opened()
    await scene.client.zadd(scene.key("pending"), {"or_9": 1})
    assert (await scene.run("order_lease", lease_ms=LEASE_MS, limit=2))["orders"] == []
    assert await scene.lease("or_9") is None
