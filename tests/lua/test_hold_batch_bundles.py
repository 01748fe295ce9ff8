"""hold_batch: bundles and claims, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lua.scene import PROVIDER_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_a_bundle_is_taken_whole(scene: Scene) -> None:
    """Units of several drops in one step: a reservation for each, in the order in which they were asked for."""
    mugs, lamps = await scene.opened(3), await scene.opened(1, unit_price=4000)
    asked = scene.bundling((lamps, 1), (mugs, 2))
    outcomes = await scene.step(asked)
    assert [row[:2] for row in outcomes] == [["held", 1], ["held", 2]]
    assert (await scene.numbers(mugs), await scene.numbers(lamps)) == ((1, 2, 0), (0, 1, 0))
    mine = [(number, quantity) for number, quantity, _ in await scene.mine("ann")]
    assert mine == [(2, 1), (1, 2)]


@pytest.mark.parametrize("last", [True, False])
async def test_or_not_at_all(scene: Scene, *, last: bool) -> None:
    """Where one drop has too little, nothing is taken of any; the answer says which and why, the demand counts."""
    mugs, lamps = await scene.opened(3), await scene.opened(1)
    items = [(mugs, 1), (lamps, 2)]
    outcomes = await scene.step(scene.bundling(*(items if last else items[::-1])))
    refusal = [row for row in outcomes if row]
    assert [row[:2] for row in refusal] == [["out-of-stock", 1]]
    assert (outcomes.index(refusal[0]), len(outcomes)) == (int(last), 2)
    assert (await scene.numbers(mugs), await scene.numbers(lamps)) == ((3, 0, 0), (1, 0, 0))
    assert (await scene.mine("ann"), await scene.figure("unmet_demand")) == ([], 2)


async def test_a_refused_bundle_takes_nothing_from_the_next(scene: Scene) -> None:
    """In one step: what a refused bundle named first is there for whoever comes after it."""
    mugs, lamps = await scene.opened(1), await scene.opened(1)
    await scene.held(lamps, "zoe")
    asked = [scene.bundling((mugs, 1), (lamps, 1)), scene.taking(mugs, "bob")]
    outcomes = await scene.step(*asked)
    assert [row and row[0] for row in outcomes] == [False, "out-of-stock", "held"]


async def test_a_repeated_bundle(scene: Scene) -> None:
    """The same operation again returns its reservations as they are now, and takes nothing more."""
    mugs, lamps = await scene.opened(3), await scene.opened(1)
    asked = scene.bundling((mugs, 2), (lamps, 1), operation="mine")
    await scene.step(asked)
    mug = (await scene.mine("ann"))[0][2]
    await scene.released(mug)
    before = await scene.dump()
    outcomes = await scene.step(asked)
    assert await scene.dump() == before
    assert [(row[0], row[1]["state"], row[2]) for row in outcomes] == [
        ("replayed", "released", 1),
        ("replayed", "held", 1),
    ]


async def test_another_bundle_under_the_same_id(scene: Scene) -> None:
    """The same operation with other drops or units is refused, and says what it took."""
    mugs, lamps, hats = [await scene.opened(3) for _ in range(3)]
    await scene.step(scene.bundling((mugs, 2), (lamps, 1), operation="mine"))
    other = scene.bundling((mugs, 1), (lamps, 1), operation="mine")
    assert (await scene.step(other))[0] == ["idempotency-mismatch", mugs, 2]
    more = scene.bundling((mugs, 2), (hats, 1), operation="mine")
    assert ["idempotency-mismatch", mugs, 2] in await scene.step(more)
    assert await scene.numbers(hats) == (3, 0, 0)


async def test_a_claim(scene: Scene) -> None:
    """Of a drop in which the first who pays gets it, units are taken for the provider's time."""
    drop = await scene.opened(2, mode="first_paid", waitlist=False)
    asked = scene.bundling((drop, 2), claim=True)
    answer = await scene.run("hold_batch", **scene.batch(asked))
    assert answer["out"] == [["held", 2, answer["now"] + PROVIDER_MS, 1]]
    assert (await scene.refused_step(scene.bundling((drop, 1), viewer="bob", claim=True), unmet=1))[
        0
    ] == "out-of-stock"
    [(_, _, claimed)] = await scene.mine("ann")
    await scene.sold(claimed)
    assert await scene.numbers(drop) == (0, 0, 2)


async def test_a_declined_claim_is_let_go_at_once(scene: Scene) -> None:
    """In such a drop nothing is held: an order that will not be gives its units back to everybody."""
    drop = await scene.opened(1, mode="first_paid", waitlist=False)
    await scene.step(scene.bundling((drop, 1), claim=True))
    [(_, _, claimed)] = await scene.mine("ann")
    await scene.claimed(claimed)
    async with scene.watched() as told:
        await scene.run("hold_unclaim", order="or_1")
    assert (told.states, await scene.numbers(drop)) == ([(claimed, "expired")], (1, 0, 0))
    assert [row[0] for row in await scene.step(scene.bundling((drop, 1), viewer="bob", claim=True))] == [
        "held"
    ]
