"""show_join: where a show stands, with the full picture where it is asked for, and with what is each viewer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store.answers import unpacked

if TYPE_CHECKING:
    from tests.lua.scene import Scene

Lists = list[list[dict[str, Any]]]
Reply = tuple[dict[str, Any], Lists]


async def joined(scene: Scene, *viewers: str, snapshot: bool = True) -> Reply:
    """Join; assert that joining writes and tells nothing; return the answer and each viewer's reservations."""
    answer, reservations, _places = await joined_with_places(scene, *viewers, snapshot=snapshot)
    return answer, reservations


async def joined_with_places(
    scene: Scene, *viewers: str, snapshot: bool = False
) -> tuple[dict[str, Any], Lists, Lists]:
    """Join likewise; return each viewer's places in queues too."""
    before = await scene.dump()
    async with scene.watched() as told:
        reply = await scene.scripts.run(
            "show_join", {"show": scene.show}, viewers=list(viewers), snapshot=int(snapshot)
        )
    assert told.nothing
    assert await scene.dump() == before
    lists = [unpacked(each) for each in reply[2:]]
    return unpacked(reply[0]), lists[::2], lists[1::2]


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
    await scene.sold(anns[0])
    anns.append(await scene.held(mugs, "ann"))
    await scene.released(anns[2])
    _answer, own = await joined(scene, "bob", "carl", "ann", "bob", snapshot=snapshot)
    assert [[each["id"] for each in mine] for mine in own] == [bobs, [], anns, bobs]
    shown = [(each["sku"], each["drop"], each["quantity"], each["state"]) for each in own[2]]
    assert shown == [("MUG", mugs, 1, "sold"), ("LAMP", lamps, 2, "held"), ("MUG", mugs, 1, "released")]


async def test_of_what_was_let_go_the_newest_are_kept(scene: Scene) -> None:
    """Who did not hear of it is told, but not of a whole evening: eight, and what counts stays whole."""
    drop = await scene.opened(99)
    kept = await scene.held(drop, "ann")
    gone = [await scene.held(drop, "ann") for _ in range(12)]
    for reservation in gone:
        await scene.released(reservation)
    _answer, own = await joined(scene, "ann", snapshot=True)
    assert [each["id"] for each in own[0]] == [kept, *gone[-8:]]
    assert await scene.mine("ann") == [(1, 1, kept)]


async def test_everybody_gets_their_own_places(scene: Scene) -> None:
    """Each with where they stand and what they asked for; who was served has none, and in a draw it is the entry."""
    mugs, lamps = await scene.opened(1), await scene.opened(1, mode="draw")
    taken = await scene.held(mugs, "zoe")
    await scene.joined(mugs, "ann", "bob", "carl")
    await scene.joined(lamps, "bob", "ann", quantity=2)
    await scene.released(taken, "zoe")
    _answer, own, places = await joined_with_places(scene, "bob", "ann", "zoe", "carl")
    assert places == [
        [
            {"drop": mugs, "position": 1, "quantity": 1},
            {"drop": lamps, "position": 1, "quantity": 2},
        ],
        [{"drop": lamps, "position": 2, "quantity": 2}],
        [],
        [{"drop": mugs, "position": 2, "quantity": 1}],
    ]
    assert [len(mine) for mine in own] == [0, 1, 1, 0]


async def test_a_queue_that_is_over_has_nobody_in_it(scene: Scene) -> None:
    """Once a drop is closed those who waited in vain have no place, and its length is 0."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    answer, _own = await joined(scene, "ann")
    assert answer["snapshot"]["drops"][0]["waitlist_length"] == 1
    await scene.moved("drop_close", drop=drop, by="host")
    answer, _own, places = await joined_with_places(scene, "ann", snapshot=True)
    assert (places, answer["snapshot"]["drops"][0]["waitlist_length"]) == ([[]], 0)


async def test_more_reservations_than_one_command_takes(scene: Scene) -> None:
    """128 viewers with nine reservations each: every list is whole, and each record stands under its own id."""
    drop = await scene.opened(128 * 45)
    viewers = [f"viewer-{number}" for number in range(128)]
    asked = {viewer: [scene.taking(drop, viewer, most) for most in range(1, 10)] for viewer in viewers}
    for taking in asked.values():
        await scene.step(*taking)
    held = {
        viewer: [(scene.reservation(each), each.items[0][2]) for each in taking]
        for viewer, taking in asked.items()
    }
    _answer, own = await joined(scene, *viewers, snapshot=False)
    assert [[(each["id"], each["quantity"]) for each in mine] for mine in own] == list(held.values())


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot be joined."""
    assert await joined(scene, "ann", "bob") == ({"outcome": "not-found"}, [])
