"""order_lease: unfinished orders that nobody works on, given to one worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deadlines import end_lease, packed
from tests.lua.scene import LEASE_MS, PROVIDER_MS

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
    assert (leased["outcome"], leased["orders"]) == ("leased", [await scene.order("or_1")])
    assert abs(leased["now"] - await scene.now()) < 5000
    lease = await scene.lease("or_1")
    assert lease is not None
    assert began <= lease - LEASE_MS <= await scene.now()
    assert (await scene.refused("order_lease", lease_ms=LEASE_MS, limit=10))["orders"] == []


async def test_one_step_is_bounded(scene: Scene) -> None:
    """A worker gets the oldest up to its limit; the rest is for the next."""
    drop = await scene.opened()
    for order in ("or_1", "or_2", "or_3"):
        await scene.claimed(await scene.held(drop), order=order)
        await end_lease(scene.client, scene.show, order)
    given = [await scene.run("order_lease", lease_ms=LEASE_MS, limit=2) for _ in range(3)]
    assert [len(answer["orders"]) for answer in given] == [2, 1, 0]


async def test_one_that_waits_for_its_buyer(scene: Scene) -> None:
    """A worker is given it again no later than at its deadline; where that is over, the lease is the usual one."""
    await scene.claimed(await scene.held(await scene.opened()))
    times = {"action_ms": 2000, "provider_ms": PROVIDER_MS, "lease_ms": LEASE_MS}
    await scene.run("order_await", order="or_1", reference="pay_1", url="https://b", **times)
    deadline = (await scene.order("or_1"))["deadline_at"]
    await end_lease(scene.client, scene.show, "or_1")
    await scene.run("order_lease", lease_ms=LEASE_MS, limit=2)
    assert await scene.lease("or_1") == deadline
    record = await scene.order("or_1")
    record["deadline_at"] = await scene.now() - 1
    await scene.client.hset(scene.key("orders"), "or_1", packed(record))
    await end_lease(scene.client, scene.show, "or_1")
    late = await scene.run("order_lease", lease_ms=LEASE_MS, limit=2)
    assert await scene.lease("or_1") == late["now"] + LEASE_MS


async def test_an_order_without_record(scene: Scene) -> None:
    """What is pending and has no record any more is taken off."""
    await scene.opened()
    await scene.client.zadd(scene.key("pending"), {"or_9": 1})
    assert (await scene.run("order_lease", lease_ms=LEASE_MS, limit=2))["orders"] == []
    assert await scene.lease("or_9") is None
