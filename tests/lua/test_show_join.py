"""show_join: where a show stands, with the full picture where it is asked for, and with what is each viewer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store.answers import unpacked

if TYPE_CHECKING:
    from tests.lua.scene import Scene

Reply = tuple[dict[str, Any], list[list[dict[str, Any]]]]


async def joined(scene: Scene, *viewers: str, snapshot: bool = True) -> Reply:
    """Join; assert that joining writes and tells nothing; return the answer and each viewer's reservations."""
    before = await scene.dump()
    async with scene.watched() as told:
        reply = await scene.scripts.run(
            "show_join", {"show": scene.show}, viewers=list(viewers), snapshot=int(snapshot)
        )
    assert told.nothing
    assert await scene.dump() == before
    return unpacked(reply[0]), [unpacked(each) for each in reply[2:]]


async def test_the_full_picture(scene: Scene) -> None:
    """Whoever is new gets the show, the drops with their numbers, and the viewer count."""
    drop = await scene.opened(5)
    await scene.held(drop, "bob", 2)
    await scene.client.hset(scene.key("figures"), "viewers", "2")
    answer, _own = await joined(scene, "ann")
    snapshot = answer["snapshot"]
    assert (answer["outcome"], answer["epoch"], answer["offset"]) == ("joined", "first", 3)
    assert (snapshot["show"]["status"], snapshot["viewers"], answer["viewers"]) == ("live", 2, 2)
    numbers = [snapshot["drops"][0][name] for name in ("id", "available", "held", "sold", "quantity")]
    assert numbers == [drop, 3, 2, 0, 5]
    assert answer["server_time_at"] <= await scene.now()


async def test_the_numbers_alone(scene: Scene) -> None:
    """Where nobody needs the picture, every drop's numbers are told, which no event of the log would bring."""
    first, second = await scene.opened(5), await scene.opened(7)
    await scene.held(second, "ann", 3)
    for snapshot in (False, True):
        answer, _own = await joined(scene, "ann", snapshot=snapshot)
        assert (("snapshot" in answer), answer["viewers"]) == (snapshot, 0)
        stocks = {stock["drop_id"]: stock for stock in answer["stocks"]}
        assert (stocks[first]["available"], stocks[second]["available"], stocks[second]["held"]) == (5, 4, 3)
        assert stocks[second]["revision"] == await scene.revision(second)


@pytest.mark.parametrize("snapshot", [True, False])
async def test_everybody_gets_their_own_reservations(scene: Scene, *, snapshot: bool) -> None:
    """In the order of the viewers asked for, oldest first, each only their own, none for who has none."""
    mugs, lamps = await scene.opened(9), await scene.opened(9, sku="LAMP")
    anns = [await scene.held(mugs, "ann"), await scene.held(lamps, "ann", 2)]
    bobs = [await scene.held(lamps, "bob")]
    await scene.run("hold_release", reservation=anns[0], viewer="ann")
    _answer, own = await joined(scene, "bob", "carl", "ann", "bob", snapshot=snapshot)
    assert [[each["id"] for each in mine] for mine in own] == [bobs, [], anns, bobs]
    shown = [(each["sku"], each["drop"], each["quantity"], each["state"]) for each in own[2]]
    assert shown == [("MUG", mugs, 1, "released"), ("LAMP", lamps, 2, "held")]


async def test_more_reservations_than_one_command_takes(scene: Scene) -> None:
    """128 viewers with nine reservations each: every list is whole, and each record stands under its own id."""
    drop = await scene.opened(128 * 45)
    viewers = [f"viewer-{number}" for number in range(128)]
    held = {
        viewer: [(await scene.held(drop, viewer, most), most) for most in range(1, 10)] for viewer in viewers
    }
    _answer, own = await joined(scene, *viewers, snapshot=False)
    assert [[(each["id"], each["quantity"]) for each in mine] for mine in own] == list(held.values())


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot be joined."""
    assert await joined(scene, "ann", "bob") == ({"outcome": "not-found"}, [])
