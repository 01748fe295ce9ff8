"""hold_sweep: the units of lapsed reservations go back, or on to who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.inventory import lapses

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_swept(scene: Scene) -> None:
    """All that lapsed goes back in one step: each viewer hears theirs, everybody the numbers once per drop."""
    first, second = await scene.opened(5), await scene.opened(5)
    lapsing = [await scene.held(first, "ann", 2), await scene.held(first, "bob"), await scene.held(second)]
    staying = await scene.held(second, "bob")
    await scene.lapsed(*lapsing)
    async with scene.watched() as told:
        answer = await scene.run("hold_sweep", limit=10)
    assert (answer["outcome"], answer["lapsed"], answer["more"]) == ("swept", 3, 0)
    assert 1000 <= answer["lag_ms"] < 60_000
    assert answer["next_at"] == (await scene.hold(staying))["expires_at"]
    assert (await scene.numbers(first), await scene.numbers(second)) == ((5, 0, 0), (4, 1, 0))
    assert sorted(told.states) == sorted((reservation, "expired") for reservation in lapsing)
    assert sorted(viewer for viewer, _ in told.private) == ["ann", "ann", "bob"]
    assert {stock["drop_id"]: stock["available"] for stock in told.stocks} == {first: 5, second: 4}
    assert len(told.stocks) == 2
    assert told.kinds == []
    assert await scene.figure("unmet_demand") == 4
    assert await scene.mine("ann") == []
    noted = (await lapses.read(scene.client, scene.show)).found
    assert sorted((each.viewer, each.reservation["id"]) for each in noted) == sorted(
        (viewer, message["reservation"]["id"]) for viewer, message in told.private
    )
    assert {each.reservation["state"] for each in noted} == {"expired"}


async def test_nothing_to_sweep(scene: Scene) -> None:
    """With nothing lapsed nothing is written, and the answer says when the next is due."""
    drop = await scene.opened()
    nothing = {"outcome": "swept", "lapsed": 0, "more": 0, "lag_ms": 0, "owed": []}
    assert await scene.refused("hold_sweep", limit=10) == {**nothing, "next_at": 0}
    reservation = await scene.held(drop)
    answer = await scene.refused("hold_sweep", limit=10)
    assert answer == {**nothing, "next_at": (await scene.hold(reservation))["expires_at"]}


async def test_one_step_is_bounded(scene: Scene) -> None:
    """A sweep takes the oldest up to its limit and says that there may be more; the next one takes the rest."""
    drop = await scene.opened(9)
    for _ in range(5):
        await scene.lapsed(await scene.held(drop))
    swept = [await scene.run("hold_sweep", limit=2) for _ in range(4)]
    assert [(answer["lapsed"], answer["more"]) for answer in swept] == [(2, 1), (2, 1), (1, 0), (0, 0)]
    assert await scene.numbers(drop) == (9, 0, 0)


async def test_a_whole_batch_lapses_together(scene: Scene) -> None:
    """Reservations of one step share one entry of the index, and each lapses by its own record."""
    drop = await scene.opened(9)
    asked = [scene.taking(drop, viewer) for viewer in ("ann", "bob", "carl")]
    await scene.step(*asked)
    ann, bob, carl = map(scene.reservation, asked)
    assert await scene.client.zcard(scene.key("expiry")) == 1
    await scene.released(bob, "bob")
    await scene.claimed(carl, viewer="carl")
    [together] = await scene.looked_at(ann)
    assert together == (await scene.hold(carl))["expires_at"]
    await scene.lapsed(ann)
    names = " ".join(reservation.rpartition("_")[2] for reservation in (ann, bob, carl))
    await scene.client.zadd(scene.key("expiry"), {names: 1}, xx=True)
    assert 1 in await scene.looked_at(bob)
    async with scene.watched() as told:
        answer = await scene.run("hold_sweep", limit=10)
    assert (answer["lapsed"], told.states) == (1, [(ann, "expired")])
    assert (await scene.hold(carl))["deadline"] in await scene.looked_at(carl)


async def test_who_waits_gets_what_lapsed(scene: Scene) -> None:
    """The units go on to the next in the queue in the same step, with a deadline of their own."""
    drop = await scene.opened(1)
    lapsing = await scene.held(drop, "ann")
    [bobs] = await scene.joined(drop, "bob")
    await scene.lapsed(lapsing)
    async with scene.watched() as told:
        await scene.run("hold_sweep", limit=10)
    assert told.states == [(lapsing, "expired"), (bobs, "held")]
    assert [body["type"] for viewer, body in told.private if viewer == "bob"] == [
        "reservation",
        "waitlist.promoted",
    ]
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((0, 1, 0), [])
    assert (await scene.hold(bobs))["expires_at"] in await scene.looked_at(bobs)
    assert told.kinds == []


async def test_what_is_being_paid_has_its_providers_time(scene: Scene) -> None:
    """A reservation that is being paid lapses at the provider's deadline, not at its own."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop)
    await scene.claimed(reservation)
    await scene.refused("hold_sweep", limit=10)
    await scene.lapsed(reservation)
    assert (await scene.run("hold_sweep", limit=10))["lapsed"] == 1
    hold = await scene.hold(reservation)
    assert (hold["state"], hold["order"]) == ("expired", "")
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_a_deadline_that_is_nobodys(scene: Scene) -> None:
    """A deadline without a hold, or of one that is not alive, is taken off and holds nothing else up."""
    drop = await scene.opened(5)
    released, lapsing = await scene.held(drop), await scene.held(drop)
    await scene.released(released)
    await scene.client.zadd(scene.key("expiry"), {"none": 1})
    await scene.lapsed(released, lapsing)
    async with scene.watched() as told:
        await scene.run("hold_sweep", limit=10)
    assert told.states == [(lapsing, "expired")]
    assert (await scene.hold(released))["state"] == "released"
    assert await scene.numbers(drop) == (5, 0, 0)
    assert not await scene.client.exists(scene.key("expiry"))
