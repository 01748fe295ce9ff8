"""show_resume: paused → live; where units and people wait for each other, a worker is sent."""

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


async def test_who_waits_comes_before_who_is_quick(scene: Scene) -> None:
    """Units that came back while the show halted go to who waits, also where others ask before the worker comes."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    await scene.moved("show_pause")
    await scene.released(held, "zoe")
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 0, 0), ["ann"])
    assert await scene.due() == {}
    await scene.moved("show_resume")
    assert await scene.due() == {f"promote {drop}": 0}
    assert (await scene.refused_step(scene.taking(drop, "bob"), unmet=1))[:2] == ["out-of-stock", 0]
    await scene.moved("drop_promote", drop=drop, by="clock")
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((0, 1, 0), [])
    assert (await scene.mine("ann"))[0][:2] == (1, 1)


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot go on."""
    assert await scene.refused("show_resume") == {"outcome": "not-found"}


@pytest.mark.parametrize(
    ("scripts", "state"), [((), "scheduled"), (("show_start",), "live"), (("show_end",), "ended")]
)
async def test_wrong_state(scene: Scene, scripts: tuple[str, ...], state: str) -> None:
    """Only a paused show can go on; the answer names the state."""
    await scene.created()
    await scene.planned()
    for script in scripts:
        await scene.moved(script)
    assert await scene.refused("show_resume") == {"outcome": "wrong-state", "state": state}
