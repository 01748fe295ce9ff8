"""hold_batch: numbers are told at most every 100 ms for each drop, and the last ones always."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.lua.scene import Scene

SPACING_MS = 100


async def test_a_change_within_the_spacing_is_owed(scene: Scene) -> None:
    """The first change is told at once; the next one is kept and owed, and the due index has it for a worker."""
    drop = await scene.opened(9)
    scene.paced = True
    async with scene.watched() as told:
        first = await scene.run("hold_batch", **scene.batch(scene.taking(drop)))
        assert (await scene.stock(drop))["told_at"] == first["now"]
        await scene.just_told()
        second = await scene.run("hold_batch", **scene.batch(scene.taking(drop)))
        third = await scene.run("hold_batch", **scene.batch(scene.taking(drop)))
    assert (first["owed"], second["owed"], third["owed"]) == ([], [drop], [drop])
    assert [stock["available"] for stock in told.stocks] == [8]
    stock = await scene.stock(drop)
    assert (stock["owed"], stock["available"]) == (1, 6)
    assert await scene.due() == {f"flush {drop}": second["now"] + 150}


async def test_each_drop_has_its_own_pace(scene: Scene) -> None:
    """What was told of one drop does not hold up another."""
    mugs, lamps = await scene.opened(9), await scene.opened(9)
    scene.paced = True
    async with scene.watched() as told:
        await scene.step(scene.taking(mugs))
        await scene.just_told()
        answer = await scene.run("hold_batch", **scene.batch(scene.taking(mugs), scene.taking(lamps)))
    assert [(stock["drop_id"], stock["available"]) for stock in told.stocks] == [(mugs, 8), (lamps, 8)]
    assert answer["owed"] == [mugs]


async def test_what_is_owed_is_told_with_the_next_change(scene: Scene) -> None:
    """Once the spacing is over a change is told at once again, with all that was owed in it."""
    drop = await scene.opened(9)
    scene.paced = True
    await scene.step(scene.taking(drop), scene.taking(drop))
    await scene.step(scene.taking(drop))
    told_at = (await scene.stock(drop))["told_at"]

    async def over() -> bool:
        return bool(await scene.now() - told_at >= SPACING_MS)

    await wait_for(over, "the spacing is over")
    async with scene.watched() as told:
        answer = await scene.run("hold_batch", **scene.batch(scene.taking(drop)))
    assert (answer["owed"], [stock["available"] for stock in told.stocks]) == ([], [5])
    assert (await scene.stock(drop))["owed"] == 0
    assert (await scene.run("stock_flush", drops=[drop]))["told"] == 0


async def test_events_are_never_kept_back(scene: Scene) -> None:
    """The log and what is a viewer's own are told in the step itself, whatever the pace of the numbers."""
    drop = await scene.opened(2)
    scene.paced = True
    async with scene.watched() as told:
        first = await scene.held(drop)
        await scene.just_told()
        await scene.held(drop)
        await scene.released(first)
    assert (told.kinds, told.states) == (["drop.sold_out"], [(first, "released")])
    assert [stock["available"] for stock in told.stocks] == [1]
    await scene.moved("drop_close", drop=drop, by="host")


async def test_a_burst_is_told_at_its_pace(scene: Scene) -> None:
    """Of hundreds of changes as fast as they come, the numbers are told no closer than the spacing."""
    drop = await scene.opened(400)
    scene.paced = True
    began = await scene.now()
    async with scene.watched() as told:
        for _ in range(100):
            await scene.step(scene.taking(drop), scene.taking(drop))
    took = await scene.now() - began
    assert 1 <= len(told.stocks) <= took / SPACING_MS + 1
