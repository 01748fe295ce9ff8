"""Rounds: everybody gets every event once and in order, whatever joins, leaves, stalls or breaks meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from server.errors import CLOSE_POSITION_LOST
from server.eventlog.stream import Place
from server.gateway.delivery import YIELD_EVERY, Delivery
from server.gateway.frames import Format, Shared
from server.gateway.room import Room
from server.protocol.codec import pack
from tests.waiting import wait_for

if TYPE_CHECKING:
    import pytest

WINDOW = 0.01


class Peer:
    """A viewer whose transport keeps what it is given."""

    def __init__(self, offset: int = 0, form: Format = Format.MSGPACK) -> None:
        self.offset = offset
        self.form = form
        self.behind = self.closing = self.owed = False
        self.transport: Any = self
        self.writes: list[bytes] = []
        self.closed: int | None = None
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("the handler is closed")
        self.writes.append(data)

    def abort(self) -> None:
        self.closing = True

    def close(self, code: int, _text: str, retry_after_ms: int) -> None:
        assert retry_after_ms == 0
        self.closing, self.closed = True, code

    @property
    def got(self) -> bytes:
        return b"".join(self.writes)


def event(offset: int) -> Shared:
    """Return the event at an offset."""
    return Shared(pack({"type": "drop.paused", "offset": offset}), offset)


def number(revision: int, drop: str = "d") -> bytes:
    """Return a drop's numbers."""
    return pack({"type": "stock.updated", "drop_id": drop, "revision": revision})


def wire(*shared: Shared, form: Format = Format.MSGPACK) -> bytes:
    """Return the frames of messages, one behind the other."""
    return b"".join(each.frame(form) for each in shared)


def room_of(*peers: Peer) -> Room:
    """Return a room with its log at 0."""
    room = Room("sh_1", 100_000, 100)
    room.begin(Place("e", 0), [])
    room.viewers = set(peers)  # type: ignore[arg-type]  # stand-ins
    return room


async def settled(room: Room) -> None:
    """Wait until nothing is on its way."""
    await wait_for(lambda: room.delivery is None and room.flush is None, "the delivery to be done")


def tell(delivery: Delivery, room: Room, *offsets: int) -> list[Shared]:
    """Advance the log and deliver."""
    events = [event(offset) for offset in offsets]
    for each in events:
        room.advance(Place("e", each.offset), each)
        delivery.events(room)
    return events


async def test_events_that_came_together_leave_together() -> None:
    """Ten events of one moment are one write for each viewer, in order, in the viewer's own format."""
    packed, text = Peer(), Peer(form=Format.JSON)
    room, delivery = room_of(packed, text), Delivery(WINDOW, 100_000)
    events = tell(delivery, room, *range(1, 11))
    await settled(room)
    assert packed.writes == [wire(*events)]
    assert text.writes == [wire(*events, form=Format.JSON)]
    assert (packed.offset, text.offset) == (10, 10)


async def test_a_round_is_bounded_in_bytes() -> None:
    """What waits is cut into rounds, so that one write stays small; nothing is lost between them."""
    peer = Peer()
    room, delivery = room_of(peer), Delivery(WINDOW, 60)
    events = tell(delivery, room, *range(1, 8))
    await settled(room)
    assert len(peer.writes) > 2
    assert max(len(data) for data in peer.writes) < 60 + 2 * len(wire(events[0]))
    assert peer.got == wire(*events)


async def test_no_event_overtakes_another_in_a_large_room() -> None:
    """While a round goes through thousands of viewers the loop turns, and later events wait their turn."""
    peers = [Peer() for _ in range(3 * YIELD_EVERY + 1)]
    room, delivery = room_of(*peers), Delivery(WINDOW, 100_000)
    events = tell(delivery, room, 1)
    turns = 0
    while sum(bool(peer.writes) for peer in peers) < 2 * YIELD_EVERY:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 2, "a round never gave the loop a turn"
    assert not all(peer.writes for peer in peers)
    events += tell(delivery, room, 2, 3)
    await settled(room)
    assert {peer.got for peer in peers} == {wire(*events)}


async def test_who_joins_during_a_round_gets_nothing_twice() -> None:
    """A viewer who joined at the newest place is left out of what came before it, and in what comes after."""
    room, delivery = room_of(Peer()), Delivery(WINDOW, 100_000)
    tell(delivery, room, 1)
    joined = Peer(offset=1)
    room.viewers.add(joined)  # type: ignore[arg-type]  # a stand-in
    (second,) = tell(delivery, room, 2)
    await settled(room)
    assert joined.got == wire(second)


async def test_a_hole_is_a_lost_position_and_never_silent() -> None:
    """A viewer who would miss an event is closed with 3010; the others are served."""
    lost, other = Peer(offset=-5), Peer()
    room, delivery = room_of(lost, other), Delivery(WINDOW, 100_000)
    events = tell(delivery, room, 1)
    await settled(room)
    assert (lost.closed, lost.writes) == (CLOSE_POSITION_LOST, [])
    assert other.got == wire(*events)


async def test_a_broken_transport_never_breaks_a_round() -> None:
    """A write on a closed handle raises in uvloop: that one is cut off, everybody else is served."""
    peers = [Peer() for _ in range(9)]
    peers[4].broken = True
    room, delivery = room_of(*peers), Delivery(WINDOW, 100_000)
    events = tell(delivery, room, 1, 2)
    await settled(room)
    assert peers[4].closing
    assert all(peer.got == wire(*events) for peer in peers if not peer.broken)


async def test_live_numbers_gather_and_only_the_newest_leaves() -> None:
    """A burst of a thousand changes is one write with one number per drop; an older revision is dropped."""
    peer = Peer()
    room, delivery = room_of(peer), Delivery(WINDOW, 100_000)
    for revision in range(1, 1001):
        assert room.take("s", "d", number(revision))
        delivery.numbers(room)
    assert not room.take("s", "d", number(999))
    assert room.take("s", "other", number(1, "other"))
    await settled(room)
    assert peer.writes == [wire(Shared(number(1000)), Shared(number(1, "other")))]
    assert peer.offset == 0


async def test_an_event_takes_the_waiting_numbers_along() -> None:
    """One write instead of two: what waits for the flush leaves with an event."""
    peer = Peer()
    room, delivery = room_of(peer), Delivery(3600, 100_000)
    room.take("s", "d", number(1))
    delivery.numbers(room)
    events = tell(delivery, room, 1)
    await settled(room)
    assert peer.writes == [wire(*events, Shared(number(1)))]


async def test_numbers_that_come_during_a_round_are_flushed_after_it() -> None:
    """The last number of a burst is never forgotten."""
    peers = [Peer() for _ in range(YIELD_EVERY + 1)]
    room, delivery = room_of(*peers), Delivery(WINDOW, 100_000)
    tell(delivery, room, 1)
    await wait_for(lambda: any(peer.writes for peer in peers), "the round to begin")
    room.take("s", "d", number(5))
    delivery.numbers(room)
    await settled(room)
    assert all(peer.got.endswith(wire(Shared(number(5)))) for peer in peers)


async def test_who_is_behind_is_spared_the_numbers_but_no_event() -> None:
    """Above the low mark live numbers are owed, not written; events are."""
    slow = Peer()
    slow.behind = True
    room, delivery = room_of(slow), Delivery(WINDOW, 100_000)
    room.take("s", "d", number(1))
    events = tell(delivery, room, 1)
    await settled(room)
    assert slow.got == wire(*events)
    assert slow.owed


async def test_a_bug_in_a_round_makes_all_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some would lack what others have: an explicit 3010 for all, and the next event is delivered again."""
    first, room = Peer(), room_of()
    room.viewers = {first}  # type: ignore[arg-type]  # a stand-in
    delivery = Delivery(WINDOW, 100_000)
    with monkeypatch.context() as patched:
        patched.setattr("server.gateway.delivery.write", lambda *_: 1 // 0)
        tell(delivery, room, 1)
        await settled(room)
    assert first.closed == CLOSE_POSITION_LOST
    second = Peer(offset=1)
    room.viewers = {second}  # type: ignore[arg-type]  # a stand-in
    events = tell(delivery, room, 2)
    await settled(room)
    assert second.got == wire(*events)


def test_the_order_of_delivery_rotates() -> None:
    """Over many rounds of ten viewers everybody is first at some time."""
    peers = [Peer() for _ in range(10)]
    room = room_of(*peers)
    assert len({id(room.in_turn()[0]) for _ in range(100)}) == 10
    everybody: set[Any] = set(peers)
    assert set(room.in_turn()) == everybody


async def test_what_waits_for_those_who_are_behind_is_shared() -> None:
    """A thousand stalled viewers cost the bytes of one: what they are given are not copies."""
    slow = [Peer() for _ in range(2 * YIELD_EVERY)]
    for peer in slow:
        peer.behind = True
    quick = [Peer() for _ in range(2 * YIELD_EVERY)]
    room, delivery = room_of(*slow, *quick), Delivery(WINDOW, 100_000)
    room.take("s", "d", number(1))
    events = tell(delivery, room, 1, 2, 3)
    await settled(room)
    assert {peer.got for peer in slow} == {wire(*events)}
    assert all(peer.owed for peer in slow)
    for group in (slow, quick):
        assert len({id(peer.writes[0]) for peer in group}) == 1
