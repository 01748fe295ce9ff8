"""Who is connected to this process, by show, and how a message reaches them all.

Log events go to everybody at once. Live numbers are kept as the newest per drop (and kind) and leave together once
per flush window, so a burst of a thousand stock changes costs each viewer a few messages. Delivery order rotates
from event to event, so nobody is always first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import CLOSE_CONNECTION_LIMIT, CLOSE_LEAVING, CLOSE_POSITION_LOST, Problem
from server.gateway.frames import Frame
from server.protocol.session import RateLimit
from server.store.answers import ask

if TYPE_CHECKING:
    from server.eventlog.live import Live
    from server.eventlog.stream import Entry
    from server.gateway.viewer import Viewer
    from server.settings import Settings
    from server.store.scripts import Scripts

PRESENCE_SECONDS = 0.5  # joins and leaves gather for so long before they are counted
LEASE_MS = 30_000  # a viewer counts for so long without being renewed: a dead process' viewers go
RENEW_SECONDS = 10.0
MAX_REACTION_KINDS = 16
YIELD_EVERY = 500  # viewers per turn of the loop during one delivery round

log = structlog.get_logger(__name__)


class Room:
    """One show's viewers on this process, and what gathers for them."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self.subjects: dict[str, set[Viewer]] = {}
        self.limits: dict[str, RateLimit] = {}
        self.newest: dict[str, Frame] = {}
        self.reactions: dict[str, int] = {}
        self.joined: set[str] = set()
        self.left: set[str] = set()
        self.renewed_at = monotonic()
        self.turn = 0

    def in_turn(self) -> list[Viewer]:
        """Return the viewers, starting each time with another one."""
        viewers = list(self.viewers)
        if viewers:
            self.turn = (self.turn + 1 + len(viewers) // 3) % len(viewers)
        return viewers[self.turn :] + viewers[: self.turn]


class Hub:
    """The process' rooms. `event`, `live` and `lost` are called by the ear; `run` flushes and counts for ever."""

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        self._scripts = scripts
        self._settings = settings
        self._rooms: dict[str, Room] = {}
        self.ear: Live | None = None

    @property
    def count(self) -> int:
        """How many connections have said hello here."""
        return sum(len(room.viewers) for room in self._rooms.values())

    async def enter(self, show: str, viewer: Viewer) -> RateLimit:
        """Put a viewer into a show's room, following the show if they are its first; return the viewer's limit.

        From here on events wait in `viewer.early`. Raises Problem with the connection limit's close code where the
        viewer has too many sockets.
        """
        room = self._rooms.setdefault(show, Room())
        sockets = room.subjects.setdefault(viewer.subject, set())
        if len(sockets) >= self._settings.sockets_per_viewer:
            raise TooManySocketsError(len(sockets))
        sockets.add(viewer)
        room.viewers.add(viewer)
        limit = room.limits.setdefault(
            viewer.subject, RateLimit(self._settings.messages_per_second, self._settings.message_burst)
        )
        if self.ear is not None:
            await self.ear.follow(show)
        if viewer.counts:
            room.joined.add(viewer.subject)
            room.left.discard(viewer.subject)
        return limit

    async def leave(self, show: str, viewer: Viewer) -> None:
        """Take a viewer out; the last one of a show ends its subscription."""
        room = self._rooms.get(show)
        if room is None or viewer not in room.viewers:
            return
        room.viewers.discard(viewer)
        sockets = room.subjects[viewer.subject]
        sockets.discard(viewer)
        if not sockets:
            del room.subjects[viewer.subject]
            del room.limits[viewer.subject]
            if viewer.counts:
                room.left.add(viewer.subject)
                room.joined.discard(viewer.subject)
        if not room.viewers and self.ear is not None:
            await self.ear.leave(show)

    def event(self, show: str, entry: Entry) -> None:
        """Give the next event of a show's log to everybody there."""
        room = self._rooms.get(show)
        if room is None:
            return
        frame = Frame(entry.packed, entry.offset)
        metrics.EVENTS.labels(frame.message()["type"]).inc()
        for viewer in room.in_turn():
            viewer.deliver(frame)

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Keep a live number for the next flush, or hand a private message to its viewer's sockets."""
        room = self._rooms.get(show)
        if room is None:
            return
        frame = Frame(packed, drop=name if kind == "s" else "")
        if kind == "v":
            for viewer in list(room.subjects.get(name, ())):
                viewer.deliver(frame)
        else:
            room.newest[kind + name] = frame

    def lost(self, show: str) -> None:
        """Send everybody of a show to start over: events are gone that nobody can bring back."""
        room = self._rooms.get(show)
        for viewer in list(room.viewers) if room else ():
            viewer.close(CLOSE_POSITION_LOST, "position lost, start over", retry_after_ms=0)

    def react(self, show: str, kind: str, count: int) -> None:
        """Gather reactions until the next flush; kinds beyond the bound are dropped."""
        room = self._rooms.get(show)
        if room is not None and (kind in room.reactions or len(room.reactions) < MAX_REACTION_KINDS):
            room.reactions[kind] = room.reactions.get(kind, 0) + count

    def dismiss(self, spread_ms: int) -> None:
        """Tell everybody that this process leaves, each with their own time to come back."""
        viewers = [viewer for room in self._rooms.values() for viewer in room.viewers]
        for number, viewer in enumerate(viewers):
            delay = spread_ms * (number + 1) // len(viewers)
            viewer.close(CLOSE_LEAVING, "server is leaving", retry_after_ms=delay)

    async def run(self) -> None:
        """Flush live numbers every window and presence every half second, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flush_for_ever())
            tasks.create_task(self._count_for_ever())

    async def _flush_for_ever(self) -> None:
        window = self._settings.flush_ms / 1000
        while True:
            await asyncio.sleep(window)
            for room in list(self._rooms.values()):
                if room.newest:
                    frames, room.newest = list(room.newest.values()), {}
                    await self._flush(room, frames)

    async def _flush(self, room: Room, frames: list[Frame]) -> None:
        for number, viewer in enumerate(room.in_turn(), start=1):
            for frame in frames:
                viewer.deliver(frame)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _count_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PRESENCE_SECONDS)
            for show, room in list(self._rooms.items()):
                try:
                    await self._count(show, room)
                except Problem as problem:
                    log.warning("presence.unavailable", show=show, reason=problem.detail)

    async def _count(self, show: str, room: Room) -> None:
        if room.reactions:
            added, room.reactions = room.reactions, {}
            await ask(self._scripts, "reaction_add", {"show": show}, added=added, most=MAX_REACTION_KINDS)
        renew = monotonic() - room.renewed_at > RENEW_SECONDS
        if renew:
            room.joined = {viewer.subject for viewer in room.viewers if viewer.counts}
            room.renewed_at = monotonic()
        if room.joined or room.left or renew:
            here, left = list(room.joined), list(room.left)
            room.joined.clear()
            room.left.clear()
            await ask(
                self._scripts, "viewer_present", {"show": show}, here=here, left=left, lease_ms=LEASE_MS
            )
        elif not room.viewers:
            self._rooms.pop(show, None)


class TooManySocketsError(Exception):
    """A viewer wants one socket more than the setting allows."""

    close = CLOSE_CONNECTION_LIMIT

    def __init__(self, open_now: int) -> None:
        super().__init__(f"{open_now} connections are open for this viewer, more are not taken.")
