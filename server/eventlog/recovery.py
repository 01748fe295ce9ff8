"""Joining a show: one atomic look at the log that says what was missed, or gives the full picture.

The caller subscribes first and buffers; what this returns is true at exactly `offset`, so buffered events at or
below it are repeats and the first above it is `offset + 1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.errors import Code, Problem
from server.eventlog.stream import Entry
from server.store.answers import unpacked

if TYPE_CHECKING:
    from server.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Joined:
    """Where the log stood at the joining; either `missed` events (recovered) or a `snapshot`."""

    epoch: str
    offset: int
    server_time_at: int
    reservations: list[dict[str, Any]]
    missed: list[Entry]
    stocks: list[dict[str, Any]]  # the numbers of every drop where recovered: live numbers are not in the log
    snapshot: dict[str, Any] | None

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of every drop's numbers at the joining."""
        drops = self.snapshot["drops"] if self.snapshot else []
        shown = {drop["id"]: drop["revision"] for drop in drops}
        return shown | {stock["drop_id"]: stock["revision"] for stock in self.stocks}

    @property
    def recovered(self) -> bool:
        """Whether the viewer's place could be picked up."""
        return self.snapshot is None


async def join(scripts: Scripts, show: str, viewer: str, epoch: str, offset: int) -> Joined:
    """Look at a show for a viewer who knows the log up to (epoch, offset); an empty epoch means they know nothing.

    Raises `not-found` where the show is gone, `unavailable` where Redis cannot say.
    """
    reply = await scripts.run("show_join", {"show": show}, viewer=viewer, epoch=epoch, since=offset)
    answer = unpacked(reply[0])
    if answer["outcome"] == "not-found":
        raise Problem(Code.NOT_FOUND, f"There is no show {show[:64]!r}.")
    snapshot = answer.get("snapshot")
    if snapshot is not None:
        snapshot["pinned"] = unpacked(reply[1]) if reply[1] else []
        snapshot["drops"].sort(key=lambda drop: (drop["created_at"], drop["id"]))
    return Joined(
        epoch=answer["epoch"],
        offset=answer["offset"],
        server_time_at=answer["server_time_at"],
        reservations=answer["reservations"],
        stocks=answer.get("stocks", []),
        missed=[Entry(offset + number, packed) for number, packed in enumerate(reply[2:], start=1)],
        snapshot=snapshot,
    )
