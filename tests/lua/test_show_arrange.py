"""show_arrange: the order in which the drops are to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.store.answers import unpacked

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """Everybody is told the new order, and who joins finds it in the show; the one before is replaced."""
    await scene.created()
    first, second, third = [await scene.planned() for _ in range(3)]
    for order in ([second, first], [third, first, second], []):
        async with scene.watched() as told:
            await scene.moved("show_arrange", drops=order)
        assert [(event["type"], event["drops"]) for event in told.events] == [("show.arranged", order)]
        reply = await scene.scripts.run("show_join", {"show": scene.show}, viewers=["ann"], snapshot=1)
        assert unpacked(reply[0])["snapshot"]["show"]["run"] == order


async def test_a_show_that_nobody_arranged_has_no_order(scene: Scene) -> None:
    """Until a host says so there is none."""
    await scene.created()
    reply = await scene.scripts.run("show_join", {"show": scene.show}, viewers=["ann"], snapshot=1)
    assert "run" not in unpacked(reply[0])["snapshot"]["show"]


async def test_not_found(scene: Scene) -> None:
    """Neither a show nor a drop that is not there is arranged; the answer names the drop."""
    assert await scene.refused("show_arrange", drops=[]) == {"outcome": "not-found"}
    await scene.created()
    drops = [await scene.planned(), "dr_none"]
    assert await scene.refused("show_arrange", drops=drops) == {"outcome": "not-found", "drop": "dr_none"}


async def test_wrong_state(scene: Scene) -> None:
    """In a show that has ended nothing is to come."""
    await scene.live()
    drop = await scene.planned()
    await scene.moved("show_end")
    refused = await scene.refused("show_arrange", drops=[drop])
    assert refused == {"outcome": "wrong-state", "state": "ended"}
