"""Viewers on transports that keep what is written, and a line of operations that is answered when the test says so."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from websockets.utils import apply_mask

from server.auth import Role
from server.gateway.dispatch import Dispatch
from server.gateway.frames import Format
from server.gateway.places import Places
from server.gateway.room import Person, Room
from server.gateway.timers import Timers
from server.gateway.viewer import Viewer
from server.inventory.outcomes import Held, Seen
from server.protocol.codec import pack
from server.protocol.session import RateLimit
from server.settings import Settings
from tests.gateway.scene import Queues, unframed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome

SHOW = "sh_abcdefghijkl"
DROP = "dr_abcdefghijkl_abcdefgh"
SEEN = Seen(
    drop=DROP,
    at=2_000,
    available=0,
    held=3,
    revision=7,
    gone_at=1_900,
    waiting=0,
    opened_at=1_000,
    sku="MUG",
    currency="EUR",
    unit_price=1250,
    hold_seconds=60,
)
MASK = b"\x01\x02\x03\x04"


class Lines:
    """Stands in for `Batches`: keeps who asks what, in order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Ask, Callable[[Outcome], None]]] = []
        self.asks: list[Ask] = []

    def submit(self, ask: Ask, done: Callable[[Outcome], None]) -> None:
        self.asks.append(ask)
        self.waiting.append((ask, done))

    def answer(self, *outcomes: Outcome) -> None:
        """Give the next ones their outcomes, in one step; without any, everybody is held."""
        count = len(outcomes) or len(self.waiting)
        told, self.waiting = self.waiting[:count], self.waiting[count:]
        found = outcomes or [held(ask) for ask, _done in told]
        for (_ask, done), outcome in zip(told, found, strict=True):
            done(outcome)


class Wire:
    """Stands in for a transport: keeps what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.data += data

    def abort(self) -> None:
        self.closing = True

    close = abort

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int) -> None:
        """Take any limit."""

    def set_protocol(self, _protocol: asyncio.Protocol) -> None:
        """Tell nobody anything."""


class Hall:
    """What viewers need around them: a gateway with a line, and a room."""

    def __init__(self) -> None:
        self.lines, self.queues = Lines(), Queues()
        self.places = Places(self.queues)  # type: ignore[arg-type]  # a stand-in
        self.room = Room(SHOW, 1_000, 10)
        self.signed: list[Any] = []
        self.dispatch = Dispatch(
            self.lines,  # type: ignore[arg-type]  # a stand-in
            SimpleNamespace(add=lambda *_: None),  # type: ignore[arg-type]  # a stand-in
            SimpleNamespace(now_ms=lambda: 1),  # type: ignore[arg-type]  # a stand-in
            self.places,
            self._sign,
        )
        self._gateway: Any = SimpleNamespace(
            settings=Settings(message_burst=1000),
            timers=Timers(),
            dispatch=self.dispatch,
            left=lambda _viewer: None,
        )

    def sit(
        self, name: str = "ann", *, role: Role = Role.VIEWER, wire: Any = None, welcomed: bool = True
    ) -> Seat:
        """Let a viewer in who has said hello, and was welcomed or is to be."""
        viewer = Viewer(self._gateway, Format.MSGPACK, SHOW, inflate=False, host="host", address="192.0.2.1")
        viewer.take_over(Wire() if wire is None else wire, set())  # type: ignore[arg-type]  # a stand-in
        limit = RateLimit(1000, 1000)
        person = self.room.people.setdefault(name, Person(name, limit))
        person.sockets += (viewer,)
        viewer.person, viewer.room, viewer.role = person, self.room, role
        viewer._session.go_live(limit)
        viewer._waiting = deque()
        if welcomed:
            viewer.welcome(offset=0)
        return Seat(viewer)

    def _sign(self, receipt: Any) -> str:
        self.signed.append(receipt)
        return f"receipt {len(self.signed)}"


class Seat:
    """A viewer as the test plays it."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.wire: Any = viewer.transport

    def say(self, *messages: dict[str, Any]) -> None:
        """Send messages in one piece."""
        self.viewer.data_received(b"".join(map(framed, messages)))

    def reserve(self, *operations: str, **more: Any) -> None:
        """Send a `reserve` for each operation id."""
        fields = {"type": "reserve", "drop": DROP, "quantity": 1, **more}
        self.say(*({**fields, "id": operation} for operation in operations))

    @property
    def told(self) -> list[dict[str, Any]]:
        """What came, in order."""
        return unframed(self.wire.data)

    @property
    def answers(self) -> list[str]:
        """The ids of what came."""
        return [message.get("id", message["type"]) for message in self.told]


def framed(message: dict[str, Any]) -> bytes:
    """Return a message as a client's frame."""
    payload = pack(message)
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0xFE,)) + size.to_bytes(2)
    return b"\x82" + length + MASK + apply_mask(payload, MASK)


def held(ask: Ask) -> Held:
    """Return what somebody gets who asks for what is there."""
    own, drop, quantity = ask.items[0]
    reservation = {"id": own, "drop": drop, "quantity": quantity, "state": "held"}
    return Held(reservation, replayed=False, rank=1, seen=SEEN)
