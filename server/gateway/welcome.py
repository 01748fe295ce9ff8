"""The answer to a hello. What all joiners of a moment share is encoded once; what is one viewer's own is set in.

Both codecs let finished parts stand side by side in a map: msgpack after its header, JSON between commas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.ids import new_session
from server.protocol.codec import Codec, pack, unpack_event

if TYPE_CHECKING:
    from server.eventlog.recovery import Look, Own

FIXMAP = 0x80  # with the number of members, at most 15, it is a msgpack map's whole header
OWN = 2  # members of a snapshot that are the viewer's own


class Welcome:
    """The welcomes of those who joined with one look at the show."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._shared: dict[Codec, bytes] = {}

    def with_snapshot(self, codec: Codec, viewer: str, own: Own) -> bytes:
        """Return the welcome of somebody new: everything they need."""
        if codec not in self._shared:
            self._shared[codec] = members(codec, self.look.snapshot or {})
        count = len(self.look.snapshot or {}) + OWN
        snapshot = whole(codec, count, self._shared[codec], *owned(codec, own))
        fields = {"offset": self.look.offset, "recovered": False}
        return self._made(codec, viewer, fields, member(codec, "snapshot", snapshot))

    def with_missed(self, codec: Codec, viewer: str, offset: int, missed: int, own: Own) -> bytes:
        """Return the welcome of somebody who returned; the `missed` events up to `offset` follow it."""
        fields = {"offset": offset, "recovered": True, "missed": missed}
        return self._made(codec, viewer, fields, *owned(codec, own))

    def _made(self, codec: Codec, viewer: str, place: dict[str, Any], *more: bytes) -> bytes:
        fields = {
            "type": "welcome",
            "session": new_session(),
            "viewer": viewer,
            "epoch": self.look.epoch,
            "server_time_at": self.look.server_time_at,
            **place,
        }
        return whole(codec, len(fields) + len(more), members(codec, fields), *more)


def owned(codec: Codec, own: Own) -> tuple[bytes, bytes]:
    """Return the two members that are one viewer's own."""
    return (
        member(codec, "reservations", converted(codec, own.reservations)),
        member(codec, "waitlist", converted(codec, own.places)),
    )


def members(codec: Codec, fields: dict[str, Any]) -> bytes:
    """Return the encoded members of a map of at most 15 fields, without what opens and closes it."""
    encoded = codec.encode(fields)
    return encoded[1:] if codec is Codec.MSGPACK else encoded[1:-1]


def member(codec: Codec, name: str, value: bytes) -> bytes:
    """Return one member whose value is encoded in this codec already."""
    return pack(name) + value if codec is Codec.MSGPACK else f'"{name}":'.encode() + value


def converted(codec: Codec, packed: bytes) -> bytes:
    """Return in this codec what Lua packed."""
    return packed if codec is Codec.MSGPACK else codec.encode(unpack_event(packed))


def whole(codec: Codec, count: int, *parts: bytes) -> bytes:
    """Return a map of `count` members, at most 15, out of its parts."""
    if codec is Codec.MSGPACK:
        return bytes((FIXMAP | count,)) + b"".join(parts)
    return b"{" + b",".join(parts) + b"}"
