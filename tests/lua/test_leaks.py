"""The key checker of these tests finds what it says it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.inventory import lapses
from server.shows.shows import KEPT_AFTER_END_MS, Shows
from server.store.keys import key
from tests.keys import assert_no_leaks, leaks

if TYPE_CHECKING:
    from server.store.embedded import Embedded
    from tests.lua.scene import Scene


async def sold_out_show(scene: Scene) -> None:
    """Make a show with nearly every kind of key."""
    drop = await scene.opened(2)
    order = await scene.sold(await scene.held(drop))
    await scene.run("order_settle", order=order, viewer="ann", view={})
    await scene.held(drop, "bob")
    await scene.visited("ann")


async def test_a_show_that_workers_look_after_has_no_leaks(scene: Scene, valkey: Embedded) -> None:
    """Keys of an active show need no TTL."""
    await sold_out_show(scene)
    assert await leaks(scene.client) == []
    await assert_no_leaks(valkey.url)


async def test_a_show_that_nobody_looks_after_leaks(scene: Scene) -> None:
    """Off the list of active shows each of its keys is a leak, until it has a TTL."""
    await sold_out_show(scene)
    await scene.client.srem(key("active"), scene.show)
    places = await scene.dump()
    found = await leaks(scene.client)
    assert found == [f"{place.decode()} has no TTL and nobody looks after it" for place in places]
    for place in places:
        await scene.client.pexpire(place, KEPT_AFTER_END_MS)
    assert await leaks(scene.client) == []


async def test_a_retired_show_has_no_leaks(scene: Scene) -> None:
    """Ended, swept and retired through the server's own door, every key of a show goes within a day."""
    await sold_out_show(scene)
    shows = Shows(scene.client, scene.scripts, log_length=10)
    await shows.move(scene.show, "end")
    assert not await shows.retire(scene.show)
    await scene.lapsed(*(reservation for _, _, reservation in await scene.mine("bob")))
    await scene.run("hold_sweep", limit=10)
    assert not await shows.retire(scene.show)
    await lapses.drop(scene.client, await lapses.read(scene.client, scene.show))
    assert await shows.retire(scene.show)
    assert await shows.active() == []
    assert await leaks(scene.client) == []
    for place in await scene.dump():
        assert 0 < await scene.client.pttl(place) <= KEPT_AFTER_END_MS


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("stray", "stray is in no dictionary"),
        ("ld:{sh_x}:stuff", "ld:{sh_x}:stuff is in no dictionary"),
        ("ld:{sh_x}:live", "ld:{sh_x}:live is in no dictionary"),
        ("ld:{sh_x}:show", "ld:{sh_x}:show is a string, the dictionary says hash"),
        ("ld:{sh_x}:buyers", "ld:{sh_x}:buyers has no TTL and nobody looks after it"),
        ("ld:idem:abc", "ld:idem:abc is a string, the dictionary says hash"),
    ],
)
async def test_strays(scene: Scene, valkey: Embedded, place: str, complaint: str) -> None:
    """A key that no pattern knows, of another type or without a TTL is named with what is wrong."""
    await scene.client.set(place, "x")
    try:
        assert await leaks(scene.client) == [complaint]
        with pytest.raises(AssertionError, match="leaked keys:\n" + place[:2]):
            await assert_no_leaks(valkey.url, settle_seconds=0.05)
    finally:
        await scene.client.delete(place)


async def test_times_to_live(scene: Scene) -> None:
    """A lease without a TTL, a TTL of more than a day, and a TTL on a permanent key are found."""
    lease = key("idempotency", request="abc")
    await scene.client.hset(lease, "fingerprint", "a")
    assert await leaks(scene.client) == [f"{lease} has no TTL and nobody looks after it"]
    await scene.client.pexpire(lease, KEPT_AFTER_END_MS + 60_000)
    assert [complaint.rpartition(", ")[2] for complaint in await leaks(scene.client)] == ["later than a day"]
    await scene.client.delete(lease)
    await scene.client.zadd(key("shows"), {"sh_x": 1})
    await scene.client.expire(key("shows"), 50)
    assert [complaint.partition(",")[0] for complaint in await leaks(scene.client)] == [
        "ld:shows is permanent"
    ]
    await scene.client.delete(key("shows"))
