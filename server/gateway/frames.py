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
    """One message for many viewers. `offset` is its place in the log, 0 for live numbers and private messages."""

    __slots__ = ("_json", "offset", "packed")

    def __init__(self, packed: bytes, offset: int = 0) -> None:
        self.packed = packed
        self.offset = offset
        self._json: bytes | None = None

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
