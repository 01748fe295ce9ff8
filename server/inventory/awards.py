"""Awards looked up: when a reservation got its units, and as which award of its drop, from the log of awards.

The log's ids are the milliseconds in which they were written, and a hold's deadline says when it began: the note is
found without reading the log from its start. A claim lives for the provider's time, and that is a setting: where it was
another one then, the log is read from the drop's opening on, up to the deadline and `MOST` notes far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server import ids
from server.inventory.chain import AWARDS, Note
from server.inventory.facts import since
from server.receipts import Receipt
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis

WHAT = "reading the award"
NOTES = (
    256  # that may have been written in the same millisecond, or after it where the store's clock stood still
)
LAST = 2**64 - 1  # of the ids of one millisecond
MOST = 32_768  # notes that are read from the opening on; an award behind so many is not found: 404

_NOTE = msgspec.msgpack.Decoder(Note)


class Awards:
    """The door to single awards; `claim_ms` is how long a claim lives now: the provider's time."""

    def __init__(self, client: Redis, claim_ms: int) -> None:
        self._client = client
        self._claim_ms = claim_ms

    async def find(self, reservation: str) -> Receipt | None:
        """Return what a receipt says of the award that made a reservation, or None where there is none."""
        show = ids.show_of(reservation, "rs")
        if show is None:
            return None
        own = ids.own(reservation)
        record = await reads.field(self._client, key("holds", show=show), own, WHAT)
        if record is None:
            return None
        number, viewer, quantity, _state, _price, expires_at, rank, *_ = unpacked(record)
        name = await reads.field(self._client, key("numbers", show=show), str(number), WHAT) or b""
        terms: dict[str, Any] = unpacked(
            await reads.field(self._client, key("drops", show=show), name.decode(), WHAT) or b""
        )
        lives = self._claim_ms if terms["mode"] == "first_paid" else terms["hold_seconds"] * 1000
        at = await self._moment(show, own, expires_at - lives, NOTES)
        if at is None and terms["mode"] == "first_paid":
            at = await self._moment(show, own, terms["opened_at"], MOST, upto=str(expires_at))
        if at is None:
            return None
        return Receipt(
            sub=viewer,
            show=show,
            drop=name.decode(),
            reservation=reservation,
            outcome="held",
            quantity=quantity,
            rank=rank,
            at=at,
            after_opening_ms=since(terms.get("opened_at", 0), at),
        )

    async def _moment(self, show: str, own: str, since_at: int, most: int, upto: str = "+") -> int | None:
        """Return when the log says that a reservation was awarded: among `most` notes from `since_at` (Unix ms) on."""
        last = f"{since_at - 1}-{LAST}"
        for _ in range(0, most, NOTES):
            rows = await reads.stream_behind(
                self._client, key("awards", show=show), last, NOTES, WHAT, upto=upto
            )
            for _id, fields in rows:
                note = _NOTE.decode(fields[b"n"])
                if note.kind in AWARDS and own in note.reservations:
                    return note.at
            if len(rows) < NOTES:
                return None
            last = rows[-1][0].decode()
        return None
