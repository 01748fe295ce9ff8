"""A process' ear for recordings: who comes and goes and what is asked, of the shows that are recorded, and of no other.

While nothing is recorded `Taps.tap` is None, and whoever would tell it something looks at no more than that. Otherwise
each entry is a short tuple: its kind, when (Unix ms of the store's clock), who (a keyed hash of the viewer), and the
rest. Every quarter of a second they are handed over as a batch; a batch goes out again until the store has it, and the
recorder takes each turn once.

Bound: `MOST_KEPT` entries of a show wait; those beyond are counted as lost. A recording whose lease is over, or that
cannot be looked up for so long, is forgotten with all that waits for it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from contextlib import suppress
from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from server import ids
from server.clock import monotonic
from server.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from server.shows.recordings import Lease, Recordings
    from server.store.redis_clock import RedisClock

LOOK_SECONDS = 1.0  # between two looks at which shows are recorded
HAND_OVER_SECONDS = 0.25
MOST_KEPT = 50_000
BATCH = 1_000  # entries
LEAVE_SECONDS = 2.0  # what the end of a process waits for the last batches at most
DIGEST_BYTES = 8

PACK = msgspec.msgpack.Encoder().encode

Item = tuple[str, str, int]  # reservation's own part, drop, units

log = structlog.get_logger(__name__)


class Kind(IntEnum):
    """What an entry tells; behind it come `at` and what is said here."""

    HERE = 0  # [who, …], whether more follow: all that this process has, once for each connection
    CAME = 1  # who, whether they named a place in the log
    LEFT = 2  # who, close code
    ASKED = 3  # who, verb, [[reservation, drop, units], …], code, ms until the answer
    PAID = 4  # who, [reservation, …], [[drop, units], …], code, ms until the answer
    CHEERED = 5  # messages, reactions: of the quarter of a second that began then


class Tap:
    """The recordings that run now, as those see them who have something to tell."""

    def __init__(self, clock: RedisClock) -> None:
        self._clock = clock
        self._notes: dict[str, Notes] = {}

    def now_ms(self) -> int:
        """Return the store's time."""
        return self._clock.now_ms()

    def records(self, show: str) -> bool:
        """Whether a show is recorded."""
        return show in self._notes

    def came(self, show: str, viewer: str, *, returns: bool) -> None:
        """Note a connection of a viewer, who may return to a place in the log."""
        notes = self._notes.get(show)
        if notes is not None:
            notes.add((Kind.CAME, self.now_ms(), notes.hidden(viewer), returns))

    def left(self, show: str, viewer: str, code: int) -> None:
        """Note the end of a connection."""
        notes = self._notes.get(show)
        if notes is not None:
            notes.add((Kind.LEFT, self.now_ms(), notes.hidden(viewer), code))

    def asked(  # noqa: PLR0913  an operation is its fields
        self, show: str, viewer: str, verb: str, items: Iterable[Item], *, at: int, code: str
    ) -> None:
        """Note an operation on the inventory that was asked for at `at` and is answered now."""
        notes = self._notes.get(show)
        if notes is not None:
            wanted = [(notes.hidden(own) if own else b"", drop, units) for own, drop, units in items]
            notes.add((Kind.ASKED, at, notes.hidden(viewer), verb, wanted, code, self.now_ms() - at))

    def paid(  # noqa: PLR0913  a checkout is its fields
        self,
        show: str,
        viewer: str,
        reservations: Iterable[str],
        items: Sequence[tuple[str, int]],
        *,
        seconds: float,
        code: str,
    ) -> None:
        """Note a checkout that took so long and is answered now."""
        notes = self._notes.get(show)
        if notes is not None:
            ms = int(seconds * 1000)
            named = [notes.hidden(ids.own(reservation)) for reservation in reservations]
            who = notes.hidden(viewer)
            notes.add((Kind.PAID, self.now_ms() - ms, who, named, list(items), code, ms))

    def cheered(self, show: str, count: int) -> None:
        """Count a message of so many reactions; who sent it is nobody's business."""
        notes = self._notes.get(show)
        if notes is not None:
            if not notes.messages:
                notes.cheered_at = self.now_ms()
            notes.messages += 1
            notes.reactions += count

    def follow(self, show: str, notes: Notes | None) -> None:
        """Take notes of a show, or no longer."""
        if notes is not None:
            self._notes[show] = notes
        else:
            self._notes.pop(show, None)


class Notes:
    """One show's entries that no recorder has yet, and the name under which they are handed over."""

    def __init__(self, process: str, life: int, lease: Lease) -> None:
        self.lease = lease
        self.messages = self.reactions = 0
        self.cheered_at = 0  # when the first of these messages came
        self.lost = 0
        self._hash = blake2b(digest_size=DIGEST_BYTES, key=lease.secret.encode())
        self._process = process
        self._life = life
        self._turn = 0
        self._kept: deque[bytes] = deque()  # packed: nothing for the garbage collector to look through
        self._under_way: bytes | None = None

    def hidden(self, name: str) -> bytes:
        """Return what stands for a name: nobody finds the name by it who does not have the secret."""
        keyed = self._hash.copy()
        keyed.update(name.encode())
        return keyed.digest()

    def add(self, entry: tuple[Any, ...]) -> None:
        """Keep an entry, where there is room."""
        if len(self._kept) < MOST_KEPT:
            self._kept.append(PACK(entry))
        else:
            self.lost += 1

    def here(self, viewers: Sequence[str], at: int) -> None:
        """Keep who is here now, by connection: with this a life of the notes begins."""
        for start in range(0, len(viewers), BATCH) or (0,):
            named = [self.hidden(viewer) for viewer in viewers[start : start + BATCH]]
            self.add((Kind.HERE, at, named, start + BATCH < len(viewers)))

    @property
    def more(self) -> bool:
        """Whether a whole batch is waiting, or one could not be handed over."""
        return self._under_way is not None or len(self._kept) >= BATCH

    async def hand_over(self, recordings: Recordings, show: str, at: int) -> None:
        """Hand the next batch over, also an empty one: a sign of life. Raises `unavailable`: it goes out again."""
        if self._under_way is None:
            self._turn += 1
            if self.messages:
                cheered = (Kind.CHEERED, self.cheered_at, self.messages, self.reactions)
                self._kept.appendleft(PACK(cheered))
                self.messages = self.reactions = 0
            entries = [msgspec.Raw(self._kept.popleft()) for _ in range(min(BATCH, len(self._kept)))]
            self._under_way = PACK((self._process, self._life, self._turn, at, self.lost, entries))
        await recordings.hand_over(show, self._under_way)
        self._under_way = None


class Taps:
    """This process' part in all recordings. `run` looks and hands over for ever; `tap` is None while there is none.

    `people` gives who is in a show here, once for each connection; `told` hears of every change of `tap`.
    """

    def __init__(self, recordings: Recordings, clock: RedisClock) -> None:
        self.tap: Tap | None = None
        self.people: Callable[[str], list[str]] = lambda _show: []
        self.told: Callable[[Tap | None], None] = lambda _tap: None
        self._recordings = recordings
        self._clock = clock
        self._process = ids.new_gateway()
        self._lives = itertools.count(1)
        self._notes: dict[str, Notes] = {}
        self._look_at = 0.0

    async def run(self) -> None:
        """Look which shows are recorded, and hand over what there is, for ever."""
        while True:
            await self.look()
            await self.hand_over()
            await asyncio.sleep(LOOK_SECONDS if self.tap is None else HAND_OVER_SECONDS)

    async def look(self) -> None:
        """Begin and end notes as leases come and go, once a second; where nobody can say, known leases count."""
        if self.tap is not None and monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        try:
            leases = await self._recordings.leases()
        except Problem as problem:
            leases = {show: notes.lease for show, notes in self._notes.items()}
            if leases:
                log.warning("recordings.unavailable", reason=problem.detail)
        now = self._clock.now_ms()
        running = {show: lease for show, lease in leases.items() if lease.until > now}
        for show in self._notes.keys() - running.keys():
            self._end(show)
        for show, lease in running.items():
            self._go_on(show, lease)

    async def hand_over(self) -> None:
        """Hand over what waits; a show whose tape cannot be reached waits for the next round."""
        for show, notes in list(self._notes.items()):
            try:
                await notes.hand_over(self._recordings, show, self._clock.now_ms())
                while notes.more:
                    await notes.hand_over(self._recordings, show, self._clock.now_ms())
            except Problem as problem:
                log.warning("tape.unavailable", show=show, reason=problem.detail)

    async def leave(self) -> None:
        """Hand over, at the end of the process, what is left; raises nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self.hand_over()  # what was under way, and has no answer
                await self.hand_over()  # and the rest

    def _go_on(self, show: str, lease: Lease) -> None:
        notes = self._notes.get(show)
        if notes is not None and notes.lease.secret == lease.secret:
            notes.lease = lease
            return
        notes = self._notes[show] = Notes(self._process, next(self._lives), lease)
        if self.tap is None:
            self.tap = Tap(self._clock)
            self.told(self.tap)
        notes.here(self.people(show), self._clock.now_ms())
        self.tap.follow(show, notes)
        log.info("recording.began", show=show)

    def _end(self, show: str) -> None:
        del self._notes[show]
        if self.tap is not None:
            self.tap.follow(show, None)
        if not self._notes:
            self.tap = None
            self.told(None)
        log.info("recording.ended", show=show)
