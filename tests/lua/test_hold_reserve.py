"""hold_reserve: units taken and held until they lapse, or exactly why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lua.scene import HOLD_SECONDS, PRICE

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_held(scene: Scene) -> None:
    """The units move from available to held, with a deadline, and everybody hears the new numbers."""
    drop = await scene.opened(5)
    before = await scene.now()
    async with scene.watched() as told:
        answer = await scene.run("hold_reserve", **scene.taking(drop, "ann", 2))
    view = answer["reservation"]
    deadline = view.pop("expires_at")
    assert before <= deadline - HOLD_SECONDS * 1000 <= await scene.now()
    assert answer["outcome"] == "held"
    assert view.pop("id").startswith(f"rs_{scene.show[3:]}_")
    assert view == {
        "drop": drop,
        "sku": "MUG",
        "quantity": 2,
        "state": "held",
        "unit_price": PRICE,
        "currency": "EUR",
    }
    assert await scene.numbers(drop) == (3, 2, 0)
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(3, 2)]
    assert (told.kinds, told.private) == ([], [])


async def test_its_deadline_and_its_viewer_are_kept(scene: Scene) -> None:
    """The hold is in the expiry index at its deadline, and in its viewer's count."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop, "ann", 2)
    hold = await scene.hold(reservation)
    assert (hold["viewer"], hold["order"]) == ("ann", "")
    assert await scene.deadline(reservation) == hold["expires_at"]
    assert await scene.client.hget(scene.key("taken"), f"{drop} ann") == b"2"


async def test_sold_out_is_told_when_the_last_unit_goes(scene: Scene) -> None:
    """The log says `drop.sold_out` with the last unit, and within a second not again for stock that flutters."""
    drop = await scene.opened(2)
    await scene.held(drop)
    async with scene.watched() as told:
        last = await scene.held(drop)
        await scene.run("hold_release", reservation=last, viewer="ann")
        await scene.held(drop)
    assert [(event["type"], event["drop_id"]) for event in told.events] == [("drop.sold_out", drop)]
    assert [stock["available"] for stock in told.stocks] == [0, 1, 0]


async def test_revisions_grow(scene: Scene) -> None:
    """Every change of the numbers has a higher revision than the one before."""
    drop = await scene.opened(5)
    async with scene.watched() as told:
        for _ in range(3):
            await scene.held(drop)
    revisions = [stock["revision"] for stock in told.stocks]
    assert revisions == sorted(set(revisions))
    assert len(revisions) == 3


async def test_replayed(scene: Scene) -> None:
    """The same operation again returns its reservation as it now is, and takes nothing more."""
    drop = await scene.opened(5)
    taking = scene.taking(drop, "ann", 2, "mine")
    first = await scene.run("hold_reserve", **taking)
    again = await scene.refused("hold_reserve", **taking)
    assert again == {"outcome": "replayed", "reservation": first["reservation"]}
    await scene.run("hold_release", reservation=taking["reservation"], viewer="ann")
    await scene.moved("drop_close", drop=drop, by="host")
    after = await scene.refused("hold_reserve", **taking)
    assert (after["outcome"], after["reservation"]["state"]) == ("replayed", "released")


async def test_idempotency_mismatch(scene: Scene) -> None:
    """The same operation with another quantity or drop is refused, and says what it took."""
    drop, other = await scene.opened(5), await scene.opened(5)
    await scene.run("hold_reserve", **scene.taking(drop, "ann", 2, "mine"))
    mismatch = {"outcome": "idempotency-mismatch", "drop": drop, "quantity": 2}
    assert await scene.refused("hold_reserve", **scene.taking(drop, "ann", 3, "mine")) == mismatch
    assert await scene.refused("hold_reserve", **scene.taking(other, "ann", 2, "mine")) == mismatch
    assert await scene.refused("hold_reserve", **scene.taking("dr_none", "ann", 2, "mine")) == mismatch


async def test_out_of_stock(scene: Scene) -> None:
    """Too few units: the answer has the true numbers, and nothing is written but the demand that was not met."""
    drop = await scene.opened(3)
    await scene.held(drop, "ann", 2)
    before = await scene.dump()
    async with scene.watched() as told:
        refused = await scene.run("hold_reserve", **scene.taking(drop, "bob", 2))
    assert refused == {"outcome": "out-of-stock", "available": 1, "held": 2}
    after = await scene.dump()
    assert after.pop(scene.key("figures").encode())
    assert after == before
    assert told.nothing
    assert await scene.figure("unmet_demand") == 2


async def test_limit_reached(scene: Scene) -> None:
    """A viewer takes up to the limit of a drop; what they gave back or let lapse counts no more."""
    drop = await scene.opened(9, limit_per_viewer=3)
    first = await scene.held(drop, "ann", 2)
    refused = await scene.refused("hold_reserve", **scene.taking(drop, "ann", 2))
    assert refused == {"outcome": "limit-reached", "limit": 3, "taken": 2}
    await scene.held(drop, "bob", 3)
    await scene.run("hold_release", reservation=first, viewer="ann")
    third = await scene.held(drop, "ann", 3)
    await scene.lapsed(third)
    await scene.run("hold_sweep", limit=10)
    await scene.held(drop, "ann", 3)


async def test_sold_units_count_for_the_limit(scene: Scene) -> None:
    """Who bought up to the limit takes no more."""
    drop = await scene.opened(9, limit_per_viewer=2)
    await scene.sold(await scene.held(drop, "ann", 2))
    refused = await scene.refused("hold_reserve", **scene.taking(drop, "ann"))
    assert refused == {"outcome": "limit-reached", "limit": 2, "taken": 2}


async def test_drop_not_open(scene: Scene) -> None:
    """Before a drop opens the answer says when it will, where that is known."""
    await scene.live()
    drop = await scene.planned()
    refused = await scene.refused("hold_reserve", **scene.taking(drop))
    assert refused == {"outcome": "drop-not-open", "state": "scheduled"}
    planned = await scene.planned(opens_at=2_000_000_000_000)
    refused = await scene.refused("hold_reserve", **scene.taking(planned))
    assert refused["opens_at"] == 2_000_000_000_000


async def test_drop_closed(scene: Scene) -> None:
    """Nothing is taken of a closed drop, whatever the show's state."""
    drop = await scene.opened()
    await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused("hold_reserve", **scene.taking(drop)) == {"outcome": "drop-closed"}
    await scene.moved("show_end")
    assert await scene.refused("hold_reserve", **scene.taking(drop)) == {"outcome": "drop-closed"}


async def test_show_not_live(scene: Scene) -> None:
    """Nothing is taken while the show halts; the answer names its state."""
    drop = await scene.opened()
    await scene.moved("show_pause")
    refused = await scene.refused("hold_reserve", **scene.taking(drop))
    assert refused == {"outcome": "show-not-live", "state": "paused"}


async def test_not_found(scene: Scene) -> None:
    """Nothing is taken of a drop that is not there."""
    await scene.live()
    assert await scene.refused("hold_reserve", **scene.taking("dr_none")) == {"outcome": "not-found"}


async def test_a_viewers_list_is_bounded(scene: Scene) -> None:
    """A viewer's list forgets finished reservations beyond 32, but none that is alive."""
    drop = await scene.opened(100)
    alive = [await scene.held(drop) for _ in range(20)]
    for _ in range(30):
        passing = await scene.held(drop)
        await scene.run("hold_release", reservation=passing, viewer="ann")
    mine = await scene.record("mine", "ann")
    assert (len(mine), mine[:20]) == (32, alive)
    alive += [await scene.held(drop) for _ in range(20)]
    assert [known for known in await scene.record("mine", "ann") if known in set(alive)] == alive
