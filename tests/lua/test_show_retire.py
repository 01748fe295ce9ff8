"""show_retire: everything of an ended show goes a day later, once nothing can change any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.shows.shows import KEPT_AFTER_END_MS
from server.store import reads
from server.store.keys import SHOW_KEYS, key
from tests.keys import leaks

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_retired(scene: Scene) -> None:
    """Every key of the show, one of every kind there is, gets a TTL of a day."""
    drop = await scene.opened(1)
    await scene.step(scene.taking(drop, "ann", operation="mine", address="10.0.0.1"), addresses=True)
    order = await scene.sold(scene.reservation(scene.taking(drop, "ann", operation="mine")))
    await scene.moved("drop_restock", drop=drop, quantity=1, most=99, operation="more")
    await scene.sold(await scene.held(drop, "bob"), order="or_2", viewer="bob")
    await scene.run("order_settle", order="or_2", viewer="bob", view={"id": "or_2"})
    await scene.joined(drop, "carl")
    draw = await scene.opened(1, mode="draw")
    await scene.step(scene.joining(draw), scene.leaving(draw))
    await scene.visited("ann")
    await scene.run("reaction_add", added={"heart": 2}, most=16)
    await scene.run("order_settle", order=order, viewer="ann", view={"id": order})
    await scene.run("show_sample", point=b"", every_ms=1, most=1)
    room = {"capacity": 2, "per_second": 0, "keep_ms": 600_000, "longest": 9}
    await scene.run("room_enter", viewers=["dan", "eve"], lots=[0.1, 0.2], **room)
    await scene.moved("show_end")
    there = {place.decode().rpartition(":")[2] for place in await scene.dump()}
    assert there == set(SHOW_KEYS) - {"due", "orders", "pending", "lapsed"}
    assert await scene.run("show_retire", keep_ms=KEPT_AFTER_END_MS) == {"outcome": "retired"}
    for place in await scene.dump():
        assert 0 < await scene.client.pttl(place) <= KEPT_AFTER_END_MS
    await scene.client.srem(key("active"), scene.show)
    assert await leaks(scene.client) == []


async def test_it_names_every_kind_of_key(scene: Scene) -> None:
    """No kind of a show's keys was forgotten in the script."""
    assert set(SHOW_KEYS) == set(scene.scripts["show_retire"].keys)


@pytest.mark.parametrize("state", ["live", "held", "unsettled", "winners", "unrecorded"])
async def test_unfinished(scene: Scene, state: str) -> None:
    """It stays where it has not ended, or a unit is held, an order unsettled, a winner unserved, a lapse unrecorded."""
    drop = await scene.opened(5)
    if state == "winners":
        await ended_before_a_draw_was_served(scene, drop)
    elif state != "live":
        reservation = await scene.held(drop)
        if state == "unsettled":
            await scene.sold(reservation)
        await scene.moved("show_end")
        if state == "unrecorded":
            await scene.lapsed(reservation)
            await scene.run("hold_sweep", limit=10)
            assert await scene.numbers(drop) == (5, 0, 0)
    assert await scene.refused("show_retire", keep_ms=1000) == {"outcome": "unfinished"}


async def ended_before_a_draw_was_served(scene: Scene, drop: str) -> None:
    """End the show with a draw that is left to the worker; everything else is over."""
    await scene.moved("drop_close", drop=drop, by="host")
    draws = [await scene.opened(1, mode="draw") for _ in range(2)]
    for each in draws:
        await scene.joined(each, *(f"viewer-{number}" for number in range(256)))
    await scene.moved("show_end")
    holds = await reads.fields(scene.client, scene.key("holds"), "holds")
    await scene.lapsed(*(ids.full(scene.show, own.decode()) for own in holds))
    await scene.run("hold_sweep", limit=10)
    assert [await scene.numbers(each) for each in draws] == [(1, 0, 0), (1, 0, 0)]


async def test_gone(scene: Scene) -> None:
    """A show that is not there needs nothing more."""
    assert await scene.refused("show_retire", keep_ms=1000) == {"outcome": "gone"}
