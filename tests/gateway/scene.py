"""A hub with stand-ins around it: guests for viewers, looks that are answered when the test says so, an ear.

Nothing here waits for Redis or for a connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from server.eventlog.recovery import NOTHING, Look, Own
from server.eventlog.stream import Entry, Place
from server.gateway.frames import Format
from server.gateway.hub import Hub
from server.gateway.places import Places
from server.inventory.outcomes import Waiting
from server.protocol.codec import pack, unpack_event
from server.settings import Settings
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.errors import Problem
    from server.protocol.commands import Since

SHOW = "sh_1"
EMPTY = Own(b"\x90", b"\x90")


class Guest:
    """A viewer who keeps what it is sent."""

    def __init__(self, *, counts: bool = True) -> None:
        self.show = SHOW
        self.form = Format.MSGPACK
        self.counts = counts
        self.offset = -1
        self.behind = self.closing = self.owed = False
        self.room: Any = None
        self.person: Any = None
        self.transport: Any = self
        self.data = b""
        self.private: list[bytes] = []
        self.refused: Problem | None = None
        self.closed = self.wait_ms = 0
        self.code = 1006

    @property
    def subject(self) -> str:
        return str(self.person.subject)

    def write(self, data: bytes) -> None:
        self.data += data

    def tell(self, data: bytes) -> None:
        self.private.append(data)

    def knows(self, *reservations: dict[str, Any]) -> None:
        for reservation in reservations:
            self.person.know(reservation)

    def welcome(self, *frames: bytes, offset: int) -> None:
        assert self.offset == -1, "welcomed twice"
        self.offset = offset
        self.data += b"".join(frames)

    def refuse(self, problem: Problem) -> None:
        self.refused, self.closing = problem, True

    def close(self, code: int, _text: str, retry_after_ms: int) -> None:
        self.closing, self.closed, self.wait_ms = True, code, retry_after_ms

    @property
    def told(self) -> list[dict[str, Any]]:
        return unframed(self.data)

    @property
    def heard(self) -> list[dict[str, Any]]:
        return unframed(b"".join(self.private))

    @property
    def offsets(self) -> list[int]:
        return [message["offset"] for message in self.told if message["type"] == "drop.paused"]


def unframed(data: bytes) -> list[dict[str, Any]]:
    """Return the messages in these frames, without the close frame."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    client.receive_data(data)
    return [
        unpack_event(bytes(each.data))
        for each in client.events_received()
        if isinstance(each, Frame) and each.opcode is not Opcode.CLOSE
    ]


class Looks:
    """Stands in for `Joins`: answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool, Any]] = []

    def ask(self, _show: str, viewer: str, *, snapshot: bool, then: Any) -> None:
        self.asked.append((viewer, snapshot, then))

    async def look(self, show: str) -> Look:
        found: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        self.ask(show, "", snapshot=False, then=lambda look, _own: found.set_result(look))
        return await found

    def answer(self, look: Look | Problem) -> list[bool]:
        asked, self.asked = self.asked, []
        for _viewer, _snapshot, then in asked:
            then(look, EMPTY if isinstance(look, Look) else NOTHING)
        return [snapshot for _viewer, snapshot, _then in asked]


class Queues:
    """Stands in for `Waitlist`: who waits for which drop, in their order, and what was asked."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[str]] = {}
        self.asked: list[tuple[str, list[str]]] = []
        self.problem: Problem | None = None
        self.before: Any = None  # called while a read is under way

    async def places(self, _show: str, drop: str, viewers: list[str]) -> list[Waiting]:
        self.asked.append((drop, viewers))
        if self.problem is not None:
            raise self.problem
        queue = list(self.waiting.get(drop, []))
        if self.before is not None:
            self.before()
        return [
            Waiting(drop, queue.index(viewer) + 1, len(queue), 1)
            if viewer in queue
            else Waiting(drop, 0, len(queue), 0)
            for viewer in viewers
        ]


class Presences:
    """Stands in for `Presence`: keeps who is here; repeating changes nothing."""

    def __init__(self) -> None:
        self.here: set[str] = set()

    def came(self, _show: str, viewer: str) -> None:
        self.here.add(viewer)

    def left(self, _show: str, viewer: str) -> None:
        self.here.discard(viewer)


class Ear:
    """Stands in for `Live`: following begins at a place with a tail, or fails."""

    def __init__(self, hub: Hub, place: Place, tail: list[Entry]) -> None:
        self.hub, self.place, self.tail = hub, place, tail
        self.problem: Problem | None = None
        self.left: list[str] = []

    async def follow(self, show: str) -> None:
        if self.problem is not None:
            raise self.problem
        self.hub.began(show, self.place, self.tail)

    async def leave(self, show: str) -> None:
        self.left.append(show)


def entry(offset: int, size: int = 0) -> Entry:
    """Return the event at an offset."""
    return Entry(offset, pack({"type": "drop.paused", "offset": offset, "fill": "x" * size}))


def stock(revision: int, drop: str = "d") -> dict[str, Any]:
    """Return a drop's numbers."""
    numbers = {"available": 1, "held": 0, "sold": 0, "quantity": 1}
    return {"drop_id": drop, **numbers, "revision": revision, "waitlist_length": 2}


def look(offset: int, *, epoch: str = "e", revision: int = 1, snapshot: bool = True) -> Look:
    """Return a look at the show."""
    shown = {"show": {}, "drops": [], "pinned": [], "viewers": 1} if snapshot else None
    return Look(
        epoch=epoch, offset=offset, server_time_at=1, stocks=[stock(revision)], snapshot=shown, viewers=7
    )


class Scene:
    """A hub whose ear stands at offset 10 and remembers 6 to 10."""

    def __init__(self, **more: Any) -> None:
        self.looks, self.presences, self.queues = Looks(), Presences(), Queues()
        self.places = Places(self.queues)  # type: ignore[arg-type]  # a stand-in
        self.heard: list[tuple[str, str, int]] = []
        self.over: dict[str, dict[str, Any]] = {}  # reservations that nobody has any more
        self.hub = Hub(
            settings=Settings(**more),
            joins=self.looks,  # type: ignore[arg-type]  # a stand-in
            presence=self.presences,  # type: ignore[arg-type]  # a stand-in
            places=self.places,
            holds=self,  # type: ignore[arg-type]  # a stand-in
            hear=lambda *heard: self.heard.append(heard),
        )
        self.ear = Ear(self.hub, Place("e", 10), [entry(offset) for offset in range(6, 11)])
        self.hub.ear = self.ear  # type: ignore[assignment]  # a stand-in

    async def find(self, reservation: str) -> tuple[dict[str, Any], str] | None:
        found = self.over.get(reservation)
        return None if found is None else (found, "somebody")

    def come(self, name: str, since: Since | None = None, guest: Guest | None = None) -> Guest:
        guest = guest or Guest()
        assert self.hub.enter(guest, name, since)  # type: ignore[arg-type]  # a stand-in
        return guest

    async def asked(self, count: int = 1) -> None:
        await wait_for(lambda: len(self.looks.asked) == count, "the show to be looked at")

    async def joined(self, name: str, since: Since | None = None) -> Guest:
        guest = self.come(name, since)
        await self.asked()
        self.looks.answer(look(10, snapshot=since is None))
        return guest

    async def settled(self) -> None:
        room = self.hub._rooms[SHOW]
        await wait_for(lambda: room.delivery is None and room.flush is None, "the delivery to be done")
