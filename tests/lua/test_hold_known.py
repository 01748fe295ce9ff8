"""hold_known: which of those that ask for what is gone only a step can answer; the others' demand is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def known(
    scene: Scene, drop: str, *reservations: str, viewer: str = "zoe", quantities: list[int] | None = None
) -> Any:
    """Ask as a viewer who has nothing, unless told otherwise, and return the list."""
    return await scene.scripts.run(
        "hold_known",
        {"show": scene.show},
        reservations=[ids.own(reservation) for reservation in reservations],
        viewers=[viewer] * len(reservations),
        drops=[drop] * len(reservations),
        quantities=quantities or [1] * len(reservations),
    )


async def sold_out(scene: Scene) -> str:
    """Return a drop that has nothing left."""
    drop = await scene.opened(1)
    await scene.held(drop, "somebody")
    return drop


async def test_repeats(scene: Scene) -> None:
    """Whatever became of a reservation, it is known; for what is not there the units count as unmet demand."""
    drop = await scene.opened(1)
    released = await scene.held(drop)
    await scene.released(released)
    held = await scene.held(drop)
    assert await known(scene, drop, held, "rs_x_none", released, quantities=[1, 3, 1]) == [1, 0, 1]
    assert await scene.figure("unmet_demand") == 3


async def test_who_has_something_already(scene: Scene) -> None:
    """A viewer who has anything in the show is for the step: their limit may be why they get no more."""
    drop = await sold_out(scene)
    await scene.held(await scene.opened(9), "ann")
    assert await known(scene, drop, "rs_x_none", viewer="ann") == [1]
    assert await known(scene, drop, "rs_x_none", viewer="bob") == [0]
    assert await scene.figure("unmet_demand") == 1


@pytest.mark.parametrize("script", ["drop_pause", "drop_close", "show_pause"])
async def test_what_is_not_on_sale(scene: Scene, script: str) -> None:
    """A drop that is paused, closed or in a paused show is for the step: sold out is not why."""
    drop = await sold_out(scene)
    more: dict[str, dict[str, Any]] = {
        "drop_pause": {"drop": drop},
        "drop_close": {"drop": drop, "by": "host", "skip": 0},
        "show_pause": {},
    }
    await scene.moved(script, **more[script])
    assert await known(scene, drop, "rs_x_none") == [1]
    assert await scene.figure("unmet_demand") == 0


async def test_what_came_back(scene: Scene) -> None:
    """A drop that has units again is for the step, whatever the process saw a moment ago."""
    drop = await sold_out(scene)
    assert await known(scene, drop, "rs_x_none") == [0]
    await scene.moved("drop_restock", drop=drop, quantity=1, most=99, operation="", skip=0)
    assert await known(scene, drop, "rs_x_none") == [1]
    assert await scene.figure("unmet_demand") == 1


async def test_all_for_the_step(scene: Scene) -> None:
    """Where the step answers all of them, nothing is written."""
    drop = await scene.opened(9)
    held = await scene.held(drop)
    before = await scene.dump()
    assert await known(scene, drop, held, held) == [1, 1]
    assert await known(scene, "dr_x_none", "rs_x_none") == [1]
    assert await scene.dump() == before


async def test_as_many_as_a_step_has(scene: Scene) -> None:
    """It takes as many at once as a step has operations."""
    drop = await sold_out(scene)
    assert await known(scene, drop, *(f"rs_x_{number}" for number in range(256))) == [0] * 256
    assert await scene.figure("unmet_demand") == 256
