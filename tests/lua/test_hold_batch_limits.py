"""hold_batch: how much one viewer, one network address and one queue may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene

HOME, OFFICE = "10.0.0.1", "10.0.0.2"


async def test_limit_reached(scene: Scene) -> None:
    """A viewer takes up to the limit of a drop; what they gave back or let lapse counts no more."""
    drop = await scene.opened(9, limit_per_viewer=3)
    first = await scene.held(drop, "ann", 2)
    assert await scene.refused_step(scene.taking(drop, "ann", 2)) == ["limit-reached", 3, 2, "viewer"]
    await scene.held(drop, "bob", 3)
    await scene.released(first)
    third = await scene.held(drop, "ann", 3)
    await scene.lapsed(third)
    await scene.run("hold_sweep", limit=10)
    await scene.held(drop, "ann", 3)


async def test_several_of_one_viewer_count_together(scene: Scene) -> None:
    """Within one step each operation of a viewer counts what the ones before it took, and what was given back."""
    drop = await scene.opened(9, limit_per_viewer=3)
    asked = [scene.taking(drop, "ann", 2), scene.taking(drop, "ann", 2), scene.taking(drop, "ann")]
    outcomes = await scene.step(
        *asked, scene.releasing(scene.reservation(asked[0])), scene.taking(drop, "ann", 2)
    )
    assert [row[0] for row in outcomes] == ["held", "limit-reached", "held", "released", "held"]
    assert outcomes[1] == ["limit-reached", 3, 2, "viewer"]
    assert await scene.numbers(drop) == (6, 3, 0)


async def test_sold_units_count_for_the_limit(scene: Scene) -> None:
    """Who bought up to the limit takes no more."""
    drop = await scene.opened(9, limit_per_viewer=2)
    await scene.sold(await scene.held(drop, "ann", 2))
    assert await scene.refused_step(scene.taking(drop, "ann")) == ["limit-reached", 2, 2, "viewer"]


async def test_the_shows_own_limit(scene: Scene) -> None:
    """A show's limit counts over all its drops, each viewer for themselves, and a bundle as a whole."""
    await scene.created(limit_per_viewer=3)
    await scene.moved("show_start")
    mugs, lamps = await scene.opened(9), await scene.opened(9)
    await scene.held(mugs, "ann", 2)
    assert await scene.refused_step(scene.taking(lamps, "ann", 2)) == ["limit-reached", 3, 2, "show"]
    both = scene.bundling((mugs, 2), (lamps, 2), viewer="bob")
    assert await scene.refused_step(both) == ["limit-reached", 3, 0, "show"]
    await scene.held(lamps, "ann")
    await scene.held(lamps, "bob", 3)


async def test_who_waits_gets_no_more_than_the_limits(scene: Scene) -> None:
    """Who reached a limit meanwhile is given what is left of it, nothing if need be, and waits no longer."""
    await scene.created(limit_per_viewer=3)
    await scene.moved("show_start")
    mugs, lamps = await scene.opened(4, limit_per_viewer=2), await scene.opened(9)
    held = await scene.held(mugs, "zoe", 2)
    others = await scene.held(mugs, "yan", 2)
    await scene.joined(mugs, "ann", "bob", quantity=2)
    await scene.held(lamps, "ann", 2)
    await scene.held(lamps, "bob", 3)
    await scene.released(held, "zoe")
    assert [row[:2] for row in await scene.mine("ann")] == [(2, 2), (1, 1)]
    assert ([row[:2] for row in await scene.mine("bob")], await scene.queue(mugs)) == ([(2, 3)], [])
    assert await scene.numbers(mugs) == (1, 3, 0)
    await scene.released(others, "yan")


async def test_a_network_address_has_a_limit(scene: Scene) -> None:
    """Where a drop limits it, viewers of one address share it; others and those without an address do not."""
    drop = await scene.opened(9, limit_per_address=3)
    asked = [scene.taking(drop, viewer, 2, address=HOME) for viewer in ("ann", "bob")]
    elsewhere = [scene.taking(drop, "carl", 2, address=OFFICE), scene.taking(drop, "dora", 2)]
    outcomes = await scene.step(*asked, *elsewhere, addresses=True)
    assert [row[0] for row in outcomes] == ["held", "limit-reached", "held", "held"]
    assert outcomes[1] == ["limit-reached", 3, 3, "address"]
    joining = scene.joining(drop, "bob", 2, address=HOME)
    assert await scene.refused_step(joining, addresses=True) == ["limit-reached", 3, 3, "address"]
    await scene.released(scene.reservation(asked[0]))
    assert [row[0] for row in await scene.step(asked[1], addresses=True)] == ["held"]


async def test_an_address_counts_what_is_its(scene: Scene) -> None:
    """Its counter goes up with what is taken and promoted, stays with what is sold, and goes with the last unit."""
    drop = await scene.opened(2, limit_per_address=2)
    taken, waiting = scene.taking(drop, "ann", 2, address=HOME), scene.joining(drop, "bob", address=HOME)
    await scene.step(taken, addresses=True)
    assert list((await scene.client.hgetall(scene.key("addresses"))).values()) == [b"2"]
    assert await scene.refused_step(waiting, addresses=True) == ["limit-reached", 2, 2, "address"]
    await scene.released(scene.reservation(taken))
    assert not await scene.client.exists(scene.key("addresses"))
    kept = scene.taking(drop, "ann", 1, address=HOME)
    await scene.step(kept, addresses=True)
    await scene.sold(scene.reservation(kept))
    assert list((await scene.client.hgetall(scene.key("addresses"))).values()) == [b"1"]


async def test_who_waits_shares_the_address_limit(scene: Scene) -> None:
    """A promotion gives no more than the address may still have."""
    drop = await scene.opened(3, limit_per_address=2)
    held = await scene.held(drop, "zoe", 3)
    joins = [scene.joining(drop, viewer, 2, address=HOME) for viewer in ("ann", "bob")]
    await scene.step(*joins, addresses=True)
    await scene.released(held, "zoe")
    assert ([row[:2] for row in await scene.mine("ann")], await scene.mine("bob")) == ([(1, 2)], [])
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((1, 2, 0), [])


async def test_a_queue_has_so_many_places(scene: Scene) -> None:
    """Beyond them nobody joins; who stands in it already keeps the place and may change the number of units."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    await scene.joined(drop, "ann", "bob")
    full = await scene.refused_step(scene.joining(drop, "carl"), most_waiting=2)
    assert full == ["limit-reached", 2, 2, "queue"]
    assert await scene.step(scene.joining(drop, "ann", 3), most_waiting=2) == [["waiting", 1, 2, 3]]


async def test_no_place_for_more_than_the_limit(scene: Scene) -> None:
    """A place is not given for more units than its viewer may have of the drop."""
    drop = await scene.opened(2, limit_per_viewer=2)
    await scene.held(drop, "ann")
    refused = await scene.refused_step(scene.joining(drop, "ann", 2))
    assert refused == ["limit-reached", 2, 1, "viewer"]


@pytest.mark.parametrize("together", [False, True])
async def test_a_draw_is_entered_so_often(scene: Scene, *, together: bool) -> None:
    """Its record keeps every entry: after 8 of them there is no other for this viewer, in this draw alone.

    Counted whether each comes in a step of its own or all in one; the eighth stays, and a repeat of it is no ninth.
    """
    drop, other = [await scene.opened(1, mode="draw") for _ in range(2)]
    entering = [scene.joining(drop, "ann") for _ in range(8)]
    moves = [move for entry in entering for move in (scene.leaving(drop, "ann"), entry)]
    for step in [moves] if together else [[move] for move in moves]:
        await scene.step(*step)
    assert await scene.refused_step(entering[-1]) == ["waiting", 8, 1, 1]
    ninth = scene.joining(drop, "ann")
    outcomes = await scene.step(scene.leaving(drop, "ann"), ninth, entering[0], scene.leaving(drop, "ann"))
    assert outcomes == [["waiting", 0], *[["limit-reached", 8, 8, "entries"]] * 2, ["waiting", 0]]
    assert await scene.refused_step(ninth) == ["limit-reached", 8, 8, "entries"]
    assert (await scene.chain(drop)).entries == 8
    assert await scene.step(scene.joining(drop, "bob"), scene.joining(other, "ann")) == [
        ["waiting", 9, 1, 1],
        ["waiting", 1, 1, 1],
    ]


async def test_a_queue_is_joined_as_often_as_one_likes(scene: Scene) -> None:
    """Nothing is kept of who left one, so nothing is counted."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    for _ in range(20):
        assert await scene.step(scene.joining(drop), scene.leaving(drop)) == [
            ["waiting", 0, 0, 0],
            ["waiting", 0],
        ]
    assert not await scene.client.exists(scene.key("left"))
