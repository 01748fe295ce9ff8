"""drop_cancel: countdown → scheduled; whatever the clock was about to do, the drop stays shut."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from server.store.lua import lua_folder
from server.store.scripts import Scripts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lua.scene import Scene

FAR = 2_000_000_000_000
CLOCK: dict[str, Any] = {"countdown_ms": 0, "by": "clock"}


async def counting(scene: Scene, countdown_ms: int = 60_000, **terms: Any) -> str:
    """Return a drop of a live show whose countdown runs."""
    await scene.live()
    drop = await scene.planned(**terms)
    await scene.moved("drop_open", drop=drop, countdown_ms=countdown_ms, by="host")
    return drop


@pytest.mark.parametrize("opens_at", [None, FAR])
async def test_moved(scene: Scene, opens_at: int | None) -> None:
    """The drop is planned again, without a moment, its planned opening is off, and nothing can be taken."""
    drop = await counting(scene, **({"opens_at": opens_at} if opens_at else {}))
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        moved = await scene.moved("drop_cancel", drop=drop)
    view = moved["drop"]
    assert view["revision"] == await scene.revision(drop) > revision
    assert (told.kinds, told.events[0]["drop"]) == (["drop.scheduled"], view)
    assert (view["status"], "opens_at" in view, await scene.due()) == ("scheduled", False, {})
    assert (await scene.refused_step(scene.taking(drop)))[:2] == ["drop-not-open", "scheduled"]


async def test_its_closing_stays_planned(scene: Scene) -> None:
    """What else was planned of the drop still is."""
    drop = await counting(scene, closes_at=FAR)
    await scene.moved("drop_cancel", drop=drop)
    assert await scene.due() == {f"close {drop}": FAR}


async def test_a_clock_that_looked_before_opens_nothing(scene: Scene) -> None:
    """A worker that read the countdown as due and comes after the host's word finds the drop shut."""
    drop = await counting(scene, countdown_ms=1)
    await scene.client.zadd(scene.key("due"), {f"open {drop}": 1})  # as the worker has read it
    await scene.moved("drop_cancel", drop=drop)
    assert await scene.refused("drop_open", drop=drop, **CLOCK) == {"outcome": "early"}


async def test_a_clock_that_asks_for_no_time_would_open_it(scene: Scene, tmp_path: Path) -> None:
    """Control: a script that takes a drop without a moment for one whose moment has come opens it behind the host."""
    folder = shutil.copytree(lua_folder(), tmp_path / "lua")
    text = (folder / "drop_open.lua").read_text()
    trusting = text.replace("not terms.opens_at or ", "terms.opens_at and ")
    assert trusting != text
    (folder / "drop_open.lua").write_text(trusting)
    drop = await counting(scene, countdown_ms=1)
    await scene.moved("drop_cancel", drop=drop)
    scene.scripts = Scripts(scene.client, folder)
    assert (await scene.moved("drop_open", drop=drop, **CLOCK))["drop"]["status"] == "open"


async def test_it_opens_again(scene: Scene) -> None:
    """A drop whose countdown was called off can be counted down again, and opens as any other."""
    drop = await counting(scene)
    await scene.moved("drop_cancel", drop=drop)
    again = await scene.moved("drop_open", drop=drop, countdown_ms=60_000, by="host")
    assert await scene.due() == {f"open {drop}": again["drop"]["opens_at"]}
    await scene.moved("drop_open", drop=drop, countdown_ms=0, by="host")
    await scene.held(drop)


@pytest.mark.parametrize("state", ["scheduled", "open", "paused", "closed"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """Only a countdown that runs can be called off; the answer names the state."""
    await scene.live()
    drop = await (scene.planned() if state == "scheduled" else scene.opened())
    if state == "paused":
        await scene.moved("drop_pause", drop=drop)
    if state == "closed":
        await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused("drop_cancel", drop=drop) == {"outcome": "wrong-state", "state": state}


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there has no countdown."""
    await scene.live()
    assert await scene.refused("drop_cancel", drop="dr_none") == {"outcome": "not-found"}
