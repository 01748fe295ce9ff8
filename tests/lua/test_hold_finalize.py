"""hold_finalize: the units of an authorized order are sold, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deadlines import packed
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
    """Where one line lapsed while the provider thought, and went to somebody else, nothing of the order is sold."""
    drop = await scene.opened(2)
    kept, lapsed = await scene.held(drop), await scene.held(drop)
    await scene.authorized(kept, lapsed)
    await swept(scene, lapsed)
    await scene.held(drop, "zoe")
    refused = await scene.refused("hold_finalize", order="or_1")
    assert refused == {"outcome": "lost", "reservation": lapsed}
    assert await scene.numbers(drop) == (0, 2, 0)
    assert (await scene.hold(kept))["state"] == "paying"


async def test_lost_to_another_order(scene: Scene) -> None:
    """What another order claims is not sold by this one."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop)
    await scene.authorized(reservation)
    await scene.given_to(reservation, "or_2")
    refused = await scene.refused("hold_finalize", order="or_1")
    assert refused == {"outcome": "lost", "reservation": reservation}


async def swept(scene: Scene, *reservations: str) -> None:
    """Let reservations lapse under their payment."""
    await scene.lapsed(*reservations)
    assert (await scene.run("hold_sweep", limit=10))["lapsed"] == len(reservations)


async def test_what_lapsed_is_taken_again(scene: Scene) -> None:
    """Units that lapsed while the provider thought and are still there are sold as the awards that they were."""
    drop = await scene.opened(5)
    lapsed, kept = await scene.held(drop, quantity=2), await scene.held(drop)
    before = await scene.awarded(drop)
    await scene.authorized(lapsed, kept)
    await swept(scene, lapsed)
    assert await scene.mine("ann") == [(1, 1, kept)]
    async with scene.watched() as told:
        assert (await scene.run("hold_finalize", order="or_1"))["outcome"] == "finalized"
    assert await scene.numbers(drop) == (2, 0, 3)
    assert told.states == [(lapsed, "sold"), (kept, "sold")]
    assert await scene.mine("ann") == [(1, 2, lapsed), (1, 1, kept)]
    assert await scene.awarded(drop) == before
    assert (await scene.hold(lapsed))["order"] == "or_1"


async def test_what_is_listed_no_more_is_listed_again(scene: Scene) -> None:
    """Also where the viewer has let so much go since that their list has forgotten the reservation."""
    drop = await scene.opened(5)
    lapsed = await scene.held(drop)
    await scene.authorized(lapsed)
    await swept(scene, lapsed)
    for _ in range(9):
        await scene.released(await scene.held(drop))
    assert lapsed not in [row[2] for row in await scene.everything("ann")]
    assert (await scene.run("hold_finalize", order="or_1"))["outcome"] == "finalized"
    assert await scene.mine("ann") == [(1, 1, lapsed)]


async def test_the_limit_binds_who_is_late(scene: Scene) -> None:
    """Who took others meanwhile, up to the drop's limit, does not get what lapsed on top."""
    drop = await scene.opened(5, limit_per_viewer=1)
    lapsed = await scene.held(drop)
    await scene.authorized(lapsed)
    await swept(scene, lapsed)
    await scene.held(drop)
    refused = await scene.refused("hold_finalize", order="or_1")
    assert refused == {"outcome": "lost", "reservation": lapsed}


async def test_an_address_binds_who_is_late(scene: Scene) -> None:
    """Units of an address count for it again, or are lost where others of it have them now."""
    drop = await scene.opened(5, limit_per_address=1)
    for other in (False, True):
        order = f"or_{other}"
        asked = scene.taking(drop, address="10.0.0.1")
        await scene.step(asked, addresses=True, address_key=b"key")
        lapsed = scene.reservation(asked)
        await scene.authorized(lapsed, order=order)
        await swept(scene, lapsed)
        if other:
            await scene.step(
                scene.taking(drop, "zoe", address="10.0.0.1"), addresses=True, address_key=b"key"
            )
            assert (await scene.refused("hold_finalize", order=order))["outcome"] == "lost"
        else:
            assert (await scene.run("hold_finalize", order=order))["outcome"] == "finalized"
            given = [[line, 1] for line in [lapsed]]
            await scene.run("hold_return", returned=given, order=order)


async def test_who_waits_comes_before_who_is_late(scene: Scene) -> None:
    """Units that are kept for those who wait are not taken from them."""
    drop = await scene.opened(1)
    lapsed = await scene.held(drop)
    await scene.authorized(lapsed)
    await scene.joined(drop, "zoe")
    await swept(scene, lapsed)
    assert (await scene.refused("hold_finalize", order="or_1"))["outcome"] == "lost"
    assert (await scene.mine("zoe"))[0][1] == 1


@pytest.mark.parametrize(("minutes", "outcome"), [(59, "finalized"), (61, "lost")])
async def test_of_a_closed_drop_units_are_taken_for_an_hour(scene: Scene, minutes: int, outcome: str) -> None:
    """What was held at the close can be paid after it; later its host has counted what is left."""
    drop = await scene.opened(1)
    lapsed = await scene.held(drop)
    await scene.authorized(lapsed)
    await scene.moved("drop_close", drop=drop, by="host")
    await swept(scene, lapsed)
    terms = await scene.terms(drop)
    terms["closed_at"] = await scene.now() - minutes * 60_000
    await scene.client.hset(scene.key("drops"), drop, packed(terms))
    assert (await scene.run("hold_finalize", order="or_1"))["outcome"] == outcome


@pytest.mark.parametrize("step", ["claimed", "voiding"])
async def test_elsewhere(scene: Scene, step: str) -> None:
    """An order that is not authorized, or is being voided, sells nothing."""
    drop = await scene.opened(5)
    await scene.claimed(await scene.held(drop))
    if step == "voiding":
        await scene.stepped("or_1", "claimed", "voiding")
    assert await scene.refused("hold_finalize", order="or_1") == {"outcome": "elsewhere", "step": step}


async def test_gone(scene: Scene) -> None:
    """An order that is settled, or never was, sells nothing."""
    drop = await scene.opened(5)
    await scene.sold(await scene.held(drop))
    await scene.run("order_settle", order="or_1", viewer="ann", view={})
    for order in ("or_1", "or_2"):
        assert await scene.refused("hold_finalize", order=order) == {"outcome": "gone"}


async def test_frozen(scene: Scene) -> None:
    """While a show's stock is rebuilt nothing is sold, and nothing is lost: whoever asks comes again."""
    drop = await scene.opened(2)
    order = await scene.authorized(await scene.held(drop))
    await scene.frozen()
    assert await scene.refused("hold_finalize", order=order) == {"outcome": "frozen"}
    assert await scene.numbers(drop) == (1, 1, 0)
