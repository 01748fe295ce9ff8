"""Who is connected to this process, by show, and how they come to hear what the show tells.

A show is followed while somebody here watches it, and for a moment longer. Its recent events are kept as finished
frames: who returns with a place in the log is served from them, and who is new gets the picture that all joiners of
that moment share. The hub is the ear's listener: `began`, `event`, `live`, `lost` and `heard_anew` come from it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.auth import EVERY_SHOW
from server.errors import CLOSE_NO_TOKEN, CLOSE_POSITION_LOST, Code, Problem, unavailable
from server.eventlog.stream import Place
from server.gateway.delivery import YIELD_EVERY, Delivery
from server.gateway.frames import CODECS, Shared, message_frame
from server.gateway.room import STOCK, VIEWERS, Person, Room
from server.gateway.welcome import Welcome
from server.protocol.codec import pack
from server.protocol.session import RateLimit
from server.store.answers import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from server.auth import Revocation
    from server.eventlog.live import Live
    from server.eventlog.recovery import Joins, Look, Own
    from server.eventlog.stream import Entry
    from server.gateway.places import Places
    from server.gateway.presence import Presence
    from server.gateway.viewer import Viewer
    from server.inventory.holds import Holds
    from server.inventory.outcomes import Reservation
    from server.protocol.commands import Since
    from server.settings import Settings
    from server.shows.tap import Tap

PRIVATE = "v"  # the kind of message that is for one viewer only
LINGER_SECONDS = 10.0  # a show without viewers is followed for so long: they often come back
REFRESHES_AT_ONCE = 8  # shows looked at anew: the others wait, and joiners find the store free
REFRESH_SECONDS = 1.0  # between attempts to learn what was told while nobody heard
HISTORY_SHARE = 4  # of a viewer's buffer: who missed more is better served with the picture
ROUND_SHARE = 4  # of a viewer's buffer: the most that one delivery round writes at once
EMPTY = b"\x90"  # a packed list with nothing in it

log = structlog.get_logger(__name__)


class Hub:
    """The process' rooms. Viewers `enter` and `leave`; the ear tells what happens."""

    def __init__(  # noqa: PLR0913  each is a room of its own
        self,
        *,
        settings: Settings,
        joins: Joins,
        presence: Presence,
        places: Places,
        holds: Holds,
        hear: Callable[[str, str, int], None],
        pace: Callable[[str, str], RateLimit] | None = None,
    ) -> None:
        self._settings = settings
        self._joins = joins
        self._presence = presence
        self._places = places
        self._holds = holds
        self._hear = hear  # is told the revision of a show's drop that was heard
        self._pace = pace or self._own_pace  # of a show's viewer, shared by all their sockets
        self._rooms: dict[str, Room] = {}
        self._delivery = Delivery(settings.flush_ms / 1000, settings.viewer_buffer_bytes // ROUND_SHARE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsure: set[str] = set()  # shows whose numbers are to be looked at anew
        self._refreshing = asyncio.Semaphore(REFRESHES_AT_ONCE)
        self.ear: Live | None = None
        self.tap: Tap | None = None  # while anything is recorded

    # Viewers.

    def enter(self, viewer: Viewer, subject: str, since: Since | None) -> bool:
        """Let a viewer into its show; it is welcomed, or refused, as soon as the show can be looked at.

        False where they have as many sockets as the setting allows.
        """
        room = self._rooms.get(viewer.show) or self._open(viewer.show)
        person = room.people.get(subject)
        if person is None:
            person = room.people[subject] = Person(subject, self._pace(room.show, subject))
        if sum(not socket.closing for socket in person.sockets) >= self._settings.sockets_per_viewer:
            return False
        if room.linger is not None:
            room.linger.cancel()
        if viewer.counts and not person.counts:
            self._presence.came(room.show, subject)
        if self.tap is not None and viewer.counts:
            self.tap.came(room.show, subject, returns=since is not None)
        person.sockets += (viewer,)
        viewer.room, viewer.person = room, person
        if room.followed:
            self._ask(room, viewer, since)
        else:
            room.arriving.append((viewer, since))
        return True

    def leave(self, viewer: Viewer) -> None:
        """Let a viewer go; a show that the last one has left is followed for a moment more."""
        room, person = viewer.room, viewer.person
        if room is None or person is None:
            return
        viewer.room = None
        room.viewers.discard(viewer)
        person.sockets = tuple(socket for socket in person.sockets if socket is not viewer)
        if viewer.counts and not person.counts:
            self._presence.left(room.show, person.subject)
        if self.tap is not None and viewer.counts:
            self.tap.left(room.show, person.subject, viewer.code)
        if not person.sockets:
            del room.people[person.subject]
            self._places.forget(room, person)
        if not room.people:
            room.linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._close_if_empty, room)

    def shut_out(self, revocation: Revocation) -> None:
        """Close the sockets of whom a revocation is about."""
        everywhere = revocation.show == EVERY_SHOW
        rooms = list(self._rooms.values()) if everywhere else [self._rooms.get(revocation.show)]
        for room in rooms:
            person = room.people.get(revocation.subject) if room is not None else None
            for viewer in person.sockets if person is not None else ():
                if revocation.bars(viewer.role, viewer.issued_at):
                    viewer.close(CLOSE_NO_TOKEN, "the token was revoked")

    def people(self, show: str) -> list[str]:
        """Return the audience of a show here, once for each connection."""
        room = self._rooms.get(show)
        everybody = room.people.values() if room is not None else ()
        return [person.subject for person in everybody for socket in person.sockets if socket.counts]

    def _own_pace(self, _show: str, _subject: str) -> RateLimit:
        """Return a limit that no other process shares."""
        return RateLimit(self._settings.messages_per_second, self._settings.message_burst)

    def _open(self, show: str) -> Room:
        most = self._settings.viewer_buffer_bytes // HISTORY_SHARE
        room = self._rooms[show] = Room(show, most, self._settings.log_length)
        self._start(self._follow(room))
        return room

    def _close_if_empty(self, room: Room) -> None:
        if not room.people:
            self._close(room)

    def _close(self, room: Room) -> None:
        """Follow the show no more, unless another room has taken this one's place."""
        if self._rooms.get(room.show) is room:
            del self._rooms[room.show]
            if self.ear is not None:
                self._start(self.ear.leave(room.show))

    async def _follow(self, room: Room) -> None:
        """Follow a new room's show, then let in who has arrived meanwhile."""
        try:
            if self.ear is not None:
                await self.ear.follow(room.show)
        except (Problem, TimeoutError) as error:
            problem = (
                error if isinstance(error, Problem) else unavailable("the store does not answer in time")
            )
            for viewer, _since in room.arriving:
                viewer.refuse(problem)
                self.leave(viewer)  # before they are here again in the room that takes this one's place
            self._close(room)
            return
        room.followed = True
        arriving, room.arriving = room.arriving, []
        for viewer, since in arriving:
            self._ask(room, viewer, since)

    # Joining.

    def _ask(self, room: Room, viewer: Viewer, since: Since | None) -> None:
        """Ask for a look at the show, with the whole picture unless the viewer's place can be picked up."""
        snapshot = since is None or not _known(room, since)
        self._joins.ask(
            room.show, viewer.subject, snapshot=snapshot, then=partial(self._joined, room, viewer, since)
        )

    def _joined(
        self, room: Room, viewer: Viewer, since: Since | None, look: Look | Problem, own: Own
    ) -> None:
        """Welcome a viewer. No await here: nothing slips in between the welcome and being live."""
        if viewer.closing or viewer.room is not room:
            return
        if isinstance(look, Problem):
            _count(since, "failed")
            viewer.refuse(look)
            return
        if room.place is None or look.epoch != room.place.epoch:
            _count(since, "failed")
            viewer.refuse(unavailable("the show's log has just begun anew"))
            return
        if since is not None and _known(room, since) and since.offset <= look.offset:
            _count(since, "recovered")
            self._go_on(room, viewer, since, self._shared(room, look), own)
        elif look.snapshot is not None and room.reaches(look.offset):
            _count(since, "snapshot")
            self._begin(room, viewer, self._shared(room, look), own)
        else:  # what was known when the look was asked for is so no more
            self._ask(room, viewer, None)
            return
        if own.reservations != EMPTY:
            viewer.knows(*unpacked(own.reservations))
        if own.places != EMPTY:
            self._places.known(room, viewer.subject, unpacked(own.places))

    def _shared(self, room: Room, look: Look) -> Welcome:
        """Return what all who joined with this look share; its numbers count as told from now on.

        The ear may bring older ones later, and those would throw the joiners back.
        """
        if room.welcome is None or room.welcome.look is not look:
            room.welcome = Welcome(look)
            if room.learn(look):
                self._delivery.numbers(room)
        return room.welcome

    def _go_on(self, room: Room, viewer: Viewer, since: Since, welcome: Welcome, own: Own) -> None:
        """Welcome somebody who returned: what they missed follows, then all live numbers."""
        missed = room.after(since.offset)
        offset = missed[-1].offset if missed else since.offset
        codec = CODECS[viewer.form]
        answer = welcome.with_missed(codec, viewer.subject, offset, len(missed), own)
        later = [*missed, room.count(welcome.look), *room.stocks(welcome.look)]
        self._live(room, viewer, answer, later, offset)

    def _begin(self, room: Room, viewer: Viewer, welcome: Welcome, own: Own) -> None:
        """Welcome somebody new: the picture, and what happened since it was taken."""
        later = room.after(welcome.look.offset)
        offset = later[-1].offset if later else welcome.look.offset
        answer = welcome.with_snapshot(CODECS[viewer.form], viewer.subject, own)
        self._live(room, viewer, answer, [*later, *room.newer(welcome.look)], offset)

    def _live(self, room: Room, viewer: Viewer, welcome: bytes, later: list[Shared], offset: int) -> None:
        room.viewers.add(viewer)
        frames = (shared.frame(viewer.form) for shared in later)
        viewer.welcome(message_frame(welcome, viewer.form), *frames, offset=offset)

    # What the ear tells.

    def began(self, show: str, place: Place, tail: list[Entry]) -> None:
        """Know where a show's log stands and what came before."""
        room = self._rooms.get(show)
        if room is not None:
            room.begin(place, tail)

    def event(self, show: str, entry: Entry) -> None:
        """Give the next event of a show's log to everybody there."""
        room = self._rooms.get(show)
        if room is None or room.place is None:
            return
        shared = Shared(entry.packed, entry.offset)
        metrics.EVENTS.labels(shared.message["type"]).inc()
        room.advance(Place(room.place.epoch, entry.offset), shared)
        self._delivery.events(room)

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Keep a live number for the next flush, or hand a private message to its viewer's sockets."""
        room = self._rooms.get(show)
        if room is None:
            return
        if kind != PRIVATE:
            if room.take(kind, name, packed):
                self._delivery.numbers(room)
                if kind == STOCK:
                    self._places.moved(room, name)
                    self._hear(show, name, room.latest[STOCK + name].message["revision"])
        elif name in room.people:
            private, person = Shared(packed), room.people[name]
            if private.message["type"] == "reservation":
                person.know(private.message["reservation"])
            elif private.message["type"] == "waitlist":
                self._places.heard(room, name, private.message)
            for viewer in person.sockets:
                viewer.tell(private.frame(viewer.form))

    def lost(self, show: str) -> None:
        """Send everybody of a show to start over: events are gone that nobody can bring back."""
        room = self._rooms.get(show)
        if room is not None:
            room.lose()
            viewers, room.viewers = room.viewers, set()  # from here on they get nothing more
            self._start(self._start_over(viewers))

    async def _start_over(self, viewers: set[Viewer]) -> None:
        """Close with a time to come back at: so many per second as are taken, and not all in one turn of the loop."""
        for number, viewer in enumerate(viewers, start=1):
            wait_ms = 1000 * number // self._settings.accepts_per_second
            viewer.close(CLOSE_POSITION_LOST, "position lost, start over", wait_ms)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def heard_anew(self, show: str) -> None:
        """Look at a show's numbers and at what everybody has: what was told while nobody heard is gone."""
        if show not in self._unsure:
            self._unsure.add(show)
            self._start(self._refresh(show))

    async def _refresh(self, show: str) -> None:
        while (room := self._rooms.get(show)) is not None:
            try:
                async with self._refreshing:
                    self._unsure.discard(show)  # from here on it takes another look
                    look = await self._joins.look(show)
                break
            except Problem as problem:  # nobody tells it a second time
                self._unsure.add(show)
                log.warning("numbers.unknown", show=show, reason=problem.detail)
                await asyncio.sleep(REFRESH_SECONDS)
        else:
            self._unsure.discard(show)
            return
        self.live(show, VIEWERS, "", pack({"type": "viewers.updated", "count": look.viewers}))
        if room.learn(look):
            self._delivery.numbers(room)
        for person in room.people.values():
            then = partial(self._remind, room, person)
            self._joins.ask(show, person.subject, snapshot=False, then=then)

    def _remind(self, room: Room, person: Person, look: Look | Problem, own: Own) -> None:
        """Tell a viewer how their reservations stand and where they wait; where that cannot be said, look again."""
        if isinstance(look, Problem):
            if look.code is Code.UNAVAILABLE:
                self.heard_anew(room.show)
            return
        listed = unpacked(own.reservations)
        self._tell(room, person, *listed)
        if room.people.get(person.subject) is person:
            self._places.remind(room, person, look, unpacked(own.places))
        over = set(person.reservations) - {reservation["id"] for reservation in listed}
        if over:
            self._start(self._remind_of(room, person, sorted(over)))

    async def _remind_of(self, room: Room, person: Person, reservations: list[str]) -> None:
        """Tell a viewer what became of reservations that they do not have any more."""
        for reservation in reservations:
            try:
                async with self._refreshing:
                    found = await self._holds.find(reservation)
            except Problem:
                self.heard_anew(room.show)
                return
            if found is not None:
                self._tell(room, person, found[0])

    def _tell(self, room: Room, person: Person, *reservations: Reservation) -> None:
        for reservation in reservations:
            packed = pack({"type": "reservation", "reservation": reservation, "replayed": False})
            self.live(room.show, PRIVATE, person.subject, packed)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _known(room: Room, since: Since) -> bool:
    """Whether the room remembers all that came after this place."""
    return room.place is not None and room.place.epoch == since.epoch and room.reaches(since.offset)


def _count(since: Since | None, outcome: str) -> None:
    if since is not None:
        metrics.RECOVERIES.labels(outcome).inc()
