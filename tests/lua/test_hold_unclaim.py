"""hold_unclaim: an order that will not be lets its reservations go back to what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_unclaimed(scene: Scene) -> None:
    """The reservations are held again until their old deadline, and can be paid by another order."""
    drop = await scene.opened(5, hold_seconds=10)
    reservation = await scene.held(drop, quantity=2)
    old = await scene.deadline(reservation)
    await scene.claimed(reservation)
    assert await scene.deadline(reservation) != old
    async with scene.watched() as told:
        assert await scene.run("hold_unclaim", order="or_1") == {"outcome": "unclaimed"}
    hold = await scene.hold(reservation)
    assert (hold["state"], hold["order"], hold["expires_at"]) == ("held", "", old)
    assert await scene.deadline(reservation) == old
    assert (told.states, told.stocks) == ([(reservation, "held")], [])
    assert await scene.numbers(drop) == (3, 2, 0)
    assert await scene.lease("or_1") is None
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


async def test_lines_that_are_no_longer_the_orders(scene: Scene) -> None:
    """What was swept, and perhaps taken by another order, is left alone."""
    drop = await scene.opened(5)
    swept, kept = await scene.held(drop), await scene.held(drop)
    await scene.claimed(swept, kept)
    await scene.lapsed(swept)
    await scene.run("hold_sweep", limit=1)
    async with scene.watched() as told:
        await scene.run("hold_unclaim", order="or_1")
    assert told.states == [(kept, "held")]
    assert (await scene.hold(swept))["state"] == "expired"
    assert await scene.numbers(drop) == (4, 1, 0)


async def test_repeated(scene: Scene) -> None:
    """An order that is already gone changes nothing more."""
    reservation = await scene.held(await scene.opened())
    await scene.claimed(reservation)
    await scene.run("hold_unclaim", order="or_1")
    assert await scene.refused("hold_unclaim", order="or_1") == {"outcome": "unclaimed"}
