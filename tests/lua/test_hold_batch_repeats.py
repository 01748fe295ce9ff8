"""hold_batch: repeating an operation id is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_replayed(scene: Scene) -> None:
    """The same operation again returns its reservation as it now is, and takes nothing more."""
    drop = await scene.opened(5)
    asked = scene.taking(drop, "ann", 2, "mine")
    [[_, quantity, expires_at, rank]] = await scene.step(asked)
    outcome, view, again = await scene.refused_step(asked)
    assert (outcome, again) == ("replayed", rank)
    assert (view["id"], view["drop"], view["sku"], view["state"]) == (
        scene.reservation(asked),
        drop,
        "MUG",
        "held",
    )
    assert (view["quantity"], view["expires_at"]) == (quantity, expires_at)
    await scene.released(scene.reservation(asked))
    await scene.moved("drop_close", drop=drop, by="host")
    outcome, view, _rank = await scene.refused_step(asked)
    assert (outcome, view["state"]) == ("replayed", "released")


async def test_twice_in_one_step(scene: Scene) -> None:
    """The same operation twice in one step takes once: the second meets what the first one made."""
    drop = await scene.opened(5)
    asked = scene.taking(drop, "ann", 2)
    first, second = await scene.step(asked, asked)
    assert (first[0], second[0], second[1]["id"]) == ("held", "replayed", scene.reservation(asked))
    assert await scene.numbers(drop) == (3, 2, 0)


async def test_idempotency_mismatch(scene: Scene) -> None:
    """The same operation with another quantity or drop is refused, and says what it took."""
    drop, other = await scene.opened(5), await scene.opened(5)
    await scene.step(scene.taking(drop, "ann", 2, "mine"))
    mismatch = ["idempotency-mismatch", drop, 2]
    assert await scene.refused_step(scene.taking(drop, "ann", 3, "mine")) == mismatch
    assert await scene.refused_step(scene.taking(other, "ann", 2, "mine")) == mismatch
    assert await scene.refused_step(scene.taking("dr_none", "ann", 2, "mine")) == mismatch


async def test_an_operation_is_its_viewers(scene: Scene) -> None:
    """The same operation id of another viewer is another operation."""
    drop = await scene.opened(5)
    await scene.step(scene.taking(drop, "ann", 2, "mine"))
    assert [row[0] for row in await scene.step(scene.taking(drop, "bob", 1, "mine"))] == ["held"]


async def test_a_repeat_in_part(scene: Scene) -> None:
    """What was taken in part is returned as it is, and the place for the rest stays as it is."""
    drop = await scene.opened(3)
    asked = scene.taking(drop, "ann", 5, part=True)
    await scene.step(asked)
    outcome, view, rank = await scene.refused_step(asked)
    assert (outcome, view["id"], view["quantity"], rank) == ("replayed", scene.reservation(asked), 3, 1)


async def test_a_repeat_of_what_only_waits(scene: Scene) -> None:
    """Where nothing was left the repeat finds the place, and once it was served the reservation."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    asked = scene.taking(drop, "ann", 1, part=True)
    first = await scene.step(asked)
    again = await scene.refused_step(asked)
    assert (again[0], again[1], again[4:]) == ("held", 0, [1, 1, 1])
    assert again[4:] == first[0][4:]
    await scene.released(held, "zoe")
    outcome, view, _rank = await scene.refused_step(asked)
    assert (outcome, view["id"], view["state"]) == ("replayed", f"{scene.reservation(asked)}w", "held")


async def test_a_repeated_join(scene: Scene) -> None:
    """Joining again changes nothing; once served it says so, and gives no second place."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    asked = scene.joining(drop, "ann")
    assert await scene.step(asked) == [["waiting", 1, 1, 1]]
    assert await scene.refused_step(asked) == ["waiting", 1, 1, 1]
    await scene.released(held, "zoe")
    assert await scene.refused_step(asked) == ["waiting", 0]
