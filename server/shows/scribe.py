"""From what processes hand over and the show's log tells, to the lines of a recording: no store, no clock, no file.

Batches of several processes come in any mixture, a batch may come twice, and one may be lost: each turn is taken once,
and missing turns are counted. Who is behind a hash is a number here, given in the order of appearance; the hashes are
forgotten with this object.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.shows import tape
from server.shows.moves import TURNS, DropSeen
from server.shows.tap import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from server.shows.recordings import Batch
    from server.shows.tape import Line

SILENT_MS = 15_000  # a process that hands nothing over for so long is gone, and its connections with it
FIRST_MS = 5_000  # whoever is there when a process says so later has come meanwhile
GONE = 1006

View = dict[str, Any]


@dataclass(slots=True)
class Process:
    """A server process: whose connections it has, and how far its batches were taken."""

    life: int = 0
    turn: int = 0
    lost: int = 0
    heard_at: int = 0
    here: list[bytes] = field(default_factory=list)  # of a list that is not whole yet
    connections: dict[bytes, deque[int]] = field(default_factory=dict)  # viewer -> theirs, the oldest first


@dataclass(slots=True)
class Viewer:
    """A viewer's number, and how many connections and takes they have had."""

    number: int
    connections: int = 0
    takes: int = 0


class Scribe:
    """One recording that began at `began_at` (Unix ms). `drops`, `batch`, `event` and `silent` give its lines."""

    def __init__(self, began_at: int) -> None:
        self.lost_batches = 0
        self.forgotten = 0  # entries beyond the bounds
        self._began_at = began_at
        self._processes: dict[str, Process] = {}
        self._viewers: dict[bytes, Viewer] = {}
        self._takes: dict[
            bytes, int
        ] = {}  # by the hash of a reservation; of claims, which are no takes: UNKNOWN
        self._drops: dict[str, DropSeen] = {}

    @property
    def viewers(self) -> int:
        """How many viewers have appeared."""
        return len(self._viewers)

    @property
    def here(self) -> int:
        """How many connections there are now."""
        return sum(len(each) for one in self._processes.values() for each in one.connections.values())

    @property
    def lost(self) -> int:
        """Entries that found no room, with a process or here."""
        return self.forgotten + sum(process.lost for process in self._processes.values())

    # What processes hand over.

    def batch(self, batch: Batch) -> list[Line]:
        """Return the lines of a batch; none where it was taken before."""
        process = self._processes.setdefault(batch.process, Process())
        if (batch.life, batch.turn) <= (process.life, process.turn):
            return []
        if batch.life == process.life:
            self.lost_batches += batch.turn - process.turn - 1
        else:
            self.lost_batches += batch.turn - 1
            self.forgotten += process.lost  # of the life before
            process.here = []
        process.life, process.turn = batch.life, batch.turn
        process.lost, process.heard_at = batch.lost, batch.at
        return [line for entry in batch.entries for line in self._entry(process, entry)]

    def silent(self, now: int) -> list[Line]:
        """Return the end of all connections of processes that have not been heard of for too long (Unix ms)."""
        lines: list[Line] = []
        for process in self._processes.values():
            if now - process.heard_at > SILENT_MS and process.connections:
                lines += self._all_gone(process, process.heard_at)
        return lines

    def _entry(self, process: Process, entry: list[Any]) -> Iterator[Line]:
        kind, at, *rest = entry
        if kind == Kind.HERE:
            yield from self._here(process, at, *rest)
        elif kind == Kind.CHEERED:
            yield tape.React(at=self._since(at), messages=rest[0], reactions=rest[1])
        elif (viewer := self._viewer(rest[0])) is None:
            self.forgotten += 1
        elif kind == Kind.CAME:
            yield self._join(process, at, rest[0], returns=rest[1])
        elif kind == Kind.LEFT:
            yield from self._leave(process, at, *rest)
        elif kind == Kind.ASKED:
            yield from self._asked(viewer, self._since(at), *rest[1:])
        else:
            yield self._paid(viewer, self._since(at), *rest[1:])

    def _since(self, at: int) -> int:
        return max(0, at - self._began_at)

    def _viewer(self, who: bytes) -> Viewer | None:
        """Return who is behind a hash; None where there are too many."""
        known = self._viewers.get(who)
        if known is None and len(self._viewers) < tape.MOST_VIEWERS:
            known = self._viewers[who] = Viewer(len(self._viewers))
        return known

    def _here(self, process: Process, at: int, named: list[bytes], more: bool) -> Iterator[Line]:  # noqa: FBT001
        """Bring what is known of a process's connections to what it says that it has."""
        process.here += named
        if more:
            return
        there, process.here = Counter(process.here), []
        for who in list(process.connections):
            for _ in range(len(process.connections[who]) - there[who]):
                yield from self._leave(process, at, who, GONE)
        for who, count in there.items():
            for _ in range(count - len(process.connections.get(who, ()))):
                if self._viewer(who) is None:
                    self.forgotten += 1
                else:
                    first = at - self._began_at <= FIRST_MS
                    yield self._join(process, at, who, here=first, returns=not first)

    def _join(
        self, process: Process, at: int, who: bytes, *, returns: bool = False, here: bool = False
    ) -> Line:
        viewer = self._viewers[who]
        viewer.connections += 1
        process.connections.setdefault(who, deque()).append(viewer.connections)
        number, nth = viewer.number, viewer.connections
        return tape.Join(at=self._since(at), viewer=number, connection=nth, returns=returns, here=here)

    def _leave(self, process: Process, at: int, who: bytes, code: int) -> Iterator[Line]:
        """End a viewer's oldest connection there; none is known where a batch was lost."""
        theirs = process.connections.get(who)
        if theirs:
            number, nth = self._viewers[who].number, theirs.popleft()
            if not theirs:
                del process.connections[who]
            yield tape.Leave(at=self._since(at), viewer=number, connection=nth, code=code)

    def _all_gone(self, process: Process, at: int) -> Iterator[Line]:
        for who in list(process.connections):
            for _ in range(len(process.connections[who])):
                yield from self._leave(process, at, who, GONE)

    # What is asked and paid.

    def _asked(  # noqa: PLR0913, PLR0917  the fields of an entry
        self, viewer: Viewer, at: int, verb: str, items: list[list[Any]], code: str, ms: int
    ) -> Iterator[Line]:
        own, drop, units = items[0]
        number = viewer.number
        if verb == "claim":  # part of a checkout, which is told for itself
            self._takes.update((own, tape.UNKNOWN) for own, _, _ in items)
        elif verb == "release":
            if self._takes.get(own) != tape.UNKNOWN:
                take = self._takes.get(own, tape.UNKNOWN)
                yield tape.Release(at=at, viewer=number, take=take, end=code, ms=ms)
        elif verb == "leave":
            yield tape.Unwait(at=at, viewer=number, drop=self._number(drop), end=code, ms=ms)
        elif len(items) > 1:
            taken = tuple((self._take(viewer, own), self._number(drop), units) for own, drop, units in items)
            yield tape.Bundle(at=at, viewer=number, items=taken, end=code, ms=ms)
        else:
            said = {"at": at, "viewer": number, "take": self._take(viewer, own), "drop": self._number(drop)}
            if verb == "join":
                yield tape.Wait(**said, quantity=units, end=code, ms=ms)
            else:
                yield tape.Reserve(**said, quantity=units, part=verb == "part", end=code, ms=ms)

    def _paid(  # noqa: PLR0913, PLR0917  the fields of an entry
        self,
        viewer: Viewer,
        at: int,
        reservations: list[bytes],
        items: list[list[Any]],
        code: str,
        ms: int,
    ) -> Line:
        takes = tuple(self._takes.get(own, tape.UNKNOWN) for own in reservations)
        wanted = tuple((self._number(drop), units) for drop, units in items)
        number = viewer.number
        return tape.Checkout(at=at, viewer=number, takes=takes, items=wanted, end=code, ms=ms)

    def _take(self, viewer: Viewer, own: bytes) -> int:
        """Return the number of a take among its viewer's: a new one where it was not asked for before."""
        known = self._takes.get(own)
        if known is None:
            known = viewer.takes
            viewer.takes += 1
            if len(self._takes) < tape.MOST_TAKES:
                self._takes[own] = known
        return known

    # What the host does.

    def drops(self, views: Sequence[View], now: int) -> list[Line]:
        """Return the drops that are there already, in the order in which they were planned (times in Unix ms)."""
        return [self._planned(view, now) for view in views]

    def event(self, event: View) -> list[Line]:
        """Return what an event of the log says of drops and show; nothing where it is known already."""
        room, _, verb = event["type"].partition(".")
        at = self._since(event["at"])
        if room == "show" and verb in TURNS:
            return [tape.Turn(at=at, move=TURNS[verb])]
        if room != "drop":
            return []
        view = event.get("drop")
        drop = self._drops.get(view["id"] if view else event["drop_id"])
        if drop is not None:
            return drop.moved(verb, event, at)
        return [self._planned(view, event["at"])] if view else []

    def _planned(self, view: View, at: int) -> Line:
        drop = self._drops[view["id"]] = DropSeen.of(len(self._drops) + 1, view)
        return drop.planned(view, self._since(at), at)

    def _number(self, drop: str) -> int:
        """Return a drop's number; 0 for one that is not of this show, or not known yet."""
        known = self._drops.get(drop)
        return known.number if known is not None else 0
