"""order_settle: the working record goes once the ledger has everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene

VIEW = {"id": "or_1", "status": "paid", "lines": [{"sku": "MUG"}]}


async def test_settled(scene: Scene) -> None:
    """The record and its lease are gone, the units stay sold, and the viewer alone hears how it ended."""
    drop = await scene.opened(3)
    await scene.sold(await scene.held(drop))
    async with scene.watched() as told:
        answer = await scene.run("order_settle", order="or_1", viewer="ann", view=VIEW)
    assert answer == {"outcome": "settled"}
    assert told.private == [("ann", {"type": "order.updated", "order": VIEW})]
    assert (told.stocks, told.kinds) == ([], [])
    assert await scene.numbers(drop) == (2, 0, 1)
    assert not await scene.client.exists(scene.key("orders"), scene.key("pending"))


async def test_repeated(scene: Scene) -> None:
    """Settling again changes nothing and tells nobody."""
    await scene.sold(await scene.held(await scene.opened()))
    await scene.run("order_settle", order="or_1", viewer="ann", view=VIEW)
    again = await scene.refused("order_settle", order="or_1", viewer="ann", view=VIEW)
    assert again == {"outcome": "settled"}
