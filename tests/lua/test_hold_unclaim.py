"""hold_unclaim: an order that will not be lets its reservations go back to what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.inventory import lapses

if TYPE_CHECKING:
    from tests.lua.scene import Scene

UNCLAIMED = {"outcome": "unclaimed", "owed": []}


async def test_unclaimed(scene: Scene) -> None:
    """The reservations are held again until their old deadline, and can be paid by another order."""
    drop = await scene.opened(5, hold_seconds=10)
    reservation = await scene.held(drop, quantity=2)
    [old] = await scene.looked_at(reservation)
    await scene.claimed(reservation)
    assert old not in await scene.looked_at(reservation)
    async with scene.watched() as told:
        assert await scene.run("hold_unclaim", order="or_1") == UNCLAIMED
    hold = await scene.hold(reservation)
    assert (hold["state"], hold["order"], hold["expires_at"]) == ("held", "", old)
    assert old in await scene.looked_at(reservation)
    assert (told.states, told.stocks) == ([(reservation, "held")], [])
    assert await scene.numbers(drop) == (3, 2, 0)
    assert not await scene.client.exists(scene.key("orders"), scene.key("pending"))
    await scene.sold(reservation, order="or_2")


async def test_a_deadline_that_is_over(scene: Scene) -> None:
    """What would have lapsed meanwhile lapses now; the units are back, and everybody hears it."""
    drop = await scene.opened(5)
    over, alive = await scene.held(drop, quantity=2), await scene.held(drop)
    await scene.claimed(over, alive)
    await scene.lapsed(over)
    async with scene.watched() as told:
        await scene.run("hold_unclaim", order="or_1")
    assert told.states == [(over, "expired"), (alive, "held")]
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(4, 1)]
    assert await scene.numbers(drop) == (4, 1, 0)


async def test_who_waits_gets_what_comes_back(scene: Scene) -> None:
    """Units of a claim that is over go to the next in the queue in the same step."""
    drop = await scene.opened(1)
    over = await scene.held(drop, "zoe")
    [anns] = await scene.joined(drop, "ann")
    await scene.claimed(over, viewer="zoe")
    await scene.lapsed(over)
    async with scene.watched() as told:
        await scene.run("hold_unclaim", order="or_1")
    assert told.states == [(over, "expired"), (anns, "held")]
    noted = (await lapses.read(scene.client, scene.show)).found
    assert [(each.viewer, each.reservation["id"]) for each in noted] == [("zoe", over)]
    assert await scene.queue(drop) == []


async def test_lines_that_are_no_longer_the_orders(scene: Scene) -> None:
    """What was swept, or another order claims, is left alone."""
    drop = await scene.opened(5)
    swept, kept, taken = [await scene.held(drop) for _ in range(3)]
    await scene.claimed(swept, kept, taken)
    await scene.given_to(taken, "or_2")
    await scene.lapsed(swept)
    await scene.run("hold_sweep", limit=1)
    async with scene.watched() as told:
        await scene.run("hold_unclaim", order="or_1")
    assert told.states == [(kept, "held")]
    assert [(await scene.hold(each))["state"] for each in (swept, taken)] == ["expired", "paying"]
    assert await scene.numbers(drop) == (3, 2, 0)


async def test_repeated(scene: Scene) -> None:
    """An order that is already gone changes nothing more."""
    reservation = await scene.held(await scene.opened())
    await scene.claimed(reservation)
    await scene.run("hold_unclaim", order="or_1")
    assert await scene.refused("hold_unclaim", order="or_1") == {"outcome": "unclaimed"}


@pytest.mark.parametrize("step", ["authorized", "finalized", "committed"])
async def test_elsewhere(scene: Scene, step: str) -> None:
    """An order whose units may be sold by now cannot be undone; the answer names its step."""
    reservation = await scene.held(await scene.opened())
    await scene.authorized(reservation)
    if step != "authorized":
        await scene.run("hold_finalize", order="or_1")
    if step == "committed":
        await scene.stepped("or_1", "finalized", "committed")
    assert await scene.refused("hold_unclaim", order="or_1") == {"outcome": "elsewhere", "step": step}


async def test_an_order_that_the_ledger_has_as_cancelled(scene: Scene) -> None:
    """Its reservations come back and its viewer hears of it; its name stays, so that a repeat makes no other order."""
    reservation = await scene.held(await scene.opened())
    await scene.authorized(reservation)
    await scene.stepped("or_1", "authorized", "undoing", reason="lost")
    view = {"id": "or_1", "status": "cancelled"}
    async with scene.watched() as told:
        assert await scene.run("hold_unclaim", order="or_1", view=view) == UNCLAIMED
    assert (await scene.hold(reservation))["state"] == "held"
    assert ("ann", {"type": "order.updated", "order": view}) in told.private
    assert await scene.order("or_1") == {
        "id": "or_1",
        "viewer": "ann",
        "step": "undone",
        "reason": "lost",
        "lines": [],
    }
    assert await scene.lease("or_1") is None
    assert await scene.refused("hold_unclaim", order="or_1", view=view) == {"outcome": "unclaimed"}
    again = await scene.refused("hold_checkout", **scene.claiming(reservation))
    assert again == {"outcome": "undone", "reason": "lost"}


async def test_frozen(scene: Scene) -> None:
    """While a show's stock is rebuilt no claim is undone; the answer says which step the order is in."""
    drop = await scene.opened(2)
    order = await scene.claimed(await scene.held(drop))
    await scene.frozen()
    answer = await scene.refused("hold_unclaim", order=order, skip=0, view={})
    assert answer == {"outcome": "frozen", "step": "claimed"}
