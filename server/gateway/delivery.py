"""What a show tells reaches everybody: events at once, live numbers gathered, each viewer's share in one write.

The write is nine tenths of a delivery's cost, so what waits leaves together. Live numbers gather for the flush
window; under a steady stream a viewer is written to less often than that, as seldom as the promise allows that the
last number of a burst is everywhere within 250 ms. The bound of what may wait: the events of one round under way
and one live number per name.
"""

from __future__ import annotations

import asyncio
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
SPACING_SECONDS = 0.2  # between two flushes of a steady stream, less where a round takes long
SPREAD_SECONDS = 0.23  # what a flush and its round may take, from a number's arrival to the last viewer

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
        """Deliver the fresh live numbers at the end of the window."""
        if room.flush is None:
            now = monotonic()
            spacing = max(self._window, min(SPACING_SECONDS, SPREAD_SECONDS - 1.5 * room.round_seconds))
            wait = max(self._window, room.flushed_at + spacing - now)
            room.flush = asyncio.get_running_loop().call_later(wait, self._flush, room)

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
        room.flushed_at = began
        if room.flush is not None:
            room.flush.cancel()
            room.flush = None
        viewers = room.in_turn()
        written = 0
        for start in range(0, len(viewers), YIELD_EVERY):
            if start:
                await asyncio.sleep(0)
            written += write(viewers[start : start + YIELD_EVERY], events, numbers)
        room.round_seconds = monotonic() - began
        metrics.BROADCAST_SECONDS.observe(room.round_seconds)
        metrics.FLUSH_MESSAGES.observe(len(events) + len(numbers))
        metrics.DELIVERIES.inc(written * (len(events) + len(numbers)))


def write(viewers: list[Viewer], events: list[Shared], numbers: list[Shared]) -> int:
    """Write to some viewers; return how many got everything. The hot loop: one comparison, one write each."""
    everything: list[bytes] = [b""] * len(Format)
    before, last = (events[0].offset - 1, events[-1].offset) if events else (None, None)
    written = size = 0
    for viewer in viewers:
        if viewer.behind or viewer.closing or (events and viewer.offset != before):
            catch_up(viewer, events, numbers)
            continue
        data = everything[viewer.form]
        if not data:
            data = everything[viewer.form] = b"".join(each.frame(viewer.form) for each in (*events, *numbers))
        try:
            viewer.transport.write(data)
        except RuntimeError:  # uvloop's answer to a write on a handle that is closed; its loss is told next
            viewer.transport.abort()
            continue
        if events:
            viewer.offset = last  # type: ignore[assignment]  # there are events, so there is a last one
        written += 1
        size += len(data)
    metrics.DELIVERED_BYTES.inc(size)
    return written


def catch_up(viewer: Viewer, events: list[Shared], numbers: list[Shared]) -> None:
    """Write to a viewer who is not where the others are: behind, just joined, or on the way out."""
    if viewer.closing:
        return
    due = [event for event in events if event.offset > viewer.offset]
    if due and due[0].offset != viewer.offset + 1:
        viewer.close(CLOSE_POSITION_LOST, "position lost, start over", retry_after_ms=0)
        return
    if viewer.behind:
        viewer.owed = bool(numbers) or viewer.owed
        metrics.SLOW_SKIPS.inc(len(numbers))
    else:
        due += numbers
    if due:
        data = b"".join(each.frame(viewer.form) for each in due)
        viewer.offset = max(viewer.offset, events[-1].offset) if events else viewer.offset
        viewer.write(data)
        metrics.DELIVERIES.inc(len(due))
        metrics.DELIVERED_BYTES.inc(len(data))
