"""drop_open: scheduled → countdown → open, by the host or by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene

FAR = 2_000_000_000_000
NOW: dict[str, Any] = {"countdown_ms": 0, "by": "host"}
CLOCK: dict[str, Any] = {"countdown_ms": 0, "by": "clock"}
COUNTDOWN: dict[str, Any] = {"countdown_ms": 60_000, "by": "host"}


async def due(scene: Scene) -> Any:
    return await scene.client.zrange(scene.key("due"), 0, -1, withscores=True)


async def test_moved_at_once(scene: Scene) -> None:
    """The host opens a drop now: its planned opening is off, and units can be taken."""
    await scene.live()
    drop = await scene.planned(opens_at=FAR)
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        moved = await scene.moved("drop_open", drop=drop, **NOW)
    assert moved["drop"]["revision"] == await scene.revision(drop) > revision
    assert (told.kinds, told.events[0]["drop"]) == (["drop.opened"], moved["drop"])
    assert moved["drop"]["status"] == "open"
    assert moved["drop"]["opens_at"] == moved["drop"]["opened_at"] == told.events[0]["at"]
    assert await due(scene) == []
    await scene.held(drop)


async def test_moved_into_a_countdown(scene: Scene) -> None:
    """A countdown tells when it ends, which is when the clock will open the drop; before that nothing is taken."""
    await scene.live()
    drop = await scene.planned(opens_at=FAR)
    async with scene.watched() as told:
        moved = await scene.moved("drop_open", drop=drop, **COUNTDOWN)
    opens_at = told.events[0]["at"] + 60_000
    assert (told.kinds, told.events[0]["opens_at"]) == (["drop.countdown"], opens_at)
    assert (moved["drop"]["status"], moved["drop"]["opens_at"]) == ("countdown", opens_at)
    assert await due(scene) == [(f"open {drop}".encode(), opens_at)]
    refused = await scene.refused("hold_reserve", **scene.taking(drop))
    assert refused == {"outcome": "drop-not-open", "state": "countdown", "opens_at": opens_at}
    again = await scene.refused("drop_open", drop=drop, **COUNTDOWN)
    assert again == {"outcome": "wrong-state", "state": "countdown"}
    await scene.moved("drop_open", drop=drop, **NOW)


async def test_moved_by_the_clock(scene: Scene) -> None:
    """The clock opens a drop once its time has come."""
    await scene.live()
    drop = await scene.planned(opens_at=await scene.now() - 1)
    moved = await scene.moved("drop_open", drop=drop, **CLOCK)
    assert (moved["drop"]["status"], await due(scene)) == ("open", [])


async def test_early(scene: Scene) -> None:
    """A clock that comes before the drop's time changes nothing, and its planned opening stays."""
    await scene.live()
    drop = await scene.planned(opens_at=FAR)
    assert await scene.refused("drop_open", drop=drop, **CLOCK) == {"outcome": "early"}
    assert await due(scene) == [(f"open {drop}".encode(), FAR)]


async def test_show_not_live(scene: Scene) -> None:
    """In a show that is not live no drop opens; a planned opening waits for it."""
    await scene.created()
    drop = await scene.planned(opens_at=await scene.now() - 1)
    for who in (NOW, CLOCK, COUNTDOWN):
        refused = await scene.refused("drop_open", drop=drop, **who)
        assert refused == {"outcome": "show-not-live", "state": "scheduled"}
    assert len(await due(scene)) == 1


@pytest.mark.parametrize("state", ["open", "paused", "closed"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """A drop opens once; the clock that finds it already opened takes its planned move off the index."""
    drop = await scene.opened()
    if state == "paused":
        await scene.moved("drop_pause", drop=drop)
    if state == "closed":
        await scene.moved("drop_close", drop=drop, by="host")
    wrong = {"outcome": "wrong-state", "state": state}
    await scene.client.zadd(scene.key("due"), {f"open {drop}": 1})
    assert await scene.refused("drop_open", drop=drop, **NOW) == wrong
    assert await scene.run("drop_open", drop=drop, **CLOCK) == wrong
    assert await due(scene) == []


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there cannot open."""
    await scene.live()
    assert await scene.refused("drop_open", drop="dr_none", **NOW) == {"outcome": "not-found"}
