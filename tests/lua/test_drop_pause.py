"""drop_pause: open → paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """A paused drop keeps what is held and lets nothing more be taken."""
    drop = await scene.opened(3)
    await scene.held(drop)
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        moved = await scene.moved("drop_pause", drop=drop)
    assert moved["drop"]["revision"] == await scene.revision(drop) > revision
    assert [(event["type"], event["drop_id"]) for event in told.events] == [("drop.paused", drop)]
    assert (moved["drop"]["status"], await scene.numbers(drop)) == ("paused", (2, 1, 0))
    refused = await scene.refused_step(scene.taking(drop))
    assert refused[:2] == ["drop-not-open", "paused"]


@pytest.mark.parametrize("state", ["scheduled", "paused", "closed"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """Only an open drop can be paused; the answer names the state."""
    await scene.live()
    drop = await (scene.planned() if state == "scheduled" else scene.opened())
    if state == "paused":
        await scene.moved("drop_pause", drop=drop)
    if state == "closed":
        await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused("drop_pause", drop=drop) == {"outcome": "wrong-state", "state": state}


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there cannot be paused."""
    await scene.live()
    assert await scene.refused("drop_pause", drop="dr_none") == {"outcome": "not-found"}
