"""The show's log as it stands in Redis: where it is, what came after a place, and its recent past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from server.errors import Problem
from server.store import reads
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.reads import StreamRow
    from server.store.redis import Redis

READ_LIMIT = 1000  # events per read; a reader that is further behind reads again
PAGE = 64  # events per step backwards: a step may go beyond the bound in bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a log: its epoch and the offset of the newest event."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log: its offset and its msgpack bytes, as the script packed them."""

    offset: int
    packed: bytes

    @property
    def at(self) -> int | None:
        """When it was written: Unix ms of the Redis clock, None where it does not say. Reads nothing else of it."""
        try:
            return _STAMP.decode(self.packed).at
        except msgspec.DecodeError:
            return None


class _Stamp(msgspec.Struct):
    at: int


_STAMP = msgspec.msgpack.Decoder(_Stamp)


async def tops(client: Redis, shows: list[str]) -> list[Place | Problem | None]:
    """Return where the shows' logs stand now, None where a show is gone; one round trip for all.

    Where only some cannot be asked now, because a node of a cluster is away, theirs is the `unavailable` Problem.
    """
    rows = await reads.several_of_each(
        client, [key("show", show=show) for show in shows], ["epoch", "offset"], "reading the logs' places"
    )
    return [row if isinstance(row, Problem) else _place(*row) for row in rows]


async def top(client: Redis, show: str) -> Place | None:
    """Return where the log stands now, or None where the show is gone."""
    row = await reads.several(client, key("show", show=show), ["epoch", "offset"], "reading the log's place")
    return _place(*row)


async def after(client: Redis, show: str, offset: int) -> list[Entry]:
    """Return up to `READ_LIMIT` events after an offset, oldest first; a hole at the start means it was trimmed."""
    rows = await reads.stream_after(client, key("log", show=show), offset, READ_LIMIT, "reading the log")
    return [_entry(row) for row in rows]


async def tail(client: Redis, show: str, most_bytes: int) -> list[Entry]:
    """Return the log's newest events, oldest first and without a hole: as many as `most_bytes` hold.

    At most `READ_LIMIT`. Events that are written meanwhile are not among them.
    """
    newest_first: list[Entry] = []
    room = most_bytes
    while True:
        before = newest_first[-1].offset if newest_first else None
        rows = await reads.stream_before(client, key("log", show=show), before, PAGE, "reading the log")
        for entry in map(_entry, rows):
            room -= len(entry.packed)
            unbroken = before is None or entry.offset == before - 1
            if room < 0 or not unbroken or len(newest_first) == READ_LIMIT:
                return newest_first[::-1]
            newest_first.append(entry)
            before = entry.offset
        if len(rows) < PAGE:
            return newest_first[::-1]


def _place(epoch: bytes | None, offset: bytes | None) -> Place | None:
    return Place(epoch.decode(), int(offset)) if epoch is not None and offset is not None else None


def _entry(row: StreamRow) -> Entry:
    name, fields = row
    return Entry(int(name.partition(b"-")[0]), fields[b"e"])
