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
    assert await scene.due() == {}
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
    assert await scene.due() == {f"open {drop}": opens_at}
    assert await scene.refused_step(scene.taking(drop)) == ["drop-not-open", "countdown", opens_at]
    again = await scene.refused("drop_open", drop=drop, **COUNTDOWN)
    assert again == {"outcome": "wrong-state", "state": "countdown"}
    await scene.moved("drop_open", drop=drop, **NOW)


async def test_moved_by_the_clock(scene: Scene) -> None:
    """The clock opens a drop once its time has come."""
    await scene.live()
    drop = await scene.planned(opens_at=await scene.now() - 1)
    moved = await scene.moved("drop_open", drop=drop, **CLOCK)
    assert (moved["drop"]["status"], await scene.due()) == ("open", {})


async def test_early(scene: Scene) -> None:
    """A clock that comes before the drop's time changes nothing, and its planned opening stays."""
    await scene.live()
    drop = await scene.planned(opens_at=FAR)
    assert await scene.refused("drop_open", drop=drop, **CLOCK) == {"outcome": "early"}
    assert await scene.due() == {f"open {drop}": FAR}


async def test_show_not_live(scene: Scene) -> None:
    """In a show that is not live no drop opens; a planned opening waits, and the clock comes again in a second."""
    await scene.created()
    opens_at = await scene.now() - 1
    drop = await scene.planned(opens_at=opens_at)
    refused = {"outcome": "show-not-live", "state": "scheduled"}
    for who in (NOW, COUNTDOWN):
        assert await scene.refused("drop_open", drop=drop, **who) == refused
    assert await scene.due() == {f"open {drop}": opens_at}
    before = await scene.now()
    assert await scene.run("drop_open", drop=drop, **CLOCK) == refused
    assert before <= (await scene.due())[f"open {drop}"] - 1000 <= await scene.now()


async def test_a_draw_shows_what_it_cannot_change_any_more(scene: Scene) -> None:
    """With its opening a draw tells the hash of its seed; the seed itself is kept where no view reads it."""
    await scene.live()
    drop = await scene.planned(mode="draw")
    async with scene.watched() as told:
        moved = await scene.moved("drop_open", drop=drop, seed="secret", seed_hash="hash", **NOW)
    assert (told.events[0]["drop"]["seed_hash"], moved["drop"]["seed_hash"]) == ("hash", "hash")
    assert ("seed" in moved["drop"], "seed" in await scene.terms(drop)) == (False, False)
    assert await scene.client.hgetall(scene.key("seeds")) == {drop.encode(): b"secret"}
    plain = await scene.opened()
    assert "seed_hash" not in await scene.terms(plain)


async def test_waves_are_planned(scene: Scene) -> None:
    """With the opening the waves that come so long after it get their time; the first one is planned."""
    await scene.live()
    drop = await scene.planned(waves=[{"quantity": 1, "after_seconds": 5}, {"quantity": 2}])
    opened_at = (await scene.moved("drop_open", drop=drop, **NOW))["drop"]["opened_at"]
    assert await scene.due() == {f"wave {drop}": opened_at + 5000}
    assert (await scene.terms(drop))["waves"] == [
        {"quantity": 1, "after_seconds": 5, "at": opened_at + 5000},
        {"quantity": 2},
    ]
    for waves in ([], [{"quantity": 1}]):
        await scene.opened(waves=waves)
    assert len(await scene.due()) == 1


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
    assert await scene.due() == {}


async def test_not_found(scene: Scene) -> None:
    """A drop that is not there cannot open."""
    await scene.live()
    assert await scene.refused("drop_open", drop="dr_none", **NOW) == {"outcome": "not-found"}
