"""Reservations that lapsed, for those who are to be told of them: kept by the step that let them go, until recorded.

What is read stays until it is dropped, so nothing is lost where its reader dies in between: it is read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.reads import StreamRow
    from server.store.redis import Redis

LIMIT = (
    2  # notes in one reading, each of up to 200 reservations: orders wait for the transaction that takes them
)


@dataclass(frozen=True, slots=True)
class Lapse:
    """A reservation that lapsed at a moment (Unix ms), as the contract shows it, and whose it was."""

    viewer: str
    reservation: dict[str, Any]
    at: int


@dataclass(frozen=True, slots=True)
class Lapses:
    """The oldest of a show that nobody has recorded; `more` where there may be others."""

    show: str
    found: list[Lapse]
    rows: list[StreamRow]

    @property
    def more(self) -> bool:
        """Whether this was a whole reading."""
        return len(self.rows) == LIMIT


async def read(client: Redis, show: str) -> Lapses:
    """Return what lapsed in a show and was not dropped yet. Raises `unavailable`."""
    rows = await reads.stream_behind(client, key("lapsed", show=show), "", LIMIT, "reading what lapsed")
    notes = [unpacked(fields[b"n"]) for _id, fields in rows]
    found = [Lapse(viewer, view, at) for at, views in notes for viewer, view in views]
    return Lapses(show, found, rows)


async def drop(client: Redis, lapses: Lapses) -> None:
    """Let go of what was read: it is recorded. Raises `unavailable`; then it is read again."""
    await reads.stream_drop(client, key("lapsed", show=lapses.show), lapses.rows, "dropping what lapsed")
