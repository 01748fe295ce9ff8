"""show_pause: live → paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """A paused show tells so; what is held stays held and nothing more can be taken."""
    drop = await scene.opened(3)
    await scene.held(drop)
    async with scene.watched() as told:
        moved = await scene.moved("show_pause")
    assert (moved["show"]["status"], told.kinds) == ("paused", ["show.paused"])
    assert await scene.numbers(drop) == (2, 1, 0)
    assert await scene.refused_step(scene.taking(drop)) == ["show-not-live", "paused"]


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot be paused."""
    assert await scene.refused("show_pause") == {"outcome": "not-found"}


@pytest.mark.parametrize(
    ("scripts", "state"),
    [((), "scheduled"), (("show_start", "show_pause"), "paused"), (("show_end",), "ended")],
)
async def test_wrong_state(scene: Scene, scripts: tuple[str, ...], state: str) -> None:
    """Only a live show can be paused; the answer names the state."""
    await scene.created()
    for script in scripts:
        await scene.moved(script)
    assert await scene.refused("show_pause") == {"outcome": "wrong-state", "state": state}
