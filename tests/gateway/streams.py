"""Websocket streams as clients send them, right and wrong, and what the websockets library makes of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

from hypothesis import strategies as some
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import apply_mask

from server.gateway.parser import Kind, Parser

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONT = 0
MAX_BYTES = 70_000  # room for a payload of which only the 64-bit length can tell
LIMIT = 300  # room for little, where too much is the matter

Messages = list[tuple[Kind, bytes]]


def frame(
    first: int, payload: bytes = b"", *, mask: bytes | None = b"\x01\x80\x00\xff", width: int = 0
) -> bytes:
    """Return a frame: its first byte as given, the length in `width` bytes (0, 2, 8) or more where it needs more."""
    size = len(payload)
    width = max(width, 0 if size < 126 else 2 if size < 65536 else 8)
    second = (0 if mask is None else 0x80) | {0: size, 2: 126, 8: 127}[width]
    body = payload if mask is None else mask + apply_mask(payload, mask)
    return bytes((first, second)) + (size.to_bytes(width) if width else b"") + body


def deflated(payload: bytes) -> bytes:
    """Return a message as RFC 7692 compresses it, section 7.2.1."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Frames(list[bytes]):
    """A stream by its frames; a failing test shows how each begins."""

    def __repr__(self) -> str:
        return f"Frames({[f'{frame[:20].hex()} ({len(frame)} bytes)' for frame in self]})"


@dataclass
class Reading:
    """What came of a stream."""

    messages: Messages = field(default_factory=list)
    reply: bytes = b""
    close_code: int | None = None
    failed: bool = False


def read(parser: Parser, parts: list[bytes], max_bytes: int) -> Reading:
    """Feed the parts, and see after each that no more is kept than may be."""
    reading = Reading()
    for part in parts:
        reading.messages += parser.feed(part)
        reading.reply += parser.take_reply()
        assert kept(parser) <= max_bytes + 14, "more is kept than a message and a header"
        assert parser.ended is (parser.close_code is not None)
    reading.close_code, reading.failed = parser.close_code, parser.failed
    return reading


def kept(parser: Parser) -> int:
    """Return how many of the bytes that were fed the parser holds."""
    unusual = parser._unusual
    if unusual is None:
        return 0
    lent = 0 if unusual.library is None else len(unusual.library.reader.buffer)
    return len(unusual.header) + len(unusual.message) + lent


def read_by_library(frames: list[bytes], max_bytes: int, *, deflate: bool) -> Reading:
    """Have it all read by the library, whose messages are put together and checked as uvicorn does it."""
    library = Protocol(Side.SERVER, state=State.OPEN, max_size=max_bytes)
    if deflate:
        library.extensions = [PerMessageDeflate(True, True, 15, 15)]
    reading, kind, pieces = Reading(), Kind.TEXT, b""
    for part in frames:
        library.receive_data(part)
        for event in library.events_received():
            assert isinstance(event, Frame)
            if event.opcode in {Opcode.CLOSE, Opcode.PING, Opcode.PONG}:
                reading.messages.append((Kind(event.opcode), bytes(event.data)))
                continue
            kind = kind if event.opcode is Opcode.CONT else Kind(event.opcode)
            pieces += bytes(event.data)
            if event.fin and kind is Kind.TEXT and not is_utf8(pieces):
                library.fail(1007, "text is not UTF-8")
            elif event.fin:
                reading.messages.append((kind, pieces))
                pieces = b""
        reading.reply += b"".join(library.data_to_send())
        if library.close_sent is not None:
            reading.close_code = library.close_sent.code
            reading.failed = library.close_rcvd is not library.close_sent
            break
    return reading


def is_utf8(data: bytes) -> bool:
    """Whether the data is text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def cut(frames: list[bytes], places: list[tuple[float, int]]) -> list[bytes]:
    """Return the stream in other pieces: cut at the given bytes of the frames that lie that far through it (0 to 1)."""
    stream = b"".join(frames)
    starts = list(accumulate(map(len, frames), initial=0))
    at = {starts[int(share * len(frames))] + byte for share, byte in places}
    ends = sorted({0, len(stream)} | {place for place in at if place < len(stream)})
    return [stream[start:stop] for start, stop in pairwise(ends)]


# Strategies. A step is a list of frames that belong together: a message in pieces with what came in between.

masks = some.binary(min_size=4, max_size=4)
widths = some.sampled_from([0, 0, 0, 2, 8])
places = some.lists(some.tuples(some.floats(0, 1), some.integers(0, 140)), max_size=12)
sizes = some.sampled_from([0, 1, 5, 40, 124, 125, 126, 127, 300])
great_sizes = sizes | some.sampled_from([65535, 65536])
characters = some.sampled_from(["a", "ß", "€", "𝄞", "\0"])


@some.composite
def binaries(draw: some.DrawFn, size: some.SearchStrategy[int] = great_sizes) -> bytes:
    """Payloads of every length that is a border, without the cost of drawing each byte."""
    length = draw(size)
    return (draw(some.binary(min_size=1, max_size=9)) * (length + 1))[:length]


@some.composite
def texts(draw: some.DrawFn, size: some.SearchStrategy[int] = great_sizes) -> bytes:
    """Text with characters of one to four bytes."""
    text = "".join(draw(some.lists(characters, min_size=1, max_size=5))).encode()
    return text * (draw(size) // len(text))


@some.composite
def messages(draw: some.DrawFn) -> tuple[Kind, bytes]:
    """Messages of both kinds."""
    if draw(some.booleans()):
        return Kind.TEXT, draw(texts())
    return Kind.BINARY, draw(binaries())


@some.composite
def controls(draw: some.DrawFn) -> list[bytes]:
    """Pings and pongs."""
    opcode = draw(some.sampled_from([Kind.PING, Kind.PONG]))
    payload = draw(some.binary(max_size=8) | some.just(b"\xff" * 125))
    return [frame(FIN | opcode, payload, mask=draw(masks), width=draw(widths))]


@some.composite
def wholes(draw: some.DrawFn, *, deflate: bool) -> list[bytes]:
    """One message in one frame."""
    kind, payload = draw(messages())
    if deflate and draw(some.booleans()):
        return [frame(FIN | RSV1 | kind, deflated(payload), mask=draw(masks), width=draw(widths))]
    return [frame(FIN | kind, payload, mask=draw(masks), width=draw(widths))]


@some.composite
def fragmented(draw: some.DrawFn, *, deflate: bool) -> list[bytes]:
    """One message in up to seven fragments, cut anywhere, with control frames in between."""
    kind, payload = draw(messages())
    compressed = deflate and draw(some.booleans())
    sent = deflated(payload) if compressed else payload
    ends = sorted(draw(some.lists(some.integers(0, len(sent)), max_size=6)))
    pieces = [sent[start:stop] for start, stop in pairwise([0, *ends, len(sent)])]
    first = kind | (RSV1 if compressed else 0)
    frames = []
    for piece in pieces[:-1]:
        frames += [
            frame(first, piece, mask=draw(masks), width=draw(widths)),
            *draw(some.just([]) | controls()),
        ]
        first = CONT
    return [*frames, frame(FIN | first, pieces[-1], mask=draw(masks))]


def closes() -> some.SearchStrategy[list[bytes]]:
    """End a stream in any valid way: not at all, or by a close frame."""
    codes = some.sampled_from([1000, 1001, 1011, 3000, 4999])
    reasons = some.sampled_from(["", "bye", "ünïcode", "r" * 123])
    full = some.builds(lambda code, reason: Close(code, reason).serialize(), codes, reasons)
    return some.just([]) | (some.just(b"") | full).map(lambda payload: [frame(FIN | Kind.CLOSE, payload)])


def streams(*, deflate: bool) -> some.SearchStrategy[Frames]:
    """Streams that are valid, as lists of frames."""
    step = wholes(deflate=deflate) | fragmented(deflate=deflate) | controls()
    return some.builds(
        lambda steps, end: Frames([*chain(*steps), *end]), some.lists(step, max_size=8), closes()
    )
