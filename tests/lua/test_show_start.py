"""show_start: scheduled → live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """A scheduled show goes live, and the log says since when."""
    await scene.created()
    async with scene.watched() as told:
        moved = await scene.moved("show_start")
    assert moved["show"]["status"] == "live"
    assert told.events == [{"type": "show.started", "offset": 1, "at": moved["show"]["started_at"]}]


async def test_not_found(scene: Scene) -> None:
    """A show that is not there is not made by the way."""
    assert await scene.refused("show_start") == {"outcome": "not-found"}


@pytest.mark.parametrize(("script", "state"), [("", "live"), ("show_pause", "paused"), ("show_end", "ended")])
async def test_wrong_state(scene: Scene, script: str, state: str) -> None:
    """A show starts once; from every later state the answer names that state."""
    await scene.live()
    if script:
        await scene.moved(script)
    assert await scene.refused("show_start") == {"outcome": "wrong-state", "state": state}
