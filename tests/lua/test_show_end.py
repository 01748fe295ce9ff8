"""show_end: its drops are closed, then the show; what is held can still be paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """Every drop that was not closed is closed first, each with its numbers, and no planned move is left."""
    opened = await scene.opened(3)
    await scene.held(opened, quantity=2)
    planned = await scene.planned(5, opens_at=2_000_000_000_000, closes_at=2_000_000_000_001)
    closed = await scene.opened()
    await scene.moved("drop_close", drop=closed, by="host")
    async with scene.watched() as told:
        moved = await scene.moved("show_end")
    assert moved["show"]["status"] == "ended"
    assert told.kinds == ["drop.closed", "drop.closed", "show.ended"]
    stocks = {event["drop_id"]: event["stock"] for event in told.events[:2]}
    assert {drop: stock["available"] for drop, stock in stocks.items()} == {opened: 1, planned: 5}
    assert moved["show"]["ended_at"] == told.events[-1]["at"]
    assert [(await scene.terms(drop))["status"] for drop in (opened, planned, closed)] == ["closed"] * 3
    assert not await scene.client.exists(scene.key("due"))


async def test_draws_are_drawn(scene: Scene) -> None:
    """Every draw that is still open is drawn with the show's end; who waits elsewhere goes empty."""
    draws = [await scene.opened(1, mode="draw") for _ in range(2)]
    plain = await scene.opened(1)
    held = await scene.held(plain, "zoe")
    await scene.joined(plain, "ann")
    for drop in draws:
        await scene.joined(drop, "ann", "bob")
    await scene.released(held, "zoe", skip_absent=True)
    async with scene.watched() as told:
        moved = await scene.moved("show_end")
    assert (moved["show"]["status"], told.kinds[-1]) == ("ended", "show.ended")
    assert sorted(told.kinds) == sorted(["drop.drawn", "drop.closed"] * 2 + ["drop.closed", "show.ended"])
    assert [await scene.numbers(drop) for drop in (*draws, plain)] == [(0, 1, 0)] * 2 + [(1, 0, 0)]
    assert len(told.states) == 2


async def test_many_draws_end_in_steps(scene: Scene) -> None:
    """However many draws end with the show, one step serves 256 at most; the worker serves the others."""
    draws = [await scene.opened(200, mode="draw") for _ in range(3)]
    for drop in draws:
        await scene.joined(drop, *(f"viewer-{number}" for number in range(200)))
    async with scene.watched() as told:
        await scene.moved("show_end")
    drawn = {event["drop_id"]: event for event in told.events if event["type"] == "drop.drawn"}
    assert {event["units"] for event in drawn.values()} == {200}
    assert sum([(await scene.numbers(drop))[1] for drop in draws]) == 256
    waiting = set(await scene.due())
    assert len(waiting) == 2
    for move in waiting:
        await scene.moved("drop_promote", drop=move.partition(" ")[2], by="clock")
    assert [await scene.numbers(drop) for drop in draws] == [(0, 200, 0)] * 3
    assert await scene.due() == {}


async def test_what_is_held_can_be_paid(scene: Scene) -> None:
    """A reservation outlives its show: it is sold after the end."""
    drop = await scene.opened(3)
    reservation = await scene.held(drop)
    await scene.moved("show_end")
    await scene.sold(reservation)
    assert await scene.numbers(drop) == (2, 0, 1)


@pytest.mark.parametrize("scripts", [(), ("show_start",), ("show_start", "show_pause")])
async def test_from_every_state(scene: Scene, scripts: tuple[str, ...]) -> None:
    """A show can be ended whether it is scheduled, live or paused."""
    await scene.created()
    for script in scripts:
        await scene.moved(script)
    await scene.moved("show_end")


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot end."""
    assert await scene.refused("show_end") == {"outcome": "not-found"}


async def test_wrong_state(scene: Scene) -> None:
    """A show ends once."""
    await scene.live()
    await scene.moved("show_end")
    assert await scene.refused("show_end") == {"outcome": "wrong-state", "state": "ended"}
