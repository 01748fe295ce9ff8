"""Where those who wait for units stand: whoever waits is told their new place when it changes.

A place changes when somebody in front of it goes, and then the drop's numbers change too: so a queue is read again,
at most once a second, after its numbers were heard; one read serves many of the room.

Bound: of each queue the places of `MOST` viewers here are read in a second: `FRONT` of them are those who stand in
front, because they move soonest; the others take turns until all were read after the last move.
"""

from __future__ import annotations

import asyncio
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import structlog

from server.errors import Code, Problem
from server.gateway.frames import Shared
from server.inventory.outcomes import Waiting
from server.protocol.codec import pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.eventlog.recovery import Look
    from server.gateway.room import Person, Queue, Room, Stand
    from server.gateway.viewer import Viewer
    from server.inventory.waitlist import Waitlist
    from server.protocol.events import Message

PACE_SECONDS = 1.0
MOST = 512
FRONT = 256
TOGETHER = 128  # places per read: a millisecond, here and in Redis
PLACE = ("drop", "position", "length", "quantity")

log = structlog.get_logger(__name__)


class Places:
    """The queues of all rooms, as far as somebody here stands in them. `run` reads and tells."""

    def __init__(self, waitlist: Waitlist) -> None:
        self._waitlist = waitlist
        self._moved: dict[Room, dict[str, int]] = {}  # queues to be read, and how many are still to be asked

    def known(self, room: Room, subject: str, places: list[dict[str, Any]]) -> None:
        """Note where a viewer who joins the show stands; what their other sockets were told stays to be compared."""
        for each in places:
            queue = room.queues.setdefault(each["drop"], {})
            queue.setdefault(subject, (each["position"], each["quantity"]))

    def answered(self, viewer: Viewer, waiting: Waiting) -> None:
        """Note the place that a viewer's own command has brought, and tell their other sockets."""
        room, person = viewer.room, viewer.person
        if room is None or person is None:
            return
        _note(room, person.subject, waiting)
        others = [socket for socket in person.sockets if socket is not viewer]
        if others:
            _tell(others, waiting)

    def heard(self, room: Room, subject: str, message: Message) -> None:
        """Note a place that a viewer has asked for elsewhere; they are told by the very message that says it."""
        _note(room, subject, Waiting(**{name: message[name] for name in PLACE}))

    def remind(self, room: Room, person: Person, look: Look, places: list[dict[str, Any]]) -> None:
        """Tell a viewer where they stand who may have missed it; a place that is gone is found by the next read."""
        lengths = {stock["drop_id"]: stock["waitlist_length"] for stock in look.stocks}
        for each in places:
            drop = each["drop"]
            waiting = Waiting(drop, each["position"], lengths[drop], each["quantity"])
            _note(room, person.subject, waiting)
            _tell(person.sockets, waiting)
        for drop, queue in room.queues.items():
            if person.subject in queue:
                self.moved(room, drop)

    def moved(self, room: Room, drop: str) -> None:
        """Know that a drop's numbers have changed: whoever waits for it may have moved."""
        queue = room.queues.get(drop)
        if queue:
            self._moved.setdefault(room, {})[drop] = len(queue)

    def forget(self, room: Room, person: Person) -> None:
        """Forget a viewer whose last socket here is gone."""
        for drop, queue in list(room.queues.items()):
            if queue.pop(person.subject, None) is not None and not queue:
                del room.queues[drop]

    async def run(self) -> None:
        """Read queues that have moved and tell those who stand in them, for ever."""
        while True:
            await asyncio.sleep(PACE_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Read every queue that has moved, once; what the store cannot say now is read the next time."""
        moved, self._moved = self._moved, {}
        while moved:
            room, drops = moved.popitem()
            for drop, left in drops.items():
                try:
                    asked = await self._read(room, drop)
                except Problem as problem:
                    if problem.code is Code.NOT_FOUND:
                        room.queues.pop(drop, None)
                        continue
                    log.warning("places.unknown", show=room.show, reason=problem.detail)
                    self._later(room, drops)
                    for other, theirs in moved.items():
                        self._later(other, theirs)
                    return
                if left > asked:
                    self._later(room, {drop: left - asked})

    def _later(self, room: Room, drops: dict[str, int]) -> None:
        """Read these the next time, unless they have moved again and are read then anyway."""
        self._moved[room] = {**drops, **self._moved.get(room, {})}

    async def _read(self, room: Room, drop: str) -> int:
        """Read places of a queue and tell who has moved; return how many of those who take turns had theirs."""
        queue = room.queues.get(drop, {})
        stood = _in_turn(queue)
        for subject in stood:  # to the end: the others are next
            queue[subject] = queue.pop(subject)
        subjects = list(stood)
        for start in range(0, len(subjects), TOGETHER):
            together = subjects[start : start + TOGETHER]
            found = await self._waitlist.places(room.show, drop, together)
            for subject, waiting in zip(together, found, strict=True):
                stand = stood[subject]
                # Whoever was told something else meanwhile, by the answer to a command, was told something newer.
                if queue.get(subject) is stand and stand != (waiting.position, waiting.quantity):
                    _note(room, subject, waiting)
                    _tell(room.people[subject].sockets, waiting)
        return len(stood) if len(stood) == len(queue) else MOST - FRONT


def place(waiting: Waiting) -> dict[str, int]:
    """Return a place as messages carry it, beside the drop."""
    return {"position": waiting.position, "length": waiting.length, "quantity": waiting.quantity}


def _note(room: Room, subject: str, waiting: Waiting) -> None:
    queue = room.queues.setdefault(waiting.drop, {})
    if waiting.position:
        queue[subject] = waiting.position, waiting.quantity
    else:
        queue.pop(subject, None)
        if not queue:
            del room.queues[waiting.drop]


def _tell(sockets: Iterable[Viewer], waiting: Waiting) -> None:
    shared = Shared(pack({"type": "waitlist", "drop": waiting.drop, **place(waiting)}))
    for viewer in sockets:
        viewer.tell(shared.frame(viewer.form))


def _in_turn(queue: Queue) -> dict[str, Stand]:
    """Return who is asked about now: those in front, then those who were not asked for the longest time."""
    if len(queue) <= MOST:
        return dict(queue)
    chosen = dict(nsmallest(FRONT, queue.items(), key=lambda each: each[1][0]))
    for subject, stand in queue.items():
        if len(chosen) == MOST:
            break
        chosen[subject] = stand
    return chosen
