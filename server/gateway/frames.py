"""A message in the form that leaves: built once per codec, shared by all viewers that get it.

What Lua packed goes to msgpack viewers as it is; JSON is made from it at most once, when the first JSON viewer
needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.protocol.codec import Codec, unpack_event

if TYPE_CHECKING:
    from server.protocol.events import Message


class Frame:
    """One message for many viewers.

    `offset` is its place in the log, 0 for live numbers and private messages; `drop` is named by stock numbers only.
    """

    __slots__ = ("_json", "_revision", "drop", "offset", "packed")

    def __init__(self, packed: bytes, offset: int = 0, drop: str = "") -> None:
        self.packed = packed
        self.offset = offset
        self.drop = drop
        self._json: bytes | None = None
        self._revision: int | None = None

    @property
    def revision(self) -> int:
        """The revision of a drop's numbers."""
        if self._revision is None:
            self._revision = int(self.message()["revision"])
        return self._revision

    def encoded(self, codec: Codec) -> bytes:
        """Return the message's bytes for a codec."""
        if codec is Codec.MSGPACK:
            return self.packed
        if self._json is None:
            self._json = codec.encode(self.message())
        return self._json

    def message(self) -> Message:
        """Return the message as a map."""
        return unpack_event(self.packed)
