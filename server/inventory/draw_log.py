"""The log of a draw as everybody may read it: the entries in order, and once it is drawn the winners and the seed.

It is read from the award log, so it names no viewer: an entry is the own part of the reservation that it may become,
and whoever entered knows theirs by its number, which is the position that they were told. The whole log is one answer,
because only the whole can be checked. Its bound is 8 entries (`batch_join_refusal.lua`) for each viewer.

Reading it is work, and all awards of the show are in its way. So a process reads one draw once at a time, keeps what it
read of an open one for a second, and what cannot change any more for longer. A log is that of one moment: head and
newest note are read together, and nothing behind that note counts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, UnsetType

from server.clock import monotonic
from server.errors import Code, Problem
from server.inventory.chain import Note
from server.protocol.shapes import Count, DropStatus, Quantity, Shape
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis

NOTES_PER_READ = 50  # of up to 256 entries each: a few milliseconds of ours, then others have their turn
OPEN_SECONDS = 1.0  # how long an open draw's log is kept
KEPT_SECONDS = 600.0  # how long a drawn one is kept, where no others take its place
MOST_KEPT = 4  # logs; one of 100,000 entries has about 6 MB
UNITS, BACKLOG = 3, 12  # places in a drop's row of numbers

_NOTE = msgspec.msgpack.Decoder(Note)


class Entry(Shape, gc=False):  # there are many, and the collector would go through all of them
    """Who entered as number `n`, for so many units; `left` where they gave it up, once entry number `left` was in."""

    n: Count
    entry: str
    quantity: Quantity
    left: Count | UnsetType = UNSET


class Winner(Shape):
    """An entry that got units, which may be fewer than it asked for."""

    entry: str
    quantity: Quantity


class Draw(Shape):
    """A draw: `units` for those who entered. `drawn` once all who won have theirs; the seed is told at the closing.

    `limits` where an entry may get less than its turn would give it, because of what its viewer has of other drops or
    what else its network address got: only the server knows that.
    """

    drop: str
    status: DropStatus
    units: Count
    drawn: bool
    limits: bool
    entries: list[Entry]
    winners: list[Winner]
    seed_hash: str | UnsetType = UNSET
    seed: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Kept:
    """A log as JSON, and until when it is good (monotonic seconds)."""

    log: msgspec.Raw
    state: tuple[str, bool]  # the drop's status, and whether it was drawn
    until: float


class Draws:
    """The door to the logs of draws."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._kept: dict[str, Kept] = {}
        self._reading: WeakValueDictionary[str, asyncio.Lock] = (
            WeakValueDictionary()
        )  # by drop, while it is read

    async def published(self, show: str, drop: str) -> msgspec.Raw:
        """Return a draw's log, a `Draw` as JSON; while it is open, its entries are up to a second old.

        Raises `not-found`, and `wrong-state` where the drop is no draw.
        """
        lock = self._reading.setdefault(drop, asyncio.Lock())
        async with lock:
            draw, number, newest = await self._head(show, drop)
            state, known = (draw.status, draw.drawn), self._kept.pop(drop, None)
            if known is None or known.state != state or known.until <= monotonic():
                await self._add_notes(draw, show, number, newest)
                until = monotonic() + (KEPT_SECONDS if draw.drawn else OPEN_SECONDS)
                known = Kept(msgspec.Raw(msgspec.json.encode(draw)), state, until)
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[drop] = known
            return known.log

    async def _head(self, show: str, drop: str) -> tuple[Draw, int, str]:
        """Return the log without its notes, the drop's number in the show, and the award log's newest id then."""
        with reaching("reading the draw"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hget(key("drops", show=show), drop)
                pipe.hget(key("stock", show=show), drop)
                pipe.hget(key("show", show=show), "limit_per_viewer")
                pipe.xrevrange(key("awards", show=show), count=1)
                packed, stock, limit, newest = await pipe.execute()
        if packed is None:
            raise Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")
        terms, row = unpacked(packed), unpacked(stock)
        if terms["mode"] != "draw":
            raise Problem(Code.WRONG_STATE, f"This drop is no draw, its mode is {terms['mode']}.")
        draw = Draw(
            drop=drop,
            status=terms["status"],
            units=row[UNITS],  # all of them: none is held or sold before, and none comes after
            drawn="seed" in terms and row[BACKLOG] == 0,
            limits=limit is not None or "limit_per_address" in terms,
            entries=[],
            winners=[],
            seed_hash=terms.get("seed_hash", UNSET),
            seed=terms.get("seed", UNSET),
        )
        return draw, terms["number"], newest[0][0].decode() if newest else "0-0"

    async def _add_notes(self, draw: Draw, show: str, number: int, upto: str) -> None:
        """Add what the award log has of the drop with this number, up to the note of the id `upto`."""
        alive: dict[str, Entry] = {}
        last = ""
        while True:
            rows = await reads.stream_behind(
                self._client,
                key("awards", show=show),
                last,
                NOTES_PER_READ,
                "reading the award log",
                upto=upto,
            )
            for _id, fields in rows:
                note = _NOTE.decode(fields[b"n"])
                if note.number == number:
                    _add(draw, note, alive)
            if len(rows) < NOTES_PER_READ:
                return
            last = rows[-1][0].decode()


def _add(draw: Draw, note: Note, alive: dict[str, Entry]) -> None:
    pairs: Any = zip(note.reservations, note.units, strict=False)
    if note.kind == "entered":
        for n, (own, quantity) in enumerate(pairs, note.first):
            alive[own] = Entry(n=n, entry=own, quantity=quantity)
            draw.entries.append(alive[own])
    elif note.kind == "left":
        for own in note.reservations:
            alive.pop(own).left = len(draw.entries)
    else:
        draw.winners += [Winner(entry=own, quantity=quantity) for own, quantity in pairs]
