"""hold_release: a viewer gives a reservation back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_released(scene: Scene) -> None:
    """The units are available again at once; everybody hears the numbers and the viewer their reservation."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop, "ann", 2)
    async with scene.watched() as told:
        answer = await scene.run("hold_release", reservation=reservation, viewer="ann")
    assert (answer["outcome"], answer["reservation"]["state"]) == ("released", "released")
    body = {"type": "reservation", "reservation": answer["reservation"], "replayed": False}
    assert told.private == [("ann", body)]
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(5, 0)]
    assert await scene.numbers(drop) == (5, 0, 0)
    assert await scene.deadline(reservation) is None
    assert not await scene.client.hexists(scene.key("taken"), f"{drop} ann")


async def test_repeating_changes_nothing_more(scene: Scene) -> None:
    """Giving back what was given back or has lapsed returns it as it is, once more and for ever."""
    drop = await scene.opened(5)
    released, expired = await scene.held(drop), await scene.held(drop)
    await scene.run("hold_release", reservation=released, viewer="ann")
    await scene.lapsed(expired)
    await scene.run("hold_sweep", limit=10)
    for reservation, state in ((released, "released"), (expired, "expired")):
        again = await scene.refused("hold_release", reservation=reservation, viewer="ann")
        assert (again["outcome"], again["reservation"]["state"]) == ("released", state)
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_after_its_deadline(scene: Scene) -> None:
    """What lapsed and was not swept yet can still be given back; the sweep then finds nothing."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop)
    await scene.lapsed(reservation)
    assert (await scene.run("hold_release", reservation=reservation, viewer="ann"))["outcome"] == "released"
    assert (await scene.run("hold_sweep", limit=10))["lapsed"] == 0
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_not_found(scene: Scene) -> None:
    """What was never reserved cannot be given back."""
    await scene.opened()
    assert await scene.refused("hold_release", reservation="rs_none", viewer="ann") == {
        "outcome": "not-found"
    }


async def test_not_allowed(scene: Scene) -> None:
    """Nobody gives back what is somebody else's."""
    reservation = await scene.held(await scene.opened())
    refused = await scene.refused("hold_release", reservation=reservation, viewer="bob")
    assert refused == {"outcome": "not-allowed"}


async def test_in_progress(scene: Scene) -> None:
    """What is being paid cannot be given back."""
    reservation = await scene.held(await scene.opened())
    await scene.claimed(reservation)
    refused = await scene.refused("hold_release", reservation=reservation, viewer="ann")
    assert refused == {"outcome": "in-progress"}


async def test_wrong_state(scene: Scene) -> None:
    """What is sold cannot be given back."""
    reservation = await scene.held(await scene.opened())
    await scene.sold(reservation)
    refused = await scene.refused("hold_release", reservation=reservation, viewer="ann")
    assert refused == {"outcome": "wrong-state", "state": "sold"}
