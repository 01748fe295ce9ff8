"""Bytes in, websocket messages out: the reading side of RFC 6455, without any I/O.

Whole frames that are a message by themselves, pings and pongs among them, are read here: nearly everything that a
viewer ever sends. The rest (fragments, close frames, compressed messages, frames that the network cut, broken ones)
is lent to the websockets library, a frame at a time, so that every byte is read by exactly one of the two.

Memory: 72 bytes while nothing is under way, at most `max_bytes` of payload and one header otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was installed without a C compiler
    from websockets.utils import apply_mask

SHORT = 125  # bytes of payload whose number fits the header's second byte; control frames may have no more
TWO_BYTES = 126  # in the place of that number: it follows in two bytes; 127 says in eight
HEADER = 6  # bytes before a short payload: two, and four of mask
LONGEST_SHORT = HEADER + SHORT
LENGTH_BYTE = 0x80 - HEADER  # a short frame's second byte (mask bit, length) less the size of the whole frame
FRAMES = (
    64  # that the library reads of one message, or of what comes at once; with more the stream fails (1008)
)
FRAME_BYTES = 64  # one more frame is read for every so many of `max_bytes`


class Kind(IntEnum):
    """What was received; the numbers are RFC 6455's opcodes."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


TEXT, BINARY, CLOSE, PING, PONG = Kind

# The first byte of a frame that is a message by itself: the bit for its end, no reserved bit, the opcode.
WHOLE = {0x80 | kind: kind for kind in (TEXT, BINARY, PING, PONG)}
WHOLE_TEXT, WHOLE_BINARY = 0x80 | TEXT, 0x80 | BINARY

OPCODES = frozenset(Opcode)

Messages = list[tuple[Kind, bytes]]


class Parser:
    """One connection's incoming stream, from behind the handshake to its end.

    `max_bytes` bounds a message, inflated where it was compressed. With `deflate` the client may compress each
    message by itself (RFC 7692 without context takeover).
    """

    __slots__ = ("_deflate", "_max_bytes", "_pongs", "_unusual", "ended")

    def __init__(self, max_bytes: int, *, deflate: bool = False) -> None:
        if max_bytes < SHORT:
            raise ValueError(f"max_bytes is {max_bytes}, and a control frame may have {SHORT}")
        self._max_bytes = max_bytes
        self._deflate = deflate
        self._pongs = b""
        self._unusual: _Unusual | None = None
        self.ended = False  # by a close frame or a failure; what comes after it is discarded

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1005 if it gave none, or that of our failure: 1002, 1007, 1008, 1009."""
        return None if self._unusual is None else self._unusual.close_code

    @property
    def failed(self) -> bool:
        """Whether the stream was invalid."""
        return self._unusual is not None and self._unusual.failed

    def take_pongs(self) -> bytes:
        """Return, once, the answers to the pings that were received; they are due with the first of them."""
        pongs, self._pongs = self._pongs, b""
        return pongs

    def take_reply(self) -> bytes:
        """Return, once, what must be written behind the answers to what was received; nearly always empty.

        That is the pongs which were not taken, and at the end the echo of a close frame or the close frame of a
        failure: the last thing to be written, and nothing for who has sent a close frame already.
        """
        reply = self.take_pongs()
        if self._unusual is not None:
            reply += self._unusual.close_frame
            self._unusual.close_frame = b""
        return reply

    def feed(self, data: bytes) -> Messages:
        """Return what is complete with these bytes, in order.

        Text is valid UTF-8; a close frame's payload is its code and reason. What is invalid is not returned: it ends
        the stream.
        """
        # The commonest case, and worth a path of its own: one short frame and nothing else.
        size = len(data)
        if HEADER <= size <= LONGEST_SHORT and data[1] == size + LENGTH_BYTE and self._unusual is None:
            first = data[0]
            if first == WHOLE_BINARY:
                return [(BINARY, apply_mask(data[6:], data[2:6]))]
            if first == WHOLE_TEXT:
                payload = apply_mask(data[6:], data[2:6])
                if payload.isascii() or _is_utf8(payload):
                    return [(TEXT, payload)]
        return self._feed_any(data)

    def _feed_any(self, data: bytes) -> Messages:
        messages: Messages = []
        unusual = self._unusual
        if unusual is None:
            at = self._read_whole(data, 0, messages)
            if at == len(data):
                return messages
            data = data[at:]
            unusual = self._unusual = _Unusual(self._max_bytes, self._deflate)
        self._feed_unusual(unusual, data, messages)
        if unusual.is_over():
            self._unusual = None
        return messages

    def _read_whole(self, data: bytes, at: int, messages: Messages) -> int:
        """Read whole messages from `at` on; return where the first frame begins that is none."""
        end = len(data)
        pongs: list[bytes] = []
        while at + HEADER <= end:
            kind = WHOLE.get(data[at])
            length = data[at + 1] - 0x80
            if kind is None or length < 0:  # unusual or unmasked
                break
            body = at + HEADER
            if length > SHORT:
                if kind > CLOSE:
                    break
                width = 2 if length == TWO_BYTES else 8
                length = int.from_bytes(data[at + 2 : at + 2 + width])
                body += width
            stop = body + length
            if stop > end or length > self._max_bytes:
                break
            payload = apply_mask(data[body:stop], data[body - 4 : body])
            if kind is TEXT and not _is_utf8(payload):
                break
            if kind is PING:
                pongs += (bytes((0x80 | PONG, length)), payload)
            messages.append((kind, payload))
            at = stop
        if pongs:
            self._pongs += b"".join(pongs)
        return at

    def _feed_unusual(self, unusual: _Unusual, data: bytes, messages: Messages) -> None:
        """Go on from where the last bytes ended: in a header, in a frame, or between a message's fragments."""
        data = unusual.header + data
        at, end = 0, len(data)
        if unusual.kind is None:
            unusual.frames = 0
        while at < end and unusual.close_code is None:
            if not unusual.owed:
                if unusual.kind is None:
                    at = self._read_whole(data, at, messages)
                unusual.owed = _frame_size(data, at)
                if not unusual.owed:
                    break
            stop = min(at + unusual.owed, end)
            unusual.owed -= stop - at
            self._pongs += unusual.read(data[at:stop], messages)
            at = stop
        self.ended = unusual.close_code is not None
        unusual.header = b"" if self.ended else data[at:]


@dataclass(slots=True)
class _Unusual:
    """What the library reads, and what is pending between two feeds: part of a frame, an open message, the end."""

    max_bytes: int
    deflate: bool
    header: bytes = b""  # the start of a frame whose length is not known yet, less than 10 bytes
    owed: int = 0  # bytes to come of the frame that the library has begun
    kind: Kind | None = None  # of the fragmented message that is open
    message: bytearray = field(default_factory=bytearray)  # what has come of it
    library: Protocol | None = None  # in the midst of a frame or of a fragmented message
    frames: int = 0  # that the library has read of this message, or of what came at once
    close_code: int | None = None
    close_frame: bytes = b""
    failed: bool = False

    def is_over(self) -> bool:
        """Whether the stream stands between two messages, and nothing needs to be remembered."""
        return self.library is None and not self.header and self.close_code is None

    def read(self, part: bytes, messages: Messages) -> bytes:
        """Have a part of a frame, or all of it, read by the library; return the pong.

        The library sees a wrong header before the payload has come.
        """
        library = self.library = self.library or self._new_library()
        library.receive_data(part)
        for frame in library.events_received():
            if isinstance(frame, Frame):
                self._take(library, frame, messages)
        reply = b"".join(library.data_to_send())
        if library.close_sent is not None:
            self._end(library, reply)
            return b""
        if not self.owed and self.kind is None:
            # Made anew next time. That takes 4 of the 7 µs which a frame costs here, little for what is so rare, and
            # nothing is left of one message when the next one is read.
            self.library = None
        return reply

    def _new_library(self) -> Protocol:
        library = Protocol(Side.SERVER, state=State.OPEN, max_size=self.max_bytes)
        if self.deflate:
            library.extensions = [
                PerMessageDeflate(
                    remote_no_context_takeover=True,
                    local_no_context_takeover=True,
                    remote_max_window_bits=15,
                    local_max_window_bits=15,
                )
            ]
        return library

    def _take(self, library: Protocol, frame: Frame, messages: Messages) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.CLOSE:
            self.close_code = library.close_rcvd.code if library.close_rcvd else None
            messages.append((CLOSE, data))
            return
        self.frames += 1
        if self.frames > FRAMES + self.max_bytes // FRAME_BYTES:
            # An empty fragment costs its sender 6 bytes and us 3 µs, and no limit on messages ever sees it.
            library.fail(CloseCode.POLICY_VIOLATION, f"{self.frames} unusual frames")
        elif frame.opcode is Opcode.PING or frame.opcode is Opcode.PONG:
            messages.append((Kind(frame.opcode), data))
        else:
            self._take_fragment(library, frame, data, messages)

    def _take_fragment(self, library: Protocol, frame: Frame, data: bytes, messages: Messages) -> None:
        if frame.opcode is not Opcode.CONT:
            self.kind = Kind(frame.opcode)
        if not frame.fin or self.kind is None:
            self.message += data
            return
        kind, message = self.kind, bytes(self.message) + data
        self.kind = None
        self.message.clear()
        if len(message) > self.max_bytes:  # zlib keeps back up to 258 bytes that the library has not counted
            library.fail(CloseCode.MESSAGE_TOO_BIG, f"{len(message)} bytes, {self.max_bytes} allowed")
        elif kind is TEXT and not _is_utf8(message):
            library.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
        else:
            messages.append((kind, message))

    def _end(self, library: Protocol, close_frame: bytes) -> None:
        self.close_frame = close_frame
        if self.close_code is None and library.close_sent is not None:
            self.close_code = library.close_sent.code
            self.failed = True
        self.library = self.kind = None
        self.message.clear()


def _frame_size(data: bytes, at: int) -> int:
    """Return the size of the frame at `at`, header included; 0 while its length has not come.

    Of one that its first two bytes make invalid, not masked or of no known kind, they are all that is waited for.
    """
    if len(data) < at + 2:
        return 0
    if not data[at + 1] & 0x80 or data[at] & 0x0F not in OPCODES:
        return 2
    length = data[at + 1] & 0x7F
    width = {TWO_BYTES: 2, TWO_BYTES + 1: 8}.get(length, 0)
    body = at + 2 + width
    if len(data) < body:
        return 0
    if width:
        length = int.from_bytes(data[at + 2 : body])
    return body + 4 + length - at


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
