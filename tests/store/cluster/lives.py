"""The life of a show, by every door that changes or reads one: what a cluster must carry as one node does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.checkout.idempotency import Run, Stored
from server.checkout.saga import Paid, Request
from server.clock import monotonic
from server.errors import Code, Problem
from server.eventlog import stream
from server.eventlog.recovery import Joins
from server.gateway.presence import Presence
from server.gateway.reactions import Reactions
from server.inventory import asks
from server.inventory.outcomes import Held, Waiting
from server.limits.meter import Limit, Meter
from server.limits.telling import PARTS, Telling
from server.settings import Settings
from server.shows.recordings import Recordings
from server.shows.series import Series
from server.shows.waiting_room import WaitingRoom
from server.store.keys import key
from server.store.redis_clock import RedisClock
from server.workers.audit import audit
from tests.checkout.buying import make_overdue
from tests.deadlines import end_lease, let_lapse, packed
from tests.houses import numbers, open_drop, planned_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.house import House
    from tests.store.cluster.nodes import Node, Nodes

UNITS = 10


def show_on(nodes: Nodes, node: Node) -> str:
    """Return the id of a show, not made yet, that belongs to a node."""
    return next(show for show in iter(ids.new_show, "") if nodes.owner(key("show", show=show)) is node)


async def live_show_on(house: House, nodes: Nodes, node: Node) -> str:
    """Make a live show on a node and return its id."""
    show = show_on(nodes, node)
    await house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    await house.shows.move(show, "start")
    return show


async def held(house: House, show: str, drop: str, viewer: str = "ann") -> str:
    """Reserve one unit and return the reservation."""
    outcome = await house.holds.reserve(show, viewer, ids.secret(6), drop, 1)
    assert isinstance(outcome, Held), outcome
    reservation: str = outcome.reservation["id"]
    return reservation


def to_pay(show: str, reservation: str, card: str = "tok_ok", viewer: str = "ann") -> Request:
    """Return what pays a reservation; each card makes an order of its own."""
    details = {"provider": "sandbox", "method": "card", "token": card}
    order = ids.order(show, viewer, reservation + card)
    return Request(order, show, viewer, [reservation], details, None)


async def live_through(house: House, show: str) -> None:
    """Live a show's whole life; its books balance at the end, its log has no hole, and it is let go."""
    await house.shows.create(show, "host", {"title": "A life", "currency": "EUR"})
    await house.shows.move(show, "start")
    drop = await open_drop(house, show, UNITS, limit_per_viewer=UNITS)
    await _take(house, show, drop)
    await _pay(house, show, drop)
    await _wait_for_units(house, show)
    await _come(house, show)
    await _record(house, show)
    await _ask_twice(house, show)
    await _share_limits(house, show)
    await _line_up(house, show)
    await house.revocations.revoke("cleo", [show], 0, everyone=False)
    await _rebuild(house, show, drop)
    await _move(house, show, drop)
    assert [line for each in await audit(house.client, house.orders, show) for line in each.differences] == []
    await _log_is_whole(house, show)
    assert await house.recorder().record(show)
    assert await house.shows.retire(show)


async def _take(house: House, show: str, drop: str) -> None:
    """Units are held, given back, and let go when nobody pays; a repeat takes nothing."""
    first = await house.holds.reserve(show, "bob", "op", drop, 2)
    again = await house.holds.reserve(show, "bob", "op", drop, 2)
    assert isinstance(first, Held)
    assert isinstance(again, Held)
    assert (again.reservation["id"], again.replayed) == (first.reservation["id"], True)
    assert isinstance(await house.holds.release(first.reservation["id"], "bob"), Held)
    lapsing = await held(house, show, drop)
    await let_lapse(house.client, show, lapsing)
    assert (await house.holds.sweep(show)).lapsed == 1
    assert await numbers(house, show, drop) == (UNITS, 0, 0)


async def _pay(house: House, show: str, drop: str) -> None:
    """Pay: one card is declined, another goes through, an order left in the middle is gone on with, and cancelled."""
    reservation = await held(house, show, drop)
    declined = await house.checkout.pay(to_pay(show, reservation, "tok_declined"))
    assert isinstance(declined, Problem)
    assert declined.code is Code.PAYMENT_DECLINED
    assert isinstance(await house.checkout.pay(to_pay(show, reservation)), Paid)
    left = to_pay(show, await held(house, show, drop), "tok_timeout_then_ok")
    assert not isinstance(await house.checkout.pay(left), Paid)
    await end_lease(house.client, show, left.order)
    assert await house.checkout.resume(show) == 1
    assert await numbers(house, show, drop) == (UNITS - 2, 0, 2)
    assert await house.refunds.cancel(left.order, ids.new_refund(left.order), "host")
    assert await numbers(house, show, drop) == (UNITS - 1, 0, 1)
    acting = to_pay(show, await held(house, show, drop), "tok_requires_action")
    assert not isinstance(await house.checkout.pay(acting), Paid)
    await house.checkout.look(acting.order)
    await make_overdue(house, acting)
    await end_lease(house.client, show, acting.order)
    assert await house.checkout.resume(show) == 1
    assert isinstance(await house.holds.release(acting.reservations[0], "ann"), Held)


async def _wait_for_units(house: House, show: str) -> None:
    """Sell a drop out: who comes too late waits or is refused, and the next wave is for who waits."""
    drop = await open_drop(house, show, 1, waves=[{"quantity": 2}])
    taken = await held(house, show, drop)
    for viewer in ("bob", "cleo"):  # the process itself refuses the second: it has just seen that all is gone
        refused = await house.holds.reserve(show, viewer, "late", drop, 1)
        assert isinstance(refused, Problem)
        assert refused.code is Code.OUT_OF_STOCK
    place = await house.waitlist.join(show, "bob", "wait", drop, 1)
    assert isinstance(place, Waiting)
    assert (await house.waitlist.place(show, "bob", drop)).position == place.position == 1
    assert isinstance(await house.waitlist.join(show, "cleo", "wait", drop, 1), Waiting)
    assert isinstance(await house.waitlist.leave(show, "cleo", drop), Waiting)
    await house.drops.wave(show, drop)
    assert await numbers(house, show, drop) == (1, 2, 0)
    given = ids.full(show, asks.join(show, "bob", "wait", drop, 1).items[0][0])
    for viewer, reservation in (("ann", taken), ("bob", given)):
        assert isinstance(await house.holds.release(reservation, viewer), Held)


async def _come(house: House, show: str) -> None:
    """Viewers come and are counted, look at the show, and applaud."""
    presence = Presence(house.scripts)
    presence.came(show, "ann")
    await presence.tell()
    assert (await Joins(house.scripts).look(show)).viewers == 1
    reactions = Reactions(house.scripts)
    reactions.add(show, "heart", 3)
    telling = asyncio.create_task(reactions.run())
    await wait_for(lambda: _told(house, key("reactions", show=show)), "applause is told")
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await presence.leave()
    figures = await house.shows.figures(show)
    assert (figures["viewers"], figures["peak_viewers"], figures["orders"]) == (0, 1, 2)


async def _rebuild(house: House, show: str, drop: str) -> None:
    """Freeze the show, count its stock anew and open it again: nothing was lost, so nothing changes."""
    before = await numbers(house, show, drop)
    report = await house.rebuild().run(show, reopen=True)
    assert (report.status, report.short, report.notes) == ("live", {}, [])
    assert await numbers(house, show, drop) == before


async def _told(house: House, place: str) -> bool:
    return await house.client.exists(place) == 1


async def _record(house: House, show: str) -> None:
    """Record the show: what a process hands over reaches who has the lease, once; then that ends."""
    recordings = Recordings(house.client, house.scripts)
    _now, running = await recordings.lease(show, "its secret")
    assert not running
    assert show in await recordings.leases()
    await recordings.hand_over(show, packed(["a process", 1, 1, 0, 0, []]))
    batches, place = await recordings.fetch(show, "")
    assert [batch.turn for batch in batches] == [1]
    assert await recordings.fetch(show, place) == ([], place)
    assert await recordings.end(show, "its secret")


async def _ask_twice(house: House, show: str) -> None:
    """Repeat a request under its key: it runs once."""
    keeper, request = house.idempotency, ("ann", "POST", f"/v1/shows/{show}", "key", b"{}")
    run = await keeper.begin(*request)
    assert isinstance(run, Run)
    await keeper.finish(run, 201, b"done")
    assert await keeper.begin(*request) == Stored(201, b"done")


async def _share_limits(house: House, show: str) -> None:
    """Two processes share a limit, on the show's own node and on another: what one lets through the other hears."""
    limit = Limit("test", rate=1 / 600, burst=2, share=0)
    lines = [Telling(house.scripts, b"a key", parts=PARTS) for _ in range(2)]
    for part in (show, lines[0].part_of(show)):
        first, second = (Meter(limit, part, show, line.tell) for line in lines)
        assert [first.wait(monotonic()) for _ in range(2)] == [0, 0]
        await lines[0].told()
        assert second.wait(monotonic()) == 0
        await lines[1].told()
        assert second.left(monotonic()) > 0


async def _line_up(house: House, show: str) -> None:
    """Come to the show while it is full, with a seat for one."""
    room = WaitingRoom(house.client, house.scripts, Settings(show_capacity=1))
    names = ["eve", "fay", "gil"]
    assert [standing.place for standing in await room.enter(show, names)] == [0, 1, 2]
    await room.require_seat(show, "eve")
    with pytest.raises(Problem):
        await room.require_seat(show, "gil")


async def _move(house: House, show: str, drop: str) -> None:
    """Move the show and its drop through all their states."""
    await house.shows.pin(show, [])
    await house.shows.film(show, "https://video.example/a.m3u8")
    assert await Series(house.client, house.scripts, house.shows).sample(show)
    later = await planned_drop(house, show)
    await house.shows.arrange(show, [later, drop])
    await house.drops.open(show, later, 60_000)
    assert (await house.drops.cancel(show, later))["status"] == "scheduled"
    await house.drops.restock(show, drop, 5, "once")
    await house.drops.pause(show, drop)
    await house.drops.resume(show, drop)
    assert (await house.drops.find(show, drop))["quantity"] == UNITS + 5
    await house.shows.move(show, "pause")
    await house.shows.move(show, "resume")
    await house.drops.due(show, await RedisClock(house.client).sync())  # who waits is served again
    await house.drops.close(show, drop)
    await house.shows.move(show, "end")


async def _log_is_whole(house: House, show: str) -> None:
    top = await stream.top(house.client, show)
    assert top is not None
    entries = await stream.after(house.client, show, 0)
    assert [entry.offset for entry in entries] == list(range(1, top.offset + 1))
