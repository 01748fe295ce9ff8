"""drop_restock: more units for a drop that is not closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


def more(drop: str, quantity: int = 3, operation: str = "", most: int = 100) -> dict[str, Any]:
    return {"drop": drop, "quantity": quantity, "most": most, "operation": operation}


async def test_moved(scene: Scene) -> None:
    """The units are available at once; event and live number carry the new numbers."""
    drop = await scene.opened(2)
    await scene.held(drop, quantity=2)
    async with scene.watched() as told:
        moved = await scene.moved("drop_restock", **more(drop))
    assert [moved["drop"][name] for name in ("available", "held", "sold", "quantity")] == [3, 2, 0, 5]
    assert (told.kinds, told.events[0]["drop_id"]) == (["drop.restocked"], drop)
    stock, [live] = told.events[0]["stock"], told.stocks
    assert [stock[name] for name in ("available", "held", "sold", "quantity")] == [3, 2, 0, 5]
    assert live == {**stock, "type": "stock.updated", "revision": stock["revision"] + 1}
    await scene.held(drop, quantity=3)


@pytest.mark.parametrize("script", ["", "drop_pause"])
async def test_in_other_states(scene: Scene, script: str) -> None:
    """A drop takes units before it opens and while it is paused."""
    await scene.live()
    drop = await (scene.opened(2) if script else scene.planned(2))
    if script:
        await scene.moved(script, drop=drop)
    await scene.moved("drop_restock", **more(drop))
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_repeating_adds_once(scene: Scene) -> None:
    """The same operation adds its units once, also after the drop was closed; without one each call adds."""
    drop = await scene.opened(2)
    await scene.moved("drop_restock", **more(drop, operation="a"))
    await scene.moved("drop_restock", **more(drop, operation="b"))
    await scene.moved("drop_restock", **more(drop))
    await scene.moved("drop_restock", **more(drop))
    await scene.moved("drop_close", drop=drop, by="host")
    again = await scene.refused("drop_restock", **more(drop, operation="a"))
    assert (again["outcome"], again["drop"]["quantity"]) == ("moved", 14)


async def test_an_operation_is_of_one_drop(scene: Scene) -> None:
    """The same operation id on another drop is another restock."""
    first, second = await scene.opened(1), await scene.opened(1)
    await scene.moved("drop_restock", **more(first, operation="a"))
    await scene.moved("drop_restock", **more(second, operation="a"))
    assert (await scene.numbers(first), await scene.numbers(second)) == ((4, 0, 0), (4, 0, 0))


async def test_it_can_sell_out_again_at_once(scene: Scene) -> None:
    """After a restock the log tells a sell-out even within the second in which it told the last one."""
    drop = await scene.opened(1)
    await scene.held(drop)
    await scene.moved("drop_restock", **more(drop, 1))
    async with scene.watched() as told:
        await scene.held(drop)
    assert told.kinds == ["drop.sold_out"]


async def test_who_waits_is_served_first(scene: Scene) -> None:
    """The event has the units as they came, the live number what is left once those who wait have theirs."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    anns, bobs = await scene.joined(drop, "ann", "bob")
    async with scene.watched() as told:
        moved = await scene.moved("drop_restock", **more(drop, 3))
    assert told.events[0]["stock"]["available"] == 3
    assert [(stock["available"], stock["held"], stock["waitlist_length"]) for stock in told.stocks] == [
        (1, 3, 0)
    ]
    assert told.states == [(anns, "held"), (bobs, "held")]
    assert (moved["drop"]["available"], moved["drop"]["waitlist_length"]) == (1, 0)


async def test_a_restock_that_is_gone_at_once_is_told(scene: Scene) -> None:
    """Where those who wait take all of it, the log says that it is sold out again, after the restock."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    await scene.joined(drop, "ann", quantity=2)
    async with scene.watched() as told:
        await scene.moved("drop_restock", **more(drop, 1))
    assert told.kinds == ["drop.restocked", "drop.sold_out"]


async def test_limit_reached(scene: Scene) -> None:
    """A drop takes units up to its bound, and says how many it has where they would be too many."""
    drop = await scene.opened(2)
    refused = await scene.refused("drop_restock", **more(drop, 9, "a", most=10))
    assert refused == {"outcome": "limit-reached", "limit": 10, "quantity": 2}
    await scene.moved("drop_restock", **more(drop, 8, "a", most=10))


async def test_waves_count_for_the_bound(scene: Scene) -> None:
    """Units of waves that are still to come are spoken for; once released they are counted once."""
    drop = await scene.opened(2, waves=[{"quantity": 5}])
    refused = await scene.refused("drop_restock", **more(drop, 4, most=10))
    assert refused == {"outcome": "limit-reached", "limit": 10, "quantity": 7}
    await scene.moved("drop_wave", drop=drop, by="host")
    await scene.moved("drop_restock", **more(drop, 3, most=10))


async def test_wrong_state(scene: Scene) -> None:
    """A closed drop takes no units."""
    drop = await scene.opened()
    await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused("drop_restock", **more(drop)) == {"outcome": "wrong-state", "state": "closed"}


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there takes no units."""
    await scene.live()
    assert await scene.refused("drop_restock", **more("dr_none")) == {"outcome": "not-found"}
