"""hold_batch: a repeat of what waits, or was served since, is the first run's: nothing refuses it, nothing is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_a_part_that_waits(scene: Scene) -> None:
    """Units that are free while its viewer is away do not make a repeat take them: it is still the one that waits."""
    drop = await scene.opened(2)
    held = await scene.held(drop, "zoe", 2)
    asked = scene.taking(drop, "ann", 2, "mine", part=True)
    first = await scene.step(asked, skip_absent=True)
    await scene.released(held, "zoe", skip_absent=True)
    assert await scene.numbers(drop) == (2, 0, 0)
    again = scene.taking(drop, "ann", 2, "mine", part=True)
    assert [row[:2] for row in await scene.step(again, skip_absent=True)] == [row[:2] for row in first]
    await scene.visited("ann")
    await scene.moved("drop_promote", drop=drop, by="clock", skip=1)
    assert [row[:2] for row in await scene.mine("ann")] == [(1, 2)]
    served = await scene.step(scene.taking(drop, "ann", 2, "mine", part=True))
    assert [row[0] for row in served] == ["replayed"]
    assert await scene.numbers(drop) == (0, 2, 0)


async def test_a_join_that_was_served_in_part(scene: Scene) -> None:
    """What it was given counts towards the limit, but is no reason to refuse it: it waits for the rest."""
    drop = await scene.opened(2, limit_per_viewer=3)
    held = await scene.held(drop, "zoe", 2)
    asked = scene.joining(drop, "ann", 3, "mine")
    await scene.step(asked)
    await scene.released(held, "zoe")
    assert await scene.step(scene.joining(drop, "ann", 3, "mine")) == [["waiting", 1, 1, 1]]
    assert [row[:2] for row in await scene.mine("ann")] == [(1, 2), (-1, 1)]


async def test_a_part_in_a_queue_that_is_full(scene: Scene) -> None:
    """The queue has filled up behind it: it stands in it all the same."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    first = await scene.step(scene.taking(drop, "ann", 1, "mine", part=True), most_waiting=1)
    again = scene.taking(drop, "ann", 1, "mine", part=True)
    assert [row[:2] + row[4:] for row in await scene.step(again, most_waiting=1)] == [
        first[0][:2] + first[0][4:]
    ]
    late = await scene.step(scene.taking(drop, "bob", part=True), most_waiting=1)
    assert [row[0] for row in late] == ["out-of-stock"]


async def test_a_join_that_was_served_before_the_close(scene: Scene) -> None:
    """After the close it is still the one that was served; whoever joins now hears that it is closed."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.step(scene.joining(drop, "ann", 1, "mine"))
    await scene.released(held, "zoe")
    await scene.moved("drop_close", drop=drop, by="host")
    assert (await scene.step(scene.joining(drop, "ann", 1, "mine")))[0][:2] == ["waiting", 0]
    assert await scene.step(scene.joining(drop, "bob", 1)) == [["drop-closed"]]


async def test_a_join_that_waited_in_vain(scene: Scene) -> None:
    """After the close of a queue nobody has a place in it any more, and a repeat says so."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    await scene.step(scene.joining(drop, "ann", 1, "mine"))
    await scene.moved("drop_close", drop=drop, by="host")
    assert (await scene.step(scene.joining(drop, "ann", 1, "mine")))[0][:2] == ["waiting", 0]
