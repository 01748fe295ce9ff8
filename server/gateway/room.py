"""One show on one process: who is there, where its log stands, its recent past, and its newest live numbers."""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from server.clock import monotonic
from server.gateway.frames import Shared
from server.protocol.codec import pack

if TYPE_CHECKING:
    import asyncio

    from server.eventlog.recovery import Look
    from server.eventlog.stream import Entry, Place
    from server.gateway.viewer import Viewer
    from server.gateway.welcome import Welcome
    from server.inventory.outcomes import Reservation
    from server.protocol.commands import Since
    from server.protocol.session import RateLimit

    Stand = tuple[int, int]  # the place that a viewer was told last, and the units they wait for
    Queue = dict[str, Stand]  # by viewer: those of the room who wait for one drop

STOCK = "s"  # the kind of live number that carries a revision; its name is followed by the drop's id
VIEWERS = "c"
OVER = frozenset({"released", "expired"})  # states of a reservation that its viewer does not have any more
MOST_KNOWN = 32  # reservations that are remembered of one viewer
SPREAD_SECONDS = 0.23  # from a change to the last viewer who is told: 250 ms are promised
KEPT_BACK_SECONDS = 0.1  # for which a script may keep a drop's numbers back after it has told some
AT_ONCE_SECONDS = (
    2.2 * KEPT_BACK_SECONDS
)  # numbers that come so long after the ones before were not kept back
GOLDEN = 0.6180339887498949  # turning by the golden ratio comes by everybody, far from where it was last


class Person:
    """One viewer of a show, with all their sockets on this process and the one limit that these share.

    `reservations` are the newest `MOST_KNOWN` that they were told here to have: what became of one is told where that
    may have been missed.
    """

    __slots__ = ("limit", "reservations", "sockets", "subject")

    def __init__(self, subject: str, limit: RateLimit) -> None:
        self.subject = subject
        self.limit = limit
        self.sockets: tuple[Viewer, ...] = ()
        self.reservations: tuple[str, ...] = ()

    def know(self, reservation: Reservation) -> None:
        """Remember what this viewer is told of a reservation."""
        name = reservation["id"]
        if reservation["state"] in OVER:
            self.reservations = tuple(each for each in self.reservations if each != name)
        elif name not in self.reservations:
            self.reservations = (*self.reservations, name)[-MOST_KNOWN:]

    @property
    def counts(self) -> bool:
        """Whether one of the sockets is a viewer's: hosts and moderators are no audience."""
        return any(socket.counts for socket in self.sockets)


class Room:
    """A show's viewers here and what they are owed.

    A live number is `latest` as long as no newer one of its name comes, and `fresh` until it was flushed. `flush` is
    the timer of the next flush, which rings at `flush_at`; once it has rung, the flush is due and leaves with the next
    round. All that is fresh should be everywhere by `due_at`. Times are monotonic seconds.

    Bounds: `history_bytes` of events, and `history_length` of them, the oldest leave; one live number per name;
    `arriving`, `people` and `queues` by the connections that the process takes.
    """

    def __init__(self, show: str, history_bytes: int, history_length: int) -> None:
        self.show = show
        self.people: dict[str, Person] = {}
        self.queues: dict[str, Queue] = {}  # by drop, where somebody here waits
        self.viewers: set[Viewer] = set()  # those who are live: they get everything from here on
        self.arriving: list[tuple[Viewer, Since | None]] = []  # until the show is followed
        self.followed = False
        self.place: Place | None = None
        self.latest: dict[str, Shared] = {}  # the newest of every live number
        self.outbox: list[Shared] = []  # events that wait for the delivery round under way
        self.fresh: dict[str, Shared] = {}  # live numbers that wait for the next flush
        self.welcome: Welcome | None = None  # of the newest look, shared by all who joined with it
        self.delivery: asyncio.Task[None] | None = None
        self.flush: asyncio.TimerHandle | None = None
        self.flush_at = 0.0
        self.flush_due = False
        self.due_at = inf
        self.linger: asyncio.TimerHandle | None = None  # runs while nobody is here
        self.flushed_at = 0.0
        self.round_seconds = 0.0  # how long the newest round took
        self._history: deque[Shared] = deque(maxlen=history_length)
        self._history_bytes = 0
        self._most_bytes = history_bytes
        self._turn = 0.0

    def begin(self, place: Place, tail: list[Entry]) -> None:
        """Stand at a place of the log, with these newest events before it; what was known before counts no more."""
        self.place = place
        self.outbox.clear()
        self.latest.clear()  # after a restore revisions may be lower than those that were told
        self.fresh.clear()
        self.due_at = inf
        self._history.clear()
        self._history_bytes = 0
        for entry in tail:
            self._remember(Shared(entry.packed, entry.offset))

    def lose(self) -> None:
        """Stand nowhere until the log begins anew: who joins before that would miss what came meanwhile."""
        self.place = None
        self.outbox.clear()

    def advance(self, place: Place, event: Shared) -> None:
        """Take the log's next event."""
        self.place = place
        self._remember(event)
        self.outbox.append(event)

    def reaches(self, offset: int) -> bool:
        """Whether all events after this offset are remembered."""
        assert self.place is not None  # noqa: S101  a followed show that exists has one
        first = self._history[0].offset if self._history else self.place.offset + 1
        return first <= offset + 1

    def after(self, offset: int) -> list[Shared]:
        """Return the remembered events after an offset, oldest first."""
        assert self.place is not None  # noqa: S101  a followed show that exists has one
        known = len(self._history)
        return list(islice(self._history, max(0, known - (self.place.offset - offset)), known))

    def take(self, kind: str, name: str, packed: bytes) -> bool:
        """Keep a live number as the newest of its name; False where a newer one is known."""
        shared = Shared(packed, name=kind + name)
        known = self.latest.get(shared.name)
        if kind == STOCK and known is not None and known.message["revision"] >= shared.message["revision"]:
            return False
        self._refresh(shared)
        return True

    def learn(self, look: Look) -> bool:
        """Keep a look's numbers as the newest of their drops; say whether any waits to be flushed.

        With no viewers there is nobody to tell: who joins with the look has them from it.
        """
        for shared in self.stocks(look):
            if self.latest.get(shared.name) is shared:
                continue
            if self.viewers:
                self._refresh(shared)
            else:
                self.latest[shared.name] = shared
        return bool(self.fresh)

    def stocks(self, look: Look) -> list[Shared]:
        """Return the newest numbers of every drop: the look's own, or newer ones that came meanwhile."""
        newest = {name: shared for name, shared in self.latest.items() if name.startswith(STOCK)}
        for stock in look.stocks:
            name = STOCK + stock["drop_id"]
            if name not in newest or newest[name].message["revision"] < stock["revision"]:
                newest[name] = Shared(pack({"type": "stock.updated", **stock}), name=name)
        return list(newest.values())

    def count(self, look: Look) -> Shared:
        """Return how many viewers are here: as told last, or else as the look has seen."""
        told = self.latest.get(VIEWERS)
        return told or Shared(pack({"type": "viewers.updated", "count": look.viewers}), name=VIEWERS)

    def newer(self, look: Look) -> list[Shared]:
        """Return the live numbers that are newer than a look's snapshot."""
        told = {STOCK + stock["drop_id"]: stock["revision"] for stock in look.stocks}
        viewers = (look.snapshot or {}).get("viewers")
        return [
            shared
            for name, shared in self.latest.items()
            if (name.startswith(STOCK) and shared.message["revision"] > told.get(name, -1))
            or (name == VIEWERS and shared.message["count"] != viewers)
        ]

    def in_turn(self) -> list[Viewer]:
        """Return the viewers, starting each time with another one: nobody is always first."""
        viewers = list(self.viewers)
        self._turn = (self._turn + GOLDEN) % 1.0
        first = int(self._turn * len(viewers))
        return viewers[first:] + viewers[:first]

    def _refresh(self, shared: Shared) -> None:
        """Let a live number be the newest of its name, to be flushed in time."""
        known = self.latest.get(shared.name)
        shared.heard_at = now = monotonic()
        age = 0.0
        if shared.name.startswith(STOCK) and known is not None and now - known.heard_at < AT_ONCE_SECONDS:
            age = KEPT_BACK_SECONDS
        self.due_at = min(self.due_at, now + SPREAD_SECONDS - age)
        self.latest[shared.name] = self.fresh[shared.name] = shared

    def _remember(self, event: Shared) -> None:
        if len(self._history) == self._history.maxlen:
            self._history_bytes -= len(self._history.popleft().packed)
        self._history.append(event)
        self._history_bytes += len(event.packed)
        while self._history_bytes > self._most_bytes:
            self._history_bytes -= len(self._history.popleft().packed)
