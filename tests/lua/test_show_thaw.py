"""show_thaw: the end of a freeze."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lua.scene import Scene


def thawing(
    *orders: dict[str, Any], reopen: int = 0, epoch: str = "second", **figures: int
) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "open": reopen,
        "orders": list(orders),
        "figures": figures,
        "buyers": ["ann", "bob"],
    }


async def frozen(scene: Scene) -> str:
    """Freeze a live show with a drop and return the drop."""
    drop = await scene.opened(3)
    await scene.run("show_freeze", known={}, upto=0, seen="", epoch="second", least=0)
    return drop


@pytest.mark.parametrize(("reopen", "status", "kinds"), [(0, "paused", []), (1, "live", ["show.resumed"])])
async def test_thawed(scene: Scene, reopen: int, status: str, kinds: list[str]) -> None:
    """It stays paused, or is live again and says so; units can be taken then, and who waits is looked after."""
    drop = await frozen(scene)
    async with scene.watched() as told:
        thawed = await scene.run("show_thaw", **thawing(reopen=reopen))
    assert (thawed["outcome"], thawed["show"]["status"], told.kinds) == ("thawed", status, kinds)
    assert (await scene.due())[f"promote {drop}"] == 0
    if reopen:
        await scene.held(drop)
    else:
        assert await scene.refused_step(scene.taking(drop)) == ["show-not-live", "paused"]


async def test_orders_and_figures(scene: Scene) -> None:
    """Unfinished orders are there for the next worker, and what was earned is what the ledger says."""
    await frozen(scene)
    record = {"id": "or_1", "viewer": "ann", "step": "committed", "lines": [], "total": 5}
    await scene.run("show_thaw", **thawing(record, orders=2, gmv=2500))
    assert (await scene.order("or_1"))["step"] == "committed"
    assert (await scene.lease("or_1") or 0) <= await scene.now()
    assert (await scene.figure("orders"), await scene.figure("gmv")) == (2, 2500)
    assert await scene.client.pfcount(scene.key("buyers")) == 2


async def test_a_show_that_ended_is_not_opened(scene: Scene) -> None:
    """Whatever is asked for, an ended show stays ended."""
    await scene.live()
    await scene.moved("show_end")
    await scene.run("show_freeze", known={}, upto=0, seen="", epoch="second", least=0)
    thawed = await scene.run("show_thaw", **thawing(reopen=1))
    assert thawed["show"]["status"] == "ended"


async def test_not_found(scene: Scene) -> None:
    """A show that is not there is not thawed."""
    assert await scene.refused("show_thaw", **thawing()) == {"outcome": "not-found"}


async def test_elsewhere(scene: Scene) -> None:
    """Not frozen, or frozen by another rebuild since: nothing is done."""
    await scene.live()
    assert await scene.refused("show_thaw", **thawing(epoch="first")) == {"outcome": "elsewhere"}
    await scene.run("show_freeze", known={}, upto=0, seen="", epoch="second", least=0)
    assert await scene.refused("show_thaw", **thawing(epoch="first")) == {"outcome": "elsewhere"}
    await scene.run("show_thaw", **thawing())
