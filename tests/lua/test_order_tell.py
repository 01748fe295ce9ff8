"""order_tell: the viewer of an order hears what became of it, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_told(scene: Scene) -> None:
    """The message goes to the viewer alone, and nothing is written."""
    await scene.live()
    before = await scene.dump()
    view = {"id": "or_1", "status": "refunded"}
    async with scene.watched() as told:
        assert await scene.run("order_tell", viewer="ann", view=view) == {"outcome": "told"}
    assert told.private == [("ann", {"type": "order.updated", "order": view})]
    assert (told.events, told.stocks, told.counts) == ([], [], [])
    assert await scene.dump() == before


async def test_of_a_show_that_is_gone(scene: Scene) -> None:
    """Nobody hears, and no key is made."""
    assert await scene.run("order_tell", viewer="ann", view={"id": "or_1"}) == {"outcome": "told"}
    assert await scene.dump() == {}
