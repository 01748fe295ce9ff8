"""show_resume: paused → live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """A paused show goes on, and units can be taken again."""
    drop = await scene.opened(3)
    await scene.moved("show_pause")
    async with scene.watched() as told:
        moved = await scene.moved("show_resume")
    assert (moved["show"]["status"], told.kinds) == ("live", ["show.resumed"])
    await scene.held(drop)


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot go on."""
    assert await scene.refused("show_resume") == {"outcome": "not-found"}


@pytest.mark.parametrize(
    ("scripts", "state"), [((), "scheduled"), (("show_start",), "live"), (("show_end",), "ended")]
)
async def test_wrong_state(scene: Scene, scripts: tuple[str, ...], state: str) -> None:
    """Only a paused show can go on; the answer names the state."""
    await scene.created()
    for script in scripts:
        await scene.moved(script)
    assert await scene.refused("show_resume") == {"outcome": "wrong-state", "state": state}
