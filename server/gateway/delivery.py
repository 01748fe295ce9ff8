"""What a show tells reaches everybody: events at once, live numbers gathered, each viewer's share in one write.

The write is nine tenths of a delivery's cost, so what waits leaves together. Live numbers gather for the flush
window; under a steady stream a viewer is written to less often than that, as seldom as the promise allows that the
last number of a burst is everywhere within 250 ms: a drop's numbers, which a script may have kept back for 100 of
them, leave sooner than others. The bound of what may wait: the events of one round under way and one live number per
name.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import CLOSE_POSITION_LOST
from server.gateway.frames import Format

if TYPE_CHECKING:
    from server.gateway.frames import Shared
    from server.gateway.room import Room
    from server.gateway.viewer import Viewer

YIELD_EVERY = 200  # viewers per turn of the loop: a reservation takes some four turns and should wait < 10 ms
SPACING_SECONDS = 0.2  # between two flushes of a steady stream, less where what is fresh is due sooner
ROUND_SHARE = 1.5  # of a round's time is set aside for the next one
REST_SHARE = 0.25  # of a round's time passes before the next one, however late it is: commands have that

log = structlog.get_logger(__name__)


class Delivery:
    """Rounds through a room's viewers, one at a time per room, so that no event overtakes another."""

    def __init__(self, window_seconds: float, round_bytes: int) -> None:
        self._window = window_seconds
        self._round_bytes = round_bytes

    def events(self, room: Room) -> None:
        """Deliver what is in the outbox, as soon as the loop comes to it."""
        if room.delivery is None:
            room.delivery = asyncio.create_task(self._deliver(room))

    def numbers(self, room: Room) -> None:
        """Deliver the fresh live numbers: at the end of the window, and in time; in the midst of a round after it."""
        if room.delivery is not None:
            return
        now = monotonic()
        gathered = max(now + self._window, room.flushed_at + SPACING_SECONDS)
        late = room.due_at - ROUND_SHARE * room.round_seconds
        at = max(min(gathered, late), now + min(self._window, REST_SHARE * room.round_seconds))
        if room.flush is not None:
            if room.flush_at <= at:
                return
            room.flush.cancel()
        room.flush_at = at
        room.flush = asyncio.get_running_loop().call_later(at - now, self._flush, room)

    def _flush(self, room: Room) -> None:
        room.flush = None
        room.flush_due = bool(room.fresh)
        if room.flush_due:
            self.events(room)

    async def _deliver(self, room: Room) -> None:
        try:
            while room.outbox or room.flush_due:
                await self._round(room, self._taken(room))
        except Exception:
            # Some viewers may lack what others have: all of them start over.
            log.exception("delivery.failed", show=room.show)
            for viewer in list(room.viewers):
                viewer.close(CLOSE_POSITION_LOST, "position lost, start over", retry_after_ms=0)
        finally:
            room.delivery = None
            if room.fresh:
                self.numbers(room)

    def _taken(self, room: Room) -> list[Shared]:
        """Take the next events, within the bytes of a round but at least one."""
        size = count = 0
        for count, event in enumerate(room.outbox, start=1):  # noqa: B007  used after the loop
            size += len(event.packed)
            if size >= self._round_bytes:
                break
        events, room.outbox = room.outbox[:count], room.outbox[count:]
        return events

    async def _round(self, room: Room, events: list[Shared]) -> None:
        """Write events and fresh numbers to everybody; who joins meanwhile has them from the room's history."""
        began = monotonic()
        numbers = list(room.fresh.values())
        room.fresh = {}
        room.flush_due = False
        room.due_at = inf
        room.flushed_at = began
        if room.flush is not None:
            room.flush.cancel()
            room.flush = None
        load = Load(events, numbers)
        viewers = room.in_turn()
        written = 0
        for start in range(0, len(viewers), YIELD_EVERY):
            if start:
                await asyncio.sleep(0)
            written += write(viewers[start : start + YIELD_EVERY], load)
        room.round_seconds = monotonic() - began
        metrics.BROADCAST_SECONDS.observe(room.round_seconds)
        metrics.FLUSH_MESSAGES.observe(len(events) + len(numbers))
        metrics.DELIVERIES.inc(written * (len(events) + len(numbers)))


class Load:
    """What one round brings, as bytes that all viewers of a format share: what waits for a slow one is no copy."""

    def __init__(self, events: list[Shared], numbers: list[Shared]) -> None:
        self.events = events
        self.numbers = numbers
        self.before = events[0].offset - 1 if events else None  # where a viewer stands who lacks just these
        self._everything = [b""] * len(Format)
        self._events_alone = [b""] * len(Format)

    def after(self, offset: int) -> list[Shared]:
        """Return the events that somebody lacks who stands at this offset."""
        if offset == self.before:
            return self.events
        return [event for event in self.events if event.offset > offset]

    def everything(self, form: Format) -> bytes:
        """Return events and numbers."""
        if not self._everything[form]:
            self._everything[form] = joined([*self.events, *self.numbers], form)
        return self._everything[form]

    def events_alone(self, form: Format) -> bytes:
        """Return what is for those who are behind."""
        if not self._events_alone[form]:
            self._events_alone[form] = joined(self.events, form)
        return self._events_alone[form]


def joined(messages: list[Shared], form: Format) -> bytes:
    """Return the frames of messages, one behind the other."""
    return b"".join(each.frame(form) for each in messages)


def write(viewers: list[Viewer], load: Load) -> int:
    """Write to some viewers; return how many got everything. The hot loop: one comparison, one write each."""
    events, before = load.events, load.before
    last = events[-1].offset if events else -1
    written = size = 0
    for viewer in viewers:
        if viewer.behind or viewer.closing or (events and viewer.offset != before):
            catch_up(viewer, load)
            continue
        data = load.everything(viewer.form)
        try:
            viewer.transport.write(data)
        except RuntimeError:  # uvloop's answer to a write on a handle that is closed; its loss is told next
            viewer.transport.abort()
            continue
        if events:
            viewer.offset = last
        written += 1
        size += len(data)
    metrics.DELIVERED_BYTES.inc(size)
    return written


def catch_up(viewer: Viewer, load: Load) -> None:
    """Write to a viewer who is not where the others are: behind, just joined, or on the way out."""
    if viewer.closing:
        return
    due = load.after(viewer.offset)
    if due and due[0].offset != viewer.offset + 1:
        viewer.close(CLOSE_POSITION_LOST, "position lost, start over", retry_after_ms=0)
        return
    numbers = load.numbers
    if viewer.behind and numbers:
        metrics.SLOW_SKIPS.inc(len(numbers))
        viewer.owed, numbers = True, []
    shared = viewer.behind and due is load.events
    data = load.events_alone(viewer.form) if shared else joined([*due, *numbers], viewer.form)
    if data:
        viewer.offset = due[-1].offset if due else viewer.offset
        viewer.write(data)
        metrics.DELIVERIES.inc(len(due) + len(numbers))
        metrics.DELIVERED_BYTES.inc(len(data))
