"""drop_resume: paused → open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """Units of a paused drop can be taken again."""
    drop = await scene.opened(3)
    await scene.moved("drop_pause", drop=drop)
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        moved = await scene.moved("drop_resume", drop=drop)
    assert moved["drop"]["revision"] == await scene.revision(drop) > revision
    assert [(event["type"], event["drop_id"]) for event in told.events] == [("drop.resumed", drop)]
    assert moved["drop"]["status"] == "open"
    await scene.held(drop)


async def test_who_waits_is_served_first(scene: Scene) -> None:
    """What came back meanwhile goes to who waits, in the same step; only the rest is anybody's."""
    drop = await scene.opened(2)
    held = await scene.held(drop, "zoe", 2)
    await scene.moved("drop_pause", drop=drop)
    [anns] = await scene.joined(drop, "ann")
    await scene.released(held, "zoe")
    async with scene.watched() as told:
        await scene.moved("drop_resume", drop=drop)
    assert (told.kinds, told.states) == (["drop.resumed"], [(anns, "held")])
    assert [(stock["available"], stock["waitlist_length"]) for stock in told.stocks] == [(1, 0)]
    await scene.held(drop, "bob")


@pytest.mark.parametrize("state", ["scheduled", "open", "closed"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """Only a paused drop can go on; the answer names the state."""
    await scene.live()
    drop = await (scene.planned() if state == "scheduled" else scene.opened())
    if state == "closed":
        await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused("drop_resume", drop=drop) == {"outcome": "wrong-state", "state": state}


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there cannot go on."""
    await scene.live()
    assert await scene.refused("drop_resume", drop="dr_none") == {"outcome": "not-found"}
