"""stock_flush: numbers that were not told at once are told a moment later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deadlines import let_tell

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_flushed(scene: Scene) -> None:
    """Once the spacing is over the newest numbers are told, once, and nothing is owed or planned any more."""
    drop = await scene.opened(9)
    scene.paced = True
    for _ in range(3):
        await scene.step(scene.taking(drop))
        await scene.just_told()
    await let_tell(scene.client, scene.show)
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        flushed = await scene.run("stock_flush", drops=[drop])
        assert (flushed["told"], flushed["later"]) == (1, [])
    assert [(stock["available"], stock["revision"]) for stock in told.stocks] == [(6, revision)]
    stock = await scene.stock(drop)
    assert (stock["owed"], await scene.due()) == (0, {})
    nothing = {"outcome": "flushed", "told": 0, "later": [], "wait_ms": 100}
    assert await scene.refused("stock_flush", drops=[drop]) == nothing


async def test_too_early(scene: Scene) -> None:
    """Within the spacing nothing is told and nothing forgotten; the answer names the drops to come back for."""
    first, second = await scene.opened(9), await scene.opened(9)
    for drop in (first, second):
        await scene.step(scene.taking(drop))
    scene.paced = True
    await scene.step(scene.taking(first))
    await scene.just_told()
    answer = await scene.run("hold_batch", **scene.batch(scene.taking(first)))
    assert answer["owed"] == [first]
    flushed = await scene.refused("stock_flush", drops=[first, second])
    assert 0 < flushed.pop("wait_ms") <= 100
    assert flushed == {"outcome": "flushed", "told": 0, "later": [first]}
    assert f"flush {first}" in await scene.due()


async def test_a_drop_that_is_half_gone(scene: Scene) -> None:
    """Where a show's keys are just going, numbers whose drop has gone before them are told to nobody."""
    drop = await scene.opened(9)
    scene.paced = True
    for _ in range(2):
        await scene.step(scene.taking(drop))
        await scene.just_told()
    await let_tell(scene.client, scene.show)
    await scene.client.delete(scene.key("drops"))
    async with scene.watched() as told:
        answer = await scene.run("stock_flush", drops=[drop])
    assert (answer["outcome"], answer["told"], told.stocks) == ("flushed", 0, [])


async def test_a_drop_that_is_gone(scene: Scene) -> None:
    """What is planned for a drop that is not there is taken off."""
    await scene.live()
    await scene.client.zadd(scene.key("due"), {"flush dr_none": 1})
    answer = await scene.run("stock_flush", drops=["dr_none"])
    assert (answer, await scene.due()) == (
        {"outcome": "flushed", "told": 0, "later": [], "wait_ms": 100},
        {},
    )
