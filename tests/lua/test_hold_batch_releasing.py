"""hold_batch, release: a viewer gives a reservation back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_released(scene: Scene) -> None:
    """The units are available again at once; everybody hears the numbers and the viewer their reservation."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop, "ann", 2)
    async with scene.watched() as told:
        [[outcome, view]] = await scene.step(scene.releasing(reservation))
    assert (outcome, view["id"], view["state"]) == ("released", reservation, "released")
    assert told.private == [("ann", {"type": "reservation", "reservation": view, "replayed": False})]
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(5, 0)]
    assert await scene.numbers(drop) == (5, 0, 0)
    assert (await scene.hold(reservation))["state"] == "released"
    assert await scene.mine("ann") == []


async def test_repeating_changes_nothing_more(scene: Scene) -> None:
    """Giving back what was given back or has lapsed returns it as it is, once more and for ever."""
    drop = await scene.opened(5)
    released, expired = await scene.held(drop), await scene.held(drop)
    await scene.released(released)
    await scene.lapsed(expired)
    await scene.run("hold_sweep", limit=10)
    for reservation, state in ((released, "released"), (expired, "expired")):
        outcome, view = await scene.refused_step(scene.releasing(reservation))
        assert (outcome, view["state"]) == ("released", state)
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_after_its_deadline(scene: Scene) -> None:
    """What lapsed and was not swept yet can still be given back; the sweep then finds nothing."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop)
    await scene.lapsed(reservation)
    await scene.released(reservation)
    assert (await scene.run("hold_sweep", limit=10))["lapsed"] == 0
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_not_found(scene: Scene) -> None:
    """What was never reserved cannot be given back."""
    await scene.opened()
    assert await scene.refused_step(scene.releasing("rs_none")) == ["not-found"]


async def test_not_allowed(scene: Scene) -> None:
    """Nobody gives back what is somebody else's."""
    reservation = await scene.held(await scene.opened())
    assert await scene.refused_step(scene.releasing(reservation, "bob")) == ["not-allowed"]


async def test_in_progress(scene: Scene) -> None:
    """What is being paid cannot be given back."""
    reservation = await scene.held(await scene.opened())
    await scene.claimed(reservation)
    assert await scene.refused_step(scene.releasing(reservation)) == ["in-progress"]


async def test_wrong_state(scene: Scene) -> None:
    """What is sold cannot be given back."""
    reservation = await scene.held(await scene.opened())
    await scene.sold(reservation)
    assert await scene.refused_step(scene.releasing(reservation)) == ["wrong-state", "sold"]


async def test_who_waits_gets_what_comes_back(scene: Scene) -> None:
    """The units go to the next in the queue in the same step: nobody ever sees them available."""
    drop = await scene.opened(1)
    held = await scene.held(drop, "zoe")
    [anns] = await scene.joined(drop, "ann")
    async with scene.watched() as told:
        await scene.released(held, "zoe")
    assert [(stock["available"], stock["held"], stock["waitlist_length"]) for stock in told.stocks] == [
        (0, 1, 0)
    ]
    assert told.states == [(held, "released"), (anns, "held")]
    promoted = [body for viewer, body in told.private if body["type"] == "waitlist.promoted"]
    assert [(body["drop"], body["reservation"]["id"]) for body in promoted] == [(drop, anns)]
    assert (await scene.mine("ann"), await scene.mine("zoe")) == ([(1, 1, anns)], [])
    assert await scene.awarded(drop) == [(held, 1), (anns, 1)]
