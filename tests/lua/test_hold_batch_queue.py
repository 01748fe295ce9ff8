"""hold_batch, join and leave: who waits for units of a drop, and in which order they are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lua.scene import HOLD_SECONDS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_waiting(scene: Scene) -> None:
    """Each joins behind the others: position, length and units are answered, and everybody hears the length."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    async with scene.watched() as told:
        outcomes = await scene.step(scene.joining(drop, "ann", 2), scene.joining(drop, "bob"))
    assert outcomes == [["waiting", 1, 2, 2], ["waiting", 2, 2, 1]]
    assert await scene.queue(drop) == ["ann", "bob"]
    assert [stock["waitlist_length"] for stock in told.stocks] == [2]
    assert (told.kinds, told.private) == ([], [])


async def test_a_place_is_kept(scene: Scene) -> None:
    """The record of a place says what it will be; the viewer has it in their list with its number below zero."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    before = await scene.now()
    [anns] = await scene.joined(drop, "ann", quantity=2)
    place = await scene.place(drop, "ann")
    assert before <= place.pop("joined_at") <= await scene.now()
    own = anns.rpartition("_")[2]
    assert place == {"reservation": own, "quantity": 2, "times": 0, "address": False, "nth": 1}
    assert await scene.mine("ann") == [(-1, 2, anns)]


async def test_units_that_are_there_are_given_at_once(scene: Scene) -> None:
    """Who joins while there are units is served in the same step; position 0 says so."""
    drop = await scene.opened(3)
    async with scene.watched() as told:
        outcomes = await scene.step(scene.joining(drop, "ann", 2), scene.joining(drop, "bob", 2))
    assert outcomes == [["waiting", 0, 1, 0], ["waiting", 1, 1, 1]]
    assert ([row[:2] for row in await scene.mine("ann")], await scene.queue(drop)) == ([(1, 2)], ["bob"])
    kinds = [(viewer, body["type"]) for viewer, body in told.private]
    assert kinds == [(who, kind) for who in ("ann", "bob") for kind in ("reservation", "waitlist.promoted")]


async def test_joining_again_keeps_the_place(scene: Scene) -> None:
    """Another operation of who waits changes the number of units; the place and the reservation to be stay."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    first, _second = await scene.joined(drop, "ann", "bob")
    assert await scene.step(scene.joining(drop, "ann", 5)) == [["waiting", 1, 2, 5]]
    assert await scene.mine("ann") == [(-1, 5, first)]
    assert await scene.queue(drop) == ["ann", "bob"]
    assert await scene.refused_step(scene.joining(drop, "ann", 5)) == ["waiting", 1, 2, 5]


async def test_leaving(scene: Scene) -> None:
    """Who leaves is out at once and the others move up; leaving again changes nothing more."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.joined(drop, "ann", "bob")
    async with scene.watched() as told:
        assert await scene.step(scene.leaving(drop, "ann")) == [["waiting", 0]]
    assert [stock["waitlist_length"] for stock in told.stocks] == [1]
    assert (await scene.mine("ann"), await scene.queue(drop)) == ([], ["bob"])
    assert await scene.refused_step(scene.leaving(drop, "ann")) == ["waiting", 0]
    await scene.released(held, "zoe")
    assert [row[:2] for row in await scene.mine("bob")] == [(1, 1)]


async def test_leaving_and_joining_again_is_the_end_of_the_queue(scene: Scene) -> None:
    """Also within one step: whoever left has lost the place."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    await scene.joined(drop, "ann", "bob")
    outcomes = await scene.step(scene.leaving(drop, "ann"), scene.joining(drop, "ann"))
    assert outcomes == [["waiting", 0], ["waiting", 2, 2, 1]]
    assert await scene.queue(drop) == ["bob", "ann"]
    assert await scene.step(scene.joining(drop, "carl"), scene.leaving(drop, "carl")) == [
        ["waiting", 0, 2, 0],
        ["waiting", 0],
    ]
    assert await scene.queue(drop) == ["bob", "ann"]


async def test_one_operation_id_for_two_queues(scene: Scene) -> None:
    """Places of one viewer that were made under the same id are two: each is left and served by itself."""
    mugs, lamps = await scene.opened(1), await scene.opened(1)
    held = [await scene.held(drop, "zoe") for drop in (mugs, lamps)]
    asked = [scene.taking(drop, "ann", operation="same", part=True) for drop in (mugs, lamps)]
    await scene.step(*asked)
    await scene.step(scene.leaving(lamps, "ann"))
    assert await scene.mine("ann") == [(-1, 1, f"{scene.reservation(asked[0])}w")]
    await scene.step(asked[1])
    for reservation in held[::-1]:
        await scene.released(reservation, "zoe")
    assert [row[:2] for row in await scene.mine("ann")] == [(2, 1), (1, 1)]


async def test_served_in_their_order(scene: Scene) -> None:
    """Units that come back go to the first ones, each with a hold of their own, awarded in the order of the queue."""
    drop = await scene.opened(3)
    held = await scene.held(drop, "zoe", 3)
    first, second, _third = await scene.joined(drop, "ann", "bob", "carl", quantity=1)
    await scene.step(scene.joining(drop, "bob", 2))
    now = await scene.now()
    await scene.released(held, "zoe")
    assert await scene.awarded(drop) == [(held, 3), (first, 1), (second, 2)]
    assert await scene.queue(drop) == ["carl"]
    assert [(await scene.hold(each))["rank"] for each in (first, second)] == [2, 3]
    assert (await scene.hold(first))["expires_at"] >= now + HOLD_SECONDS * 1000


async def test_served_in_part(scene: Scene) -> None:
    """Who asks for more than came back gets that and waits on, first, for the rest; each part is a reservation."""
    drop = await scene.opened(4)
    held = [await scene.held(drop, "zoe") for _ in range(4)]
    [first, _] = await scene.joined(drop, "ann", "bob", quantity=3)
    for reservation in held[:3]:
        await scene.released(reservation, "zoe")
        if reservation == held[0]:
            assert (await scene.place(drop, "ann"))["quantity"] == 2
            assert await scene.mine("ann") == [(1, 1, first), (-1, 2, first)]
            assert await scene.queue(drop) == ["ann", "bob"]
    assert await scene.mine("ann") == [(1, 1, first), (1, 1, f"{first}1"), (1, 1, f"{first}2")]
    assert await scene.queue(drop) == ["bob"]
    await scene.released(first, "ann")
    assert (await scene.mine("ann"))[0][2] == f"{first}1"
    assert (await scene.place(drop, "bob"))["quantity"] == 2


async def test_newcomers_never_pass_who_waits(scene: Scene) -> None:
    """Units given back and asked for in the same step go to the first in the queue, not to who asks."""
    drop = await scene.opened(2)
    held = [await scene.held(drop, "zoe") for _ in range(2)]
    await scene.joined(drop, "ann")
    steps = [scene.releasing(held[0], "zoe"), scene.taking(drop, "bob"), scene.releasing(held[1], "zoe")]
    outcomes = await scene.step(*steps, scene.taking(drop, "carl"))
    assert [row[0] for row in outcomes] == ["released", "out-of-stock", "released", "held"]
    assert [len(await scene.mine(viewer)) for viewer in ("ann", "bob", "carl")] == [1, 0, 1]


async def test_order_within_a_step_is_order_of_service(scene: Scene) -> None:
    """A step is as if each operation had come alone: everybody gets what they would have got then."""
    drop = await scene.opened(3)
    taken = scene.taking(drop, "zoe", 2)
    outcomes = await scene.step(
        scene.joining(drop, "ann", 1),
        taken,
        scene.joining(drop, "bob", 1),
        scene.taking(drop, "carl"),
        scene.releasing(scene.reservation(taken), "zoe"),
        scene.taking(drop, "dora"),
        scene.taking(drop, "emil"),
    )
    assert [row[0] for row in outcomes] == [
        "waiting",
        "held",
        "waiting",
        "out-of-stock",
        "released",
        "held",
        "out-of-stock",
    ]
    awarded = [(await scene.hold(each))["viewer"] for each, _ in await scene.awarded(drop)]
    assert awarded == ["ann", "zoe", "bob", "dora"]
    assert await scene.numbers(drop) == (0, 3, 0)


@pytest.mark.parametrize("script", ["drop_pause", "show_pause"])
async def test_while_it_halts(scene: Scene, script: str) -> None:
    """In a halt people join and leave and units come back, but nobody is served until it goes on."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.moved(script, **({"drop": drop} if script == "drop_pause" else {}))
    await scene.joined(drop, "ann", "bob")
    await scene.released(held, "zoe")
    await scene.step(scene.leaving(drop, "ann"))
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 0, 0), ["bob"])
    assert await scene.due() == {}


async def test_a_queue_that_empties_gives_the_units_to_all(scene: Scene) -> None:
    """Units kept for who waits are anybody's once all of them have left."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.moved("show_pause")
    await scene.joined(drop, "ann")
    await scene.released(held, "zoe")
    await scene.step(scene.leaving(drop, "ann"))
    await scene.moved("show_resume")
    await scene.held(drop, "bob")


async def test_more_than_one_step_can_serve(scene: Scene) -> None:
    """A step serves 256; what is left is kept from newcomers, and a worker goes on at once."""
    drop = await scene.opened(300)
    held = [await scene.held(drop, viewer, 100) for viewer in ("zoe", "yan", "xia")]
    await scene.moved("drop_pause", drop=drop)
    for first in (0, 150):
        await scene.joined(drop, *(f"viewer-{number}" for number in range(first, first + 150)))
    for reservation, viewer in zip(held, ("zoe", "yan", "xia"), strict=True):
        await scene.released(reservation, viewer)
    await scene.moved("drop_resume", drop=drop)
    assert (await scene.numbers(drop), len(await scene.queue(drop))) == ((44, 256, 0), 44)
    assert (await scene.due())[f"promote {drop}"] <= await scene.now()
    refused = await scene.refused_step(scene.taking(drop, "bob"), unmet=1)
    assert refused[:2] == ["out-of-stock", 0]
    await scene.moved("drop_promote", drop=drop, by="clock")
    assert (await scene.numbers(drop), await scene.queue(drop), await scene.due()) == ((0, 300, 0), [], {})
    awarded = [(await scene.hold(each))["viewer"] for each, _ in (await scene.awarded(drop))[3:]]
    assert awarded == [f"viewer-{number}" for number in range(300)]


async def test_whatever_comes_next_goes_on(scene: Scene) -> None:
    """What one step could not give out is given out by the next one that touches the drop, worker or not."""
    drop = await scene.opened(257)
    held = [
        await scene.held(drop, viewer, units) for viewer, units in (("zoe", 100), ("yan", 100), ("xia", 57))
    ]
    await scene.moved("drop_pause", drop=drop)
    for first in (0, 129):
        await scene.joined(drop, *(f"viewer-{number}" for number in range(first, first + 129)))
    for reservation, viewer in zip(held, ("zoe", "yan", "xia"), strict=True):
        await scene.released(reservation, viewer)
    await scene.moved("drop_resume", drop=drop)
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 256, 0), ["viewer-256", "viewer-257"])
    await scene.step(scene.leaving(drop, "viewer-256"))
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((0, 257, 0), [])


async def test_the_absent_are_passed_over(scene: Scene) -> None:
    """Where the server says so: who is not here keeps the place, the next one is served, and newcomers may take."""
    drop = await scene.opened(2)
    held = await scene.held(drop, "zoe", 2)
    await scene.joined(drop, "ann", "bob")
    await scene.visited("bob")
    await scene.released(held, "zoe", skip_absent=True)
    assert (await scene.queue(drop), [row[:2] for row in await scene.mine("bob")]) == (["ann"], [(1, 1)])
    assert await scene.now() < (await scene.due())[f"promote {drop}"] <= await scene.now() + 1000
    [row] = await scene.step(scene.taking(drop, "carl"), skip_absent=True)
    assert row[0] == "held"


async def test_many_absent_hold_nobody_up(scene: Scene) -> None:
    """Who is here is served from behind hundreds who are not."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    for first in (0, 200):
        await scene.joined(drop, *(f"viewer-{number}" for number in range(first, first + 200)))
    await scene.visited("viewer-399")
    await scene.released(held, "zoe", skip_absent=True)
    assert [row[:2] for row in await scene.mine("viewer-399")] == [(1, 1)]
    assert len(await scene.queue(drop)) == 399


async def test_a_closed_drop_promotes_nobody(scene: Scene) -> None:
    """What comes back after the end stays; nobody joins any more, and who waits may still leave."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    await scene.moved("drop_close", drop=drop, by="host")
    async with scene.watched() as told:
        await scene.released(held, "zoe")
    assert told.states == [(held, "released")]
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 0, 0), ["ann"])
    assert await scene.refused_step(scene.joining(drop, "bob")) == ["drop-closed"]
    assert await scene.step(scene.leaving(drop, "ann")) == [["waiting", 0]]
    assert await scene.due() == {}


async def test_refusals(scene: Scene) -> None:
    """Nobody waits for a drop that is not there or not open, in a show that is not on, or where there is no queue."""
    await scene.live()
    planned = await scene.planned()
    assert await scene.refused_step(scene.joining("dr_none")) == ["not-found"]
    assert await scene.refused_step(scene.leaving("dr_none")) == ["not-found"]
    assert await scene.refused_step(scene.joining(planned)) == ["drop-not-open", "scheduled"]
    for mode in ("fifo", "first_paid"):
        plain = await scene.opened(mode=mode, waitlist=False)
        assert await scene.refused_step(scene.joining(plain)) == ["no-waitlist", mode]


async def test_a_show_that_is_not_on(scene: Scene) -> None:
    """Before it starts nobody waits."""
    await scene.created()
    drop = await scene.planned()
    assert await scene.refused_step(scene.joining(drop)) == ["show-not-live", "scheduled"]


async def test_a_place_is_told_to_who_asked_apart_from_their_sockets(scene: Scene) -> None:
    """Only to them, with the place as it was answered; who is served at once is told that alone."""
    drop, other = await scene.opened(1), await scene.opened(1)
    await scene.held(drop, "zoe")
    asked = [scene.joining(drop, "ann"), scene.joining(drop, "bob", 2), scene.joining(other, "cid")]
    asked += [scene.taking(drop, "dan", 3, part=True)]
    for ask in asked[1:]:
        ask.apart = True
    async with scene.watched() as told:
        await scene.step(*asked)
    places = [(who, body) for who, body in told.private if body["type"] == "waitlist"]
    usual = {"type": "waitlist", "drop": drop, "length": 3}
    assert places == [
        ("bob", {**usual, "position": 2, "quantity": 2}),
        ("dan", {**usual, "position": 3, "quantity": 3}),
    ]
