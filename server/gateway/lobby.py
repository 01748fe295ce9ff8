"""Those who wait to come into a full show, by show: each is asked about now and then, and comes in at their turn.

Their sockets have said hello and nothing more: they cost their place in two tables here, and one message when something
has changed for them. One call to the store asks about many; while it is under way others gather.

Bounds: people by the connections that the process takes; `AT_ONCE` in one call, one call per show under way; who waits
is asked about once a second, less often where that would be more than `LOOKS_PER_SECOND`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from server import metrics
from server.auth import EVERY_SHOW
from server.clock import monotonic
from server.errors import (
    CLOSE_CONNECTION_LIMIT,
    CLOSE_NO_TOKEN,
    CLOSE_TOO_MANY_MESSAGES,
    Problem,
    unavailable,
)
from server.gateway.admission import Queue

if TYPE_CHECKING:
    from server.auth import Revocation
    from server.gateway.viewer import Viewer
    from server.protocol.commands import Since
    from server.shows.waiting_room import Standing, WaitingRoom

LOOK_SECONDS = 1.0
LOOKS_PER_SECOND = 5_000
LOOKS_PER_KEEPING = 4  # at least, of the time that a place is kept for who is not asked about
AT_ONCE = 128
TURN = 32  # people told per turn of the loop
PLACES_PER_SECOND = 100  # who is that much further back is told a second less often …
MOST_APART_SECONDS = 10.0  # … and never less often than this
RETURNS_PER_SECOND = 100  # of those for whom the line was full

log = structlog.get_logger(__name__)


class Waiter:
    """One who waits, with their sockets and where each was in the log; `told` is what they know, since `told_at`."""

    __slots__ = ("sockets", "subject", "told", "told_at")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.sockets: dict[Viewer, Since | None] = {}
        self.told: Standing | None = None
        self.told_at = 0.0

    def is_news(self, standing: Standing, now: float) -> bool:
        """Whether to tell of a standing: at the front of the line whatever has changed, far back now and then."""
        if self.told is None or self.told.begun is not standing.begun:
            return True
        apart = min((standing.place or 0) / PLACES_PER_SECOND, MOST_APART_SECONDS)
        return standing != self.told and now - self.told_at >= apart


class Crowd:
    """Those who wait for one show here."""

    def __init__(self, keep_ms: int) -> None:
        self._look_seconds = min(LOOK_SECONDS, keep_ms / 1000 / LOOKS_PER_KEEPING)
        self.people: dict[str, Waiter] = {}
        self.arrived: deque[Waiter] = deque()  # nobody has asked about these yet
        self.known: deque[tuple[float, Waiter]] = deque()  # when to ask about the others again, soonest first
        self.came = asyncio.Event()

    def due(self, now: float) -> list[Waiter]:
        """Take those to be asked about now: who has just arrived first."""
        found: list[Waiter] = []
        while self.arrived and len(found) < AT_ONCE:
            found.append(self.arrived.popleft())
        while self.known and self.known[0][0] <= now and len(found) < AT_ONCE:
            found.append(self.known.popleft()[1])
        return self.staying(found)

    def again(self, waiters: list[Waiter], now: float) -> None:
        """Ask about these again, a look later."""
        at = now + max(self._look_seconds, len(self.people) / LOOKS_PER_SECOND)
        self.known.extend((at, waiter) for waiter in self.staying(waiters))

    def staying(self, waiters: list[Waiter]) -> list[Waiter]:
        """Return those who have not gone, or gone and come back, meanwhile."""
        return [waiter for waiter in waiters if self.people.get(waiter.subject) is waiter]

    def pause(self, now: float) -> float:
        """Return the seconds until somebody is to be asked about, if nobody comes."""
        if self.arrived:
            return 0.0
        return max(0.0, self.known[0][0] - now) if self.known else self._look_seconds


class Lobby:
    """The waiting room's sockets of one process."""

    def __init__(self, room: WaitingRoom, most_sockets: int) -> None:
        self._room = room
        self._most_sockets = most_sockets
        self._crowds: dict[str, Crowd] = {}
        self._places: dict[Viewer, tuple[Crowd, Waiter]] = {}
        self._turned_away = Queue(RETURNS_PER_SECOND)
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, viewer: Viewer, subject: str, since: Since | None) -> None:
        """Let a viewer who has said hello come in as soon as there is a seat: `viewer.come_in` is called then."""
        crowd = self._crowds.get(viewer.show)
        if crowd is None:
            crowd = self._crowds[viewer.show] = Crowd(self._room.keep_ms)
            task = asyncio.create_task(self._serve(viewer.show, crowd))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiter = crowd.people.get(subject)
        if waiter is None:
            waiter = crowd.people[subject] = Waiter(subject)
            crowd.arrived.append(waiter)
            crowd.came.set()
        if len(waiter.sockets) >= self._most_sockets:
            sentence = f"{len(waiter.sockets)} connections of this viewer wait, more are not taken."
            viewer.close(CLOSE_CONNECTION_LIMIT, sentence)
            return
        waiter.sockets[viewer] = since
        self._places[viewer] = crowd, waiter
        metrics.WAITING_ROOM.inc()
        if waiter.told is not None:
            viewer.send(self._message(waiter.told))

    def leave(self, viewer: Viewer) -> None:
        """Let a connection go; its viewer's place is kept for a while, in the store."""
        place = self._places.pop(viewer, None)
        if place is None:
            return
        metrics.WAITING_ROOM.dec()
        crowd, waiter = place
        del waiter.sockets[viewer]
        if not waiter.sockets:
            del crowd.people[waiter.subject]

    def subject_of(self, viewer: Viewer) -> str:
        """Return who waits with this connection; empty where nobody does."""
        place = self._places.get(viewer)
        return place[1].subject if place is not None else ""

    def shut_out(self, revocation: Revocation) -> None:
        """Close the sockets of whom a revocation is about."""
        shows = list(self._crowds) if revocation.show == EVERY_SHOW else [revocation.show]
        for show in shows:
            crowd = self._crowds.get(show)
            waiter = crowd.people.get(revocation.subject) if crowd is not None else None
            for viewer in list(waiter.sockets) if waiter is not None else ():
                if revocation.bars(viewer.role, viewer.issued_at):
                    self.leave(viewer)
                    viewer.close(CLOSE_NO_TOKEN, "the token was revoked")

    async def aclose(self) -> None:
        """Ask about nobody more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, show: str, crowd: Crowd) -> None:
        """Ask about those who wait, until nobody does."""
        try:
            while crowd.people:
                crowd.came.clear()
                waiters = crowd.due(monotonic())
                if waiters:
                    await self._step(show, crowd, waiters)
                    crowd.again(waiters, monotonic())
                    await asyncio.sleep(0)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(crowd.pause(monotonic())):
                        await crowd.came.wait()
        finally:
            del self._crowds[show]

    async def _step(self, show: str, crowd: Crowd, waiters: list[Waiter]) -> None:
        """Ask about some, and tell them what has changed."""
        try:
            standings = await self._room.enter(show, [waiter.subject for waiter in waiters])
        except Problem as problem:
            self._unknown(crowd, waiters, problem)
            return
        except Exception:
            # A bug costs those who came their entrance, but not those behind them theirs.
            log.exception("lobby.failed", show=show)
            self._unknown(crowd, waiters, unavailable("The look at the waiting room failed."))
            return
        now = monotonic()
        for number, (waiter, standing) in enumerate(zip(waiters, standings, strict=True), start=1):
            self._tell(waiter, standing, now)
            if number % TURN == 0:
                await asyncio.sleep(0)

    def _unknown(self, crowd: Crowd, waiters: list[Waiter], problem: Problem) -> None:
        """Send away who has just come; who waits already goes on waiting: their places are in the store."""
        for waiter in crowd.staying(waiters):
            if waiter.told is None:
                for viewer in list(waiter.sockets):
                    self.leave(viewer)
                    viewer.refuse(problem)

    def _tell(self, waiter: Waiter, standing: Standing, now: float) -> None:
        """Tell somebody how they stand; who has gone meanwhile has no sockets."""
        if standing.place == 0:
            for viewer, since in list(waiter.sockets.items()):
                self.leave(viewer)
                if not viewer.closing:
                    _let_in(viewer, waiter.subject, since)
        elif standing.place is None:
            for viewer in list(waiter.sockets):
                self.leave(viewer)
                wait_ms = self._turned_away.place(now, LOOK_SECONDS)
                viewer.close(CLOSE_TOO_MANY_MESSAGES, f"{standing.waiting} wait already", wait_ms)
        elif waiter.is_news(standing, now):
            waiter.told, waiter.told_at = standing, now
            message = self._message(standing)
            for viewer in waiter.sockets:
                viewer.send(message)

    def _message(self, standing: Standing) -> dict[str, Any]:
        return {
            "type": "waiting",
            "status": "in_line" if standing.begun else "before_opening",
            "place": standing.place if standing.begun else None,
            "waiting": standing.waiting,
            "estimate_ms": standing.estimate_ms,
            "opens_at": standing.opens_at,
            "keep_ms": self._room.keep_ms,
            "title": standing.title,
        }


def _let_in(viewer: Viewer, subject: str, since: Since | None) -> None:
    """Let a viewer in; a bug in that costs them the connection, and those behind them nothing."""
    try:
        viewer.come_in(subject, since)
    except Exception:
        log.exception("lobby.failed", show=viewer.show)
        viewer.refuse(unavailable("The entrance to the show failed."))
