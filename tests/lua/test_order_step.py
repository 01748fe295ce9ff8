"""order_step: an order's next step, recorded before it is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lua.scene import LEASE_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


def step(known: str, following: str, reference: str = "", order: str = "or_1") -> dict[str, Any]:
    steps = {"order": order, "known_step": known, "next_step": following, "reference": reference}
    return {**steps, "lease_ms": LEASE_MS}


async def test_moved(scene: Scene) -> None:
    """The step and the provider's reference are kept, the rest stays, and the lease is renewed."""
    await scene.claimed(await scene.held(await scene.opened()))
    before, began = await scene.order("or_1"), await scene.now()
    answer = await scene.run("order_step", **step("claimed", "authorized", "sb_1"))
    assert answer["outcome"] == "moved"
    assert abs(answer["now"] - await scene.now()) < 5000
    assert await scene.order("or_1") == {**before, "step": "authorized", "reference": "sb_1"}
    lease = await scene.lease("or_1")
    assert lease is not None
    assert began <= lease - LEASE_MS <= await scene.now()


async def test_repeated(scene: Scene) -> None:
    """Going where the order already is succeeds; without a reference the known one stays."""
    await scene.authorized(await scene.held(await scene.opened()))
    assert (await scene.run("order_step", **step("claimed", "authorized")))["outcome"] == "moved"
    assert (await scene.order("or_1"))["reference"] == "sb_or_1"


async def test_why_it_comes_to_nothing(scene: Scene) -> None:
    """The reason is kept from the step that names it on."""
    await scene.authorized(await scene.held(await scene.opened()))
    await scene.stepped("or_1", "authorized", "voiding", reason="lost")
    await scene.stepped("or_1", "voiding", "undoing")
    assert (await scene.order("or_1"))["reason"] == "lost"


@pytest.mark.parametrize(("known", "following"), [("claimed", "voiding"), ("finalized", "committed")])
async def test_elsewhere(scene: Scene, known: str, following: str) -> None:
    """An order that is in neither step stays, and the answer says where it is."""
    await scene.authorized(await scene.held(await scene.opened()))
    refused = await scene.refused("order_step", **step(known, following))
    assert refused == {"outcome": "elsewhere", "step": "authorized"}


async def test_gone(scene: Scene) -> None:
    """An order that is not there takes no step."""
    await scene.opened()
    assert await scene.refused("order_step", **step("claimed", "authorized")) == {"outcome": "gone"}
