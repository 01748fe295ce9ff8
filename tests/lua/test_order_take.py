"""order_take: who heard that a payment may have moved gets its order, unless somebody works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deadlines import end_lease
from tests.lua.scene import LEASE_MS, PROVIDER_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene
    from tests.lua.written import Fields


def asking(fresh_ms: int = 0) -> Fields:
    """Return the arguments that ask for the order."""
    return {"order": "or_1", "fresh_ms": fresh_ms, "lease_ms": LEASE_MS}


async def acting(scene: Scene) -> None:
    """Let an order wait for its buyer."""
    await scene.claimed(await scene.held(await scene.opened()))
    times = {"action_ms": 600_000, "provider_ms": PROVIDER_MS, "lease_ms": LEASE_MS}
    answer = await scene.run("order_await", order="or_1", reference="pay_1", url="https://b", **times)
    assert answer["outcome"] == "waits"


async def test_taken(scene: Scene) -> None:
    """An order that nobody works on any more comes under a fresh lease."""
    await scene.claimed(await scene.held(await scene.opened()))
    await end_lease(scene.client, scene.show, "or_1")
    answer = await scene.run("order_take", **asking())
    assert (answer["outcome"], answer["order"]) == ("taken", await scene.order("or_1"))
    lease = await scene.lease("or_1")
    assert lease == answer["now"] + LEASE_MS


async def test_busy(scene: Scene) -> None:
    """One that somebody works on is theirs."""
    await scene.claimed(await scene.held(await scene.opened()))
    assert await scene.refused("order_take", **asking()) == {"outcome": "busy"}


async def test_one_that_waits_for_its_buyer_is_anybodys(scene: Scene) -> None:
    """A webhook and the buyer's return may come in any order: both get it, and a worker's turn stays as it is."""
    await acting(scene)
    before = await scene.lease("or_1")
    for _ in range(2):
        answer = await scene.run("order_take", **asking())
        assert (answer["outcome"], answer["order"]["step"]) == ("taken", "acting")
    assert await scene.lease("or_1") == before


async def test_a_fresh_look_is_good_for_a_while(scene: Scene) -> None:
    """Who only asks how it stands hears what was found just now."""
    await acting(scene)
    assert (await scene.run("order_take", **asking(60_000)))["outcome"] == "taken"
    assert await scene.refused("order_take", **asking(60_000)) == {"outcome": "busy"}
    assert (await scene.run("order_take", **asking()))["outcome"] == "taken"


async def test_gone(scene: Scene) -> None:
    """There is nothing to take of an order that is settled, undone, or never was."""
    assert await scene.refused("order_take", **asking()) == {"outcome": "gone"}
    await scene.authorized(await scene.held(await scene.opened()))
    await scene.stepped("or_1", "authorized", "undoing")
    await scene.run("hold_unclaim", order="or_1")
    assert await scene.refused("order_take", **asking()) == {"outcome": "gone"}
