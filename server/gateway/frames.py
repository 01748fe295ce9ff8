"""Messages in the form that leaves: websocket frames, built once per format and shared by all viewers of that format.

What Lua packed goes to msgpack viewers as it is; JSON is made from it at most once, when the first JSON viewer needs
it, and so is the compressed form. A server's frames are not masked (RFC 6455 section 5.1), so one is like another.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING

from server.protocol.codec import Codec, unpack_event

if TYPE_CHECKING:
    from server.protocol.events import Message

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88  # first bytes of whole frames: FIN and the opcode
COMPRESSED = 0x40  # RSV1 of permessage-deflate, RFC 7692 section 6
PING = b"\x89\x00"
SHORT, MEDIUM = 126, 1 << 16  # payloads below fit a 7-bit, a 16-bit length

DEFLATE_FROM = 128  # bytes; smaller payloads hardly shrink
DEFLATE_LEVEL = 6
SHARED_WINDOW = zlib.MAX_WBITS  # of compressed frames, in bits
DEFLATE_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1: left away by who sends

_MEDIUM_HEAD = struct.Struct("!BBH").pack


class Format(IntEnum):
    """What a connection agreed to: its codec, and whether frames may be compressed."""

    MSGPACK = 0
    JSON = 1
    MSGPACK_DEFLATE = 2
    JSON_DEFLATE = 3

    @classmethod
    def of(cls, codec: Codec, *, deflate: bool) -> Format:
        """Return the format of a codec with or without compression."""
        return cls((0 if codec is Codec.MSGPACK else 1) + (2 if deflate else 0))


CODECS = (Codec.MSGPACK, Codec.JSON, Codec.MSGPACK, Codec.JSON)  # by format
PLAIN = (BINARY, TEXT, BINARY, TEXT)  # first byte of an uncompressed frame, by format


def frame(first: int, payload: bytes) -> bytes:
    """Return a whole frame with this first byte."""
    length = len(payload)
    if length < SHORT:
        return bytes((first, length)) + payload
    if length < MEDIUM:
        return _MEDIUM_HEAD(first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def message_frame(payload: bytes, form: Format) -> bytes:
    """Return the frame of one message for one viewer; it is not compressed, which would be paid for by that one."""
    return frame(PLAIN[form], payload)


class Shared:
    """One message for many viewers.

    `offset` is its place in the log, 0 for live numbers and private messages; `name` tells live numbers apart: of
    two with the same name only the newer one counts. `heard_at` is when a live number came, in monotonic seconds.
    """

    __slots__ = ("_frames", "_message", "heard_at", "name", "offset", "packed")

    def __init__(self, packed: bytes, offset: int = 0, name: str = "") -> None:
        self.packed = packed
        self.offset = offset
        self.name = name
        self.heard_at = 0.0
        self._message: Message | None = None
        self._frames: list[bytes | None] = [None] * len(Format)

    @property
    def message(self) -> Message:
        """The message as a map."""
        if self._message is None:
            self._message = unpack_event(self.packed)
        return self._message

    def frame(self, form: Format) -> bytes:
        """Return the message's frame, ready to be written."""
        made = self._frames[form]
        if made is None:
            made = self._frames[form] = self._made(form)
        return made

    def _made(self, form: Format) -> bytes:
        if form >= Format.MSGPACK_DEFLATE:
            return deflated(self.frame(Format(form - Format.MSGPACK_DEFLATE)), self._payload(CODECS[form]))
        return message_frame(self._payload(CODECS[form]), form)

    def _payload(self, codec: Codec) -> bytes:
        return self.packed if codec is Codec.MSGPACK else codec.encode(self.message)


def deflated(plain: bytes, payload: bytes) -> bytes:
    """Return the compressed form of a frame, or the frame as it is where that is not shorter.

    Without context takeover (RFC 7692 section 7.1.1) every message stands for itself, so one result serves all.
    """
    if len(payload) < DEFLATE_FROM:
        return plain
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -SHARED_WINDOW)
    body = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    made = frame(plain[0] | COMPRESSED, body.removesuffix(DEFLATE_TAIL))
    return made if len(made) < len(plain) else plain
