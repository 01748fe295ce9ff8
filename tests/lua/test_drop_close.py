"""drop_close: closed for good, by the host or by the clock; what is held can still be paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene

FAR = 2_000_000_000_000


async def test_moved(scene: Scene) -> None:
    """A closed drop tells its last numbers, has no planned move, and sells only what is held already."""
    drop = await scene.opened(5, closes_at=FAR)
    reservation = await scene.held(drop, quantity=2)
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        moved = await scene.moved("drop_close", drop=drop, by="host")
    assert (told.kinds, moved["drop"]["status"], moved["owed"]) == (["drop.closed"], "closed", [])
    stock = told.events[0]["stock"]
    assert [stock[name] for name in ("drop_id", "available", "held", "sold", "quantity")] == [
        drop,
        3,
        2,
        0,
        5,
    ]
    assert moved["drop"]["revision"] == await scene.revision(drop) > stock["revision"] > revision
    assert moved["drop"]["closed_at"] == told.events[0]["at"]
    assert not await scene.client.exists(scene.key("due"))
    assert await scene.refused_step(scene.taking(drop)) == ["drop-closed"]
    await scene.sold(reservation)
    assert await scene.numbers(drop) == (3, 0, 2)


@pytest.mark.parametrize("state", ["scheduled", "paused"])
async def test_from_other_states(scene: Scene, state: str) -> None:
    """A drop can be closed before it opened and while it is paused."""
    await scene.live()
    drop = await (scene.planned() if state == "scheduled" else scene.opened())
    if state == "paused":
        await scene.moved("drop_pause", drop=drop)
    assert (await scene.moved("drop_close", drop=drop, by="host"))["drop"]["status"] == "closed"


async def test_moved_by_the_clock(scene: Scene) -> None:
    """The clock closes a drop once its time has come."""
    drop = await scene.opened(closes_at=await scene.now() - 1)
    assert (await scene.moved("drop_close", drop=drop, by="clock"))["drop"]["status"] == "closed"


@pytest.mark.parametrize("closes_at", [FAR, None])
async def test_early(scene: Scene, closes_at: int | None) -> None:
    """A clock that comes too soon, or where no time was set, closes nothing."""
    terms = {"closes_at": closes_at} if closes_at else {}
    drop = await scene.opened(**terms)
    assert await scene.refused("drop_close", drop=drop, by="clock") == {"outcome": "early"}


async def test_wrong_state(scene: Scene) -> None:
    """A drop closes once; the clock that finds it closed takes its planned move off the index."""
    drop = await scene.opened()
    await scene.moved("drop_close", drop=drop, by="host")
    wrong = {"outcome": "wrong-state", "state": "closed"}
    assert await scene.refused("drop_close", drop=drop, by="host") == wrong
    await scene.client.zadd(scene.key("due"), {f"close {drop}": 1})
    assert await scene.run("drop_close", drop=drop, by="clock") == wrong
    assert not await scene.client.exists(scene.key("due"))


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there cannot be closed."""
    await scene.live()
    assert await scene.refused("drop_close", drop="dr_none", by="host") == {"outcome": "not-found"}
