"""drop_rebuild: a drop set to what the ledger and the surviving holds say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.store.answers import ask
from server.store.keys import key
from tests.lua.scene import PRICE

if TYPE_CHECKING:
    from tests.lua.scene import Scene

SEED = {"seed": "a new secret", "seed_hash": "its promise"}


def sale(
    reservation: str, order: str = "or_1", viewer: str = "ann", quantity: int = 1, returned: int = 0
) -> Any:
    return {
        "own": ids.own(reservation),
        "order": order,
        "viewer": viewer,
        "quantity": quantity,
        "returned": returned,
        "unit_price": PRICE,
    }


async def frozen(scene: Scene) -> None:
    await scene.client.sadd(key("active"), scene.show)
    known = {"id": scene.show, "title": "A show", "currency": "EUR", "host": "hanna", "status": "live"}
    fields = {**known, "created_at": 1, "log_length": 100}
    await scene.run("show_freeze", known=fields, upto=0, seen="", epoch="second", least=0)


async def plan(scene: Scene, drop: str, *sales: Any, **more: Any) -> dict[str, Any]:
    """Return the arguments that set a drop; its revision is that of now."""
    known = await scene.client.hexists(scene.key("stock"), drop)
    revision = await scene.revision(drop) if known else -1
    usual = {"quantity": 5, "held": 0, "sold": 0, "sales": list(sales), "lapsed": [], "first": 0}
    return {"drop": drop, "epoch": "second", "revision": revision, "plan": {**usual, **SEED, **more}}


async def rebuilt(scene: Scene, drop: str, *sales: Any, **more: Any) -> dict[str, Any]:
    answer = await scene.run("drop_rebuild", **await plan(scene, drop, *sales, **more))
    assert answer["outcome"] == "rebuilt", answer
    return answer


async def test_a_drop_that_is_lost(scene: Scene) -> None:
    """It is made from the ledger's terms, with what was sold as awards anew, under the next number of its show."""
    await frozen(scene)
    drop = ids.new_drop(scene.show)
    terms = {**scene.plan(drop)["terms"], "status": "open", "opened_at": 5, "created_at": 1}
    bought = ids.reservation(scene.show, "ann", "op")
    await rebuilt(scene, drop, sale(bought, quantity=2), terms=terms, sold=2, first=1_000_001)
    assert await scene.numbers(drop) == (3, 0, 2)
    assert (await scene.terms(drop))["number"] == 1
    hold = await scene.hold(bought)
    assert (hold["state"], hold["order"], hold["rank"], hold["viewer"]) == ("sold", "or_1", 1_000_001, "ann")
    assert await scene.mine("ann") == [(1, 2, bought)]
    assert (await scene.chain(drop)).rebuilt
    await scene.run("show_thaw", epoch="second", open=1, orders=[], figures={}, buyers=[])
    await scene.held(drop, "bob")
    assert [rank for rank, _ in enumerate(await scene.awarded(drop))] == [0, 1]
    assert (await scene.stock(drop))["awards"] == 1_000_002


@pytest.mark.parametrize("state", ["held", "paying", "released", "expired", "sold"])
async def test_the_ledger_is_right_about_what_is_sold(scene: Scene, state: str) -> None:
    """Whatever a reservation is here, it is sold to the order that the ledger has; its viewer is told."""
    drop = await scene.opened(5)
    bought = await scene.held(drop)
    if state in {"paying", "sold"}:
        await scene.claimed(bought, order="or_other")
    if state == "sold":
        await scene.stepped("or_other", "claimed", "authorized")
        await scene.run("hold_finalize", order="or_other")
    if state == "released":
        await scene.released(bought)
    if state == "expired":
        await scene.lapsed(bought)
        await scene.run("hold_sweep", limit=10)
    await frozen(scene)
    async with scene.watched() as told:
        await rebuilt(scene, drop, sale(bought), sold=1)
    assert await scene.numbers(drop) == (4, 0, 1)
    assert ((await scene.hold(bought))["state"], (await scene.hold(bought))["order"]) == ("sold", "or_1")
    assert await scene.mine("ann") == [(1, 1, bought)]
    assert told.states == [(bought, "sold")]


async def test_units_that_returned(scene: Scene) -> None:
    """Of a sale that was paid back in part the rest stays sold; one of which all came back is released."""
    drop = await scene.opened(5)
    part, whole = await scene.held(drop, quantity=2), await scene.held(drop, "bob")
    await frozen(scene)
    sales = sale(part, quantity=2, returned=1), sale(whole, "or_2", "bob", returned=1)
    await rebuilt(scene, drop, *sales, sold=1)
    assert await scene.numbers(drop) == (4, 0, 1)
    assert ((await scene.hold(part))["state"], (await scene.hold(whole))["state"]) == ("sold", "released")
    assert (await scene.mine("ann"), await scene.mine("bob")) == ([(1, 1, part)], [])


async def test_holds_that_do_not_fit(scene: Scene) -> None:
    """They lapse and their viewers are told; those that fit stay as they are."""
    drop = await scene.opened(5)
    kept, gone = await scene.held(drop), await scene.held(drop, "bob")
    await frozen(scene)
    async with scene.watched() as told:
        await rebuilt(scene, drop, lapsed=[ids.own(gone)], held=1, quantity=1)
    assert await scene.numbers(drop) == (0, 1, 0)
    assert ((await scene.hold(kept))["state"], told.states) == ("held", [(gone, "expired")])
    assert await scene.mine("bob") == []


async def test_units_that_are_owed(scene: Scene) -> None:
    """More sold than there is: nobody sees less than nothing, nobody gets any, and a restock pays the debt first."""
    drop = await scene.opened(5)
    sales = [
        sale(await scene.held(drop, viewer), f"or_{viewer}", viewer) for viewer in ("ann", "bob", "cleo")
    ]
    await frozen(scene)
    answer = await ask(
        scene.scripts,
        "drop_rebuild",
        {"show": scene.show},
        **await plan(scene, drop, *sales, sold=3, quantity=1),
    )
    assert (answer["outcome"], answer["available"]) == ("rebuilt", -2)
    assert (await scene.stock(drop))["available"] == -2
    thaw = {"epoch": "second", "open": 1, "orders": [], "figures": {}, "buyers": []}
    await ask(scene.scripts, "show_thaw", {"show": scene.show}, **thaw)
    arguments = {"drop": drop, "most": 100, "operation": "", "skip": 0, "quantity": 3}
    moved = await scene.run("drop_restock", **arguments)
    assert moved["drop"]["available"] == 1
    await scene.held(drop, "dan")


async def test_a_draw_whose_secret_is_lost(scene: Scene) -> None:
    """It has a new secret, promised anew; one whose secret is still there keeps it."""
    drop = await scene.opened(5, mode="draw")
    promised = (await scene.terms(drop))["seed_hash"]
    await frozen(scene)
    await rebuilt(scene, drop)
    assert (await scene.terms(drop))["seed_hash"] == promised
    await scene.client.delete(scene.key("seeds"))
    await rebuilt(scene, drop)
    assert (await scene.terms(drop))["seed_hash"] == SEED["seed_hash"]
    assert await scene.client.hget(scene.key("seeds"), drop) == SEED["seed"].encode()


async def test_planned_moves_come_back(scene: Scene) -> None:
    """A drop that is still to open and to close does so at its times."""
    await frozen(scene)
    drop = ids.new_drop(scene.show)
    times = {"opens_at": 2_000_000_000_000, "closes_at": 2_000_000_060_000}
    terms = {**scene.plan(drop)["terms"], "status": "scheduled", "created_at": 1, **times}
    await rebuilt(scene, drop, terms=terms)
    assert await scene.due() == {f"open {drop}": times["opens_at"], f"close {drop}": times["closes_at"]}


async def test_a_repeat_changes_nothing(scene: Scene) -> None:
    """What is as it should be is not touched, but for the revision of its numbers."""
    drop = await scene.opened(5)
    bought = await scene.held(drop)
    await frozen(scene)
    await rebuilt(scene, drop, sale(bought), sold=1)
    before = await scene.dump()
    await rebuilt(scene, drop, sold=1)
    after = await scene.dump()
    assert {place for place in after if after[place] != before[place]} <= {scene.key("stock").encode()}


async def test_changed(scene: Scene) -> None:
    """Numbers that are no longer those that were counted are left as they are."""
    drop = await scene.opened(5)
    await frozen(scene)
    stale = await plan(scene, drop) | {"revision": 0}
    assert await scene.refused("drop_rebuild", **stale) == {"outcome": "changed"}
    lost = await plan(scene, ids.new_drop(scene.show)) | {"revision": 3}
    assert await scene.refused("drop_rebuild", **lost) == {"outcome": "changed"}


async def test_not_frozen(scene: Scene) -> None:
    """A show that sells is never rebuilt, nor one that another rebuild has frozen since."""
    drop = await scene.opened(5)
    assert await scene.refused("drop_rebuild", **await plan(scene, drop)) == {"outcome": "not-frozen"}
    await frozen(scene)
    other = await plan(scene, drop) | {"epoch": "third"}
    assert await scene.refused("drop_rebuild", **other) == {"outcome": "not-frozen"}
