"""drop_create: a scheduled drop in a show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from tests.lua.scene import PRICE

if TYPE_CHECKING:
    from tests.lua.scene import Scene

SOON, LATER = 2_000_000_000_000, 2_000_000_060_000


async def test_created(scene: Scene) -> None:
    """All units are available, its terms are kept, and its planned moves are due at their times."""
    await scene.created()
    drop = ids.new_drop(scene.show)
    async with scene.watched() as told:
        made = await scene.run("drop_create", **scene.plan(drop, 7, opens_at=SOON, closes_at=LATER))
    view = made["drop"]
    assert (made["outcome"], view["status"], view["waitlist_length"]) == ("created", "scheduled", 0)
    assert [view[name] for name in ("available", "held", "sold", "quantity")] == [7, 0, 0, 7]
    assert (view["sku"], view["unit_price"], view["hold_seconds"]) == ("MUG", PRICE, 60)
    assert (told.kinds, told.events[0]["drop"]) == (["drop.scheduled"], view)
    assert view["created_at"] == told.events[0]["at"]
    assert await scene.due() == {f"open {drop}": SOON, f"close {drop}": LATER}


async def test_without_planned_times(scene: Scene) -> None:
    """A drop without times has no planned move."""
    await scene.created()
    await scene.planned()
    assert not await scene.client.exists(scene.key("due"))


async def test_replayed(scene: Scene) -> None:
    """The same id again, even after the show's end, returns the drop as it is now."""
    drop = await scene.opened(7)
    await scene.held(drop)
    await scene.moved("show_end")
    again = await scene.refused("drop_create", **scene.plan(drop, 99))
    assert again["outcome"] == "replayed"
    assert (again["drop"]["status"], again["drop"]["available"], again["drop"]["held"]) == ("closed", 6, 1)


async def test_not_found(scene: Scene) -> None:
    """A show that is not there takes no drop."""
    refused = await scene.refused("drop_create", **scene.plan(ids.new_drop(scene.show)))
    assert refused == {"outcome": "not-found"}


async def test_wrong_state(scene: Scene) -> None:
    """A show that has ended takes no new drop."""
    await scene.live()
    await scene.moved("show_end")
    refused = await scene.refused("drop_create", **scene.plan(ids.new_drop(scene.show)))
    assert refused == {"outcome": "wrong-state", "state": "ended"}


async def test_limit_reached(scene: Scene) -> None:
    """A show takes as many drops as it may have and not one more."""
    await scene.created()
    await scene.planned()
    plan = scene.plan(ids.new_drop(scene.show), most=2)
    assert (await scene.run("drop_create", **plan))["outcome"] == "created"
    refused = await scene.refused("drop_create", **scene.plan(ids.new_drop(scene.show), most=2))
    assert refused == {"outcome": "limit-reached", "limit": 2}
