"""drop_promote: units and those who wait for them are brought together where a step could not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_moved(scene: Scene) -> None:
    """Who was not here when the units came back gets them once they are; until then it is looked at every second."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    [anns] = await scene.joined(drop, "ann")
    await scene.released(held, "zoe", skip_absent=True)
    first = (await scene.due())[f"promote {drop}"]
    revision = await scene.revision(drop)
    async with scene.watched() as told:
        await scene.moved("drop_promote", drop=drop, by="clock", skip=1)
    assert (told.nothing, await scene.revision(drop)) == (True, revision)
    assert (await scene.due())[f"promote {drop}"] >= first
    await scene.visited("ann")
    async with scene.watched() as told:
        await scene.moved("drop_promote", drop=drop, by="clock", skip=1)
    assert told.states == [(anns, "held")]
    assert (await scene.numbers(drop), await scene.due()) == ((0, 1, 0), {})


async def test_nothing_to_do(scene: Scene) -> None:
    """Where nobody waits, or nothing is there, nothing is written or told, and no further look is planned."""
    drop, gone = await scene.opened(1), await scene.opened(1)
    await scene.held(gone, "zoe")
    await scene.joined(gone, "ann")
    for each in (drop, gone):
        assert await scene.refused("drop_promote", drop=each, by="clock") == {"outcome": "moved", "owed": []}
    await scene.client.zadd(scene.key("due"), {f"promote {drop}": 1})
    await scene.moved("drop_promote", drop=drop, by="clock")
    assert await scene.due() == {}


async def test_in_a_halt(scene: Scene) -> None:
    """While the drop is paused the worker serves nobody and does not come back: the resumption does."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    await scene.moved("drop_pause", drop=drop)
    await scene.released(held, "zoe")
    await scene.client.zadd(scene.key("due"), {f"promote {drop}": 1})
    await scene.moved("drop_promote", drop=drop, by="clock")
    assert (await scene.queue(drop), await scene.due()) == (["ann"], {})


async def test_not_found(scene: Scene) -> None:
    """What is planned for a drop that is not there is taken off."""
    await scene.live()
    assert await scene.refused("drop_promote", drop="dr_none", by="clock") == {"outcome": "not-found"}
    await scene.client.zadd(scene.key("due"), {"promote dr_none": 1})
    await scene.run("drop_promote", drop="dr_none", by="clock")
    assert await scene.due() == {}
