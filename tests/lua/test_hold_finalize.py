"""hold_finalize: the units of an authorized order are sold, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lua.scene import PRICE

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_finalized(scene: Scene) -> None:
    """Every line moves from held to sold in one step; numbers once per drop, each reservation to its viewer."""
    first, second = await scene.opened(5), await scene.opened(5)
    paid = [await scene.held(first, "ann", 2), await scene.held(first), await scene.held(second)]
    await scene.authorized(*paid)
    async with scene.watched() as told:
        assert await scene.run("hold_finalize", order="or_1") == {"outcome": "finalized", "owed": []}
    assert (await scene.numbers(first), await scene.numbers(second)) == ((2, 0, 3), (4, 0, 1))
    assert [(stock["drop_id"], stock["sold"]) for stock in told.stocks] == [(first, 3), (second, 1)]
    assert told.states == [(reservation, "sold") for reservation in paid]
    assert [(await scene.hold(reservation))["order"] for reservation in paid] == ["or_1"] * 3
    assert (await scene.order("or_1"))["step"] == "finalized"


async def test_the_figures_grow_once(scene: Scene) -> None:
    """Orders, units, revenue and buyers count the order once, however often it is finalized."""
    drop = await scene.opened(5)
    await scene.authorized(await scene.held(drop, "ann", 2))
    for _ in range(2):
        assert (await scene.run("hold_finalize", order="or_1"))["outcome"] == "finalized"
    figures = [await scene.figure(name) for name in ("orders", "units_sold", "gmv")]
    assert figures == [1, 2, 2 * PRICE]
    assert await scene.client.pfcount(scene.key("buyers")) == 1


@pytest.mark.parametrize("step", ["finalized", "committed"])
async def test_a_repeat_writes_nothing(scene: Scene, step: str) -> None:
    """An order that is sold is finalized, also once the ledger has it."""
    drop = await scene.opened(5)
    await scene.sold(await scene.held(drop))
    if step == "committed":
        await scene.stepped("or_1", "finalized", "committed")
    assert await scene.refused("hold_finalize", order="or_1") == {"outcome": "finalized"}


async def test_lost_to_the_sweeper(scene: Scene) -> None:
    """Where one line lapsed while the provider thought, nothing of the order is sold."""
    drop = await scene.opened(5)
    kept, lapsed = await scene.held(drop), await scene.held(drop)
    await scene.authorized(kept, lapsed)
    await scene.lapsed(lapsed)
    await scene.run("hold_sweep", limit=10)
    refused = await scene.refused("hold_finalize", order="or_1")
    assert refused == {"outcome": "lost", "reservation": lapsed}
    assert await scene.numbers(drop) == (4, 1, 0)
    assert (await scene.hold(kept))["state"] == "paying"


async def test_lost_to_another_order(scene: Scene) -> None:
    """What another order claims is not sold by this one."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop)
    await scene.authorized(reservation)
    await scene.given_to(reservation, "or_2")
    refused = await scene.refused("hold_finalize", order="or_1")
    assert refused == {"outcome": "lost", "reservation": reservation}


@pytest.mark.parametrize("step", ["claimed", "voiding"])
async def test_lost_in_another_step(scene: Scene, step: str) -> None:
    """An order that is not authorized, or is being voided, sells nothing."""
    drop = await scene.opened(5)
    await scene.claimed(await scene.held(drop))
    if step == "voiding":
        await scene.stepped("or_1", "claimed", "voiding")
    assert await scene.refused("hold_finalize", order="or_1") == {"outcome": "lost", "step": step}


async def test_gone(scene: Scene) -> None:
    """An order that is settled, or never was, sells nothing."""
    drop = await scene.opened(5)
    await scene.sold(await scene.held(drop))
    await scene.run("order_settle", order="or_1", viewer="ann", view={})
    for order in ("or_1", "or_2"):
        assert await scene.refused("hold_finalize", order=order) == {"outcome": "gone"}
