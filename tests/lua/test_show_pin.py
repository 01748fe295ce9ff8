"""show_pin: products before the viewers' eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server.store.answers import unpacked

if TYPE_CHECKING:
    from tests.lua.scene import Scene

MUG = {"sku": "MUG", "options": {}, "images": [], "tags": ["kitchen"], "unit_price": 1250}


def packed(*products: Any) -> bytes:
    return bytes(msgpack.packb(list(products), use_bin_type=False))


@pytest.mark.parametrize("products", [(), (MUG,), (MUG, {**MUG, "sku": "LAMP"})])
async def test_moved(scene: Scene, products: tuple[Any, ...]) -> None:
    """The event carries exactly the given products (an empty map stays a map), and a joining viewer gets them."""
    await scene.live()
    await scene.moved("show_pin", products=packed({"sku": "OLD"}))
    async with scene.watched() as told:
        await scene.moved("show_pin", products=packed(*products))
    assert told.kinds == ["product.pinned"]
    assert told.events[0]["products"] == list(products)
    reply = await scene.scripts.run("show_join", {"show": scene.show}, viewers=["ann"], snapshot=1)
    assert unpacked(reply[1]) == list(products)


async def test_not_found(scene: Scene) -> None:
    """Nothing is pinned to a show that is not there."""
    assert await scene.refused("show_pin", products=packed(MUG)) == {"outcome": "not-found"}


async def test_wrong_state(scene: Scene) -> None:
    """Nothing is pinned to a show that has ended."""
    await scene.live()
    await scene.moved("show_end")
    refused = await scene.refused("show_pin", products=packed(MUG))
    assert refused == {"outcome": "wrong-state", "state": "ended"}
