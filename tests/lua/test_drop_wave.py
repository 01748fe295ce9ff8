"""drop_wave: units released in waves, by the clock or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene

HOST: dict[str, Any] = {"by": "host"}
CLOCK: dict[str, Any] = {"by": "clock"}
FAR = 2_000_000_000_000


async def test_moved(scene: Scene) -> None:
    """The wave's units are available at once, the event carries its number, and the drop says when it was released."""
    drop = await scene.opened(2, waves=[{"quantity": 3}, {"quantity": 4}])
    await scene.held(drop, quantity=2)
    async with scene.watched() as told:
        moved = await scene.moved("drop_wave", drop=drop, **HOST)
    [event] = told.events
    assert (event["type"], event["wave"], event["stock"]["available"]) == ("drop.restocked", 1, 3)
    assert [stock["available"] for stock in told.stocks] == [3]
    assert moved["drop"]["waves"] == [{"quantity": 3, "released_at": event["at"]}, {"quantity": 4}]
    assert [moved["drop"][name] for name in ("available", "held", "quantity")] == [3, 2, 5]
    async with scene.watched() as told:
        await scene.moved("drop_wave", drop=drop, **HOST)
    assert [event["wave"] for event in told.events] == [2]
    assert await scene.numbers(drop) == (7, 2, 0)


async def test_by_the_clock(scene: Scene) -> None:
    """A wave comes when its time has come, counted from the opening where it says so, and plans the next one."""
    drop = await scene.opened(1, waves=[{"quantity": 1, "at": 5}, {"quantity": 1, "after_seconds": 60}])
    opened_at = (await scene.terms(drop))["opened_at"]
    assert await scene.due() == {f"wave {drop}": 5}
    await scene.moved("drop_wave", drop=drop, **CLOCK)
    assert await scene.due() == {f"wave {drop}": opened_at + 60_000}
    assert await scene.refused("drop_wave", drop=drop, **CLOCK) == {"outcome": "early"}
    await scene.moved("drop_wave", drop=drop, **HOST)
    assert (await scene.due(), await scene.numbers(drop)) == ({}, (3, 0, 0))


async def test_early(scene: Scene) -> None:
    """A clock that comes too soon, or for a wave that has no time, releases nothing."""
    drop = await scene.opened(1, waves=[{"quantity": 1, "at": FAR}])
    by_hand = await scene.opened(1, waves=[{"quantity": 1}])
    for each in (drop, by_hand):
        assert await scene.refused("drop_wave", drop=each, **CLOCK) == {"outcome": "early"}


async def test_repeating_releases_once(scene: Scene) -> None:
    """The same operation releases one wave, however often it comes."""
    drop = await scene.opened(1, waves=[{"quantity": 2}, {"quantity": 4}])
    await scene.moved("drop_wave", drop=drop, operation="a", **HOST)
    again = await scene.refused("drop_wave", drop=drop, operation="a", **HOST)
    assert (again["outcome"], again["drop"]["quantity"]) == ("moved", 3)
    await scene.moved("drop_wave", drop=drop, operation="b", **HOST)
    assert await scene.numbers(drop) == (7, 0, 0)


async def test_who_waits_gets_the_wave(scene: Scene) -> None:
    """A wave serves the queue first, in the same step; only what is left is anybody's."""
    drop = await scene.opened(1, waves=[{"quantity": 3}])
    await scene.held(drop, "zoe")
    anns, bobs = await scene.joined(drop, "ann", "bob")
    async with scene.watched() as told:
        await scene.moved("drop_wave", drop=drop, **HOST)
    assert told.states == [(anns, "held"), (bobs, "held")]
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(1, 3)]
    assert await scene.queue(drop) == []


async def test_in_a_halt(scene: Scene) -> None:
    """A paused drop takes its wave; who waits is served once it goes on."""
    drop = await scene.opened(1, waves=[{"quantity": 1}])
    await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    await scene.moved("drop_pause", drop=drop)
    await scene.moved("drop_wave", drop=drop, **HOST)
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 1, 0), ["ann"])
    await scene.moved("drop_resume", drop=drop)
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((0, 2, 0), [])


@pytest.mark.parametrize("state", ["scheduled", "closed"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """Waves are of a drop that runs; what was planned for another is taken off."""
    await scene.live()
    drop = await (scene.planned(waves=[{"quantity": 1}]) if state == "scheduled" else scene.opened())
    if state == "closed":
        await scene.moved("drop_close", drop=drop, by="host")
    wrong = await scene.refused("drop_wave", drop=drop, **HOST)
    assert (wrong["outcome"], wrong["state"]) == ("wrong-state", state)
    await scene.client.zadd(scene.key("due"), {f"wave {drop}": 1})
    await scene.run("drop_wave", drop=drop, **CLOCK)
    assert await scene.due() == {}


async def test_no_wave_left(scene: Scene) -> None:
    """The answer says how many there were."""
    drop = await scene.opened(1, waves=[{"quantity": 1}])
    await scene.moved("drop_wave", drop=drop, **HOST)
    wrong = {"outcome": "wrong-state", "state": "open", "waves": 1}
    assert await scene.refused("drop_wave", drop=drop, **HOST) == wrong
    plain = await scene.opened(1)
    assert (await scene.refused("drop_wave", drop=plain, **HOST))["waves"] == 0


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there has no waves."""
    await scene.live()
    assert await scene.refused("drop_wave", drop="dr_none", **HOST) == {"outcome": "not-found"}
