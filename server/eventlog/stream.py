"""The show's log as it stands in Redis: where it is, and what came after a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.store import reads
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis

READ_LIMIT = 1000  # events per read; a reader that is further behind reads again


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


async def top(client: Redis, show: str) -> Place | None:
    """Return where the log stands now, or None where the show is gone."""
    place = await reads.several(
        client, key("show", show=show), ["epoch", "offset"], "reading the log's place"
    )
    epoch, offset = place
    return Place(epoch.decode(), int(offset)) if epoch is not None and offset is not None else None


async def after(client: Redis, show: str, offset: int) -> list[Entry]:
    """Return up to `READ_LIMIT` events after an offset, oldest first; a hole at the start means it was trimmed."""
    rows = await reads.stream_after(client, key("log", show=show), offset, READ_LIMIT, "reading the log")
    return [Entry(int(entry.partition(b"-")[0]), fields[b"e"]) for entry, fields in rows]
