"""Who records which show, and the way of what is recorded: a lease, and a tape that processes write batches on.

A recorder has a show for as long as it renews its lease; processes look once a second which shows are recorded. What
they hand over stands on the show's tape until the recorder has read it, at most `KEEP_MS`: a recorder that died costs
nothing more once its lease and the tape have gone by themselves.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.errors import Code, Problem
from server.store import reads
from server.store.answers import ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis
    from server.store.scripts import Scripts

LEASE_MS = 5_000
KEEP_MS = 30_000
MOST_SHOWS = 16  # recorded at the same time
MOST_BATCHES = 1_000  # on a tape; beyond, the oldest are lost, and the recorder sees that by their turns
READ_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when a show is recorded (Unix ms of the store's clock), and the secret that its viewers are hidden by."""

    until: int
    secret: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What a process hands over at once: its `turn`-th since it took notice of the recording, in its `life`-th notice.

    `entries` are lists as `server.shows.tap` makes them; `lost` counts those that found no room, so far.
    """

    process: str
    life: int
    turn: int
    at: int
    lost: int
    entries: list[Any]


class Recordings:
    """The door to leases and tapes. Everything raises `unavailable` where the store cannot say."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self._client = client
        self._scripts = scripts

    async def lease(self, show: str, secret: str, lease_ms: int = LEASE_MS) -> tuple[int, bool]:
        """Have a show for so long from now on; return that now, and whether it was had without a break until now.

        Raises `in-progress` where somebody else records it, `limit-reached` where too many shows are recorded.
        """
        answer = await self._ask(show, secret, lease_ms)
        match answer["outcome"]:
            case "taken":
                raise Problem(Code.IN_PROGRESS, "This show is being recorded by somebody else.")
            case "limit-reached":
                limit = answer["limit"]
                raise Problem(Code.LIMIT_REACHED, f"{limit} shows are being recorded; no more are taken.")
            case _:
                return answer["now"], answer["running"]

    async def end(self, show: str, secret: str) -> bool:
        """Give a show up; False where it was somebody else's by then."""
        return bool((await self._ask(show, secret, 0))["outcome"] == "ended")

    async def leases(self) -> dict[str, Lease]:
        """Return the leases by show, also those that are over."""
        found = await reads.fields(self._client, key("recordings"), "looking for recordings")
        return {show.decode(): Lease(*unpacked(packed)) for show, packed in found.items()}

    async def hand_over(self, show: str, batch: bytes) -> None:
        """Put a packed batch on a show's tape."""
        ids = {"show": show}
        await ask(self._scripts, "tape_add", ids, batch=batch, most=MOST_BATCHES, keep_ms=KEEP_MS)

    async def fetch(self, show: str, behind: str) -> tuple[list[Batch], str]:
        """Return the next batches of a show's tape, up to `READ_LIMIT`, and the place behind which to go on.

        What was read is taken off the tape; where that fails, its bound does it.
        """
        tape = key("tape", show=show)
        rows = await reads.stream_behind(self._client, tape, behind, READ_LIMIT, "reading the tape")
        with suppress(Problem):
            await reads.stream_drop(self._client, tape, rows, "clearing the tape")
        place = rows[-1][0].decode() if rows else behind
        return [Batch(*unpacked(fields[b"b"])) for _name, fields in rows], place

    async def _ask(self, show: str, secret: str, lease_ms: int) -> dict[str, Any]:
        return await ask(
            self._scripts,
            "recording_lease",
            {},
            show=show,
            secret=secret,
            lease_ms=lease_ms,
            most=MOST_SHOWS,
        )
