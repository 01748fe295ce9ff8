"""The websocket parser: it reads a stream as the websockets library does, wherever the network cuts it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from server.gateway.parser import Kind, Parser
from tests.fuzz.mutation import changed
from tests.gateway.streams import CONT, FIN, RSV1, deflated, frame, is_utf8, read, read_by_library

if TYPE_CHECKING:
    from tests.gateway.streams import Reading

MOST_BYTES = 6_000
LIMITS = (125, 300, 4_000)
OURS = {1008, 1009}  # codes where we are stricter than the library: floods, and what zlib keeps back
MASK = b"mask"
WORDS = (
    frame(FIN | Kind.TEXT, b"text", mask=MASK),
    frame(FIN | Kind.BINARY, b"\x81\xa4type\xa4ping", mask=MASK),
    frame(FIN | Kind.BINARY, b"x" * 126, mask=MASK),
    frame(FIN | Kind.TEXT, "ß€𝄞".encode(), mask=MASK, width=8),
    frame(FIN | Kind.PING, b"?", mask=MASK),
    frame(FIN | Kind.PONG, b"", mask=MASK),
    frame(FIN | Kind.CLOSE, b"\x03\xe8bye", mask=MASK),
    frame(FIN | Kind.CLOSE, b"\x03\xed", mask=MASK),
    frame(Kind.TEXT, b"\xe2\x82", mask=MASK),
    frame(CONT, b"\xac", mask=MASK),
    frame(FIN | CONT, b"", mask=MASK),
    frame(FIN | RSV1 | Kind.TEXT, deflated(b"a" * 400), mask=MASK),
    frame(RSV1 | Kind.BINARY, deflated(b"ab" * 90)[:7], mask=MASK),
    frame(FIN | CONT, deflated(b"ab" * 90)[7:], mask=MASK),
    b"\x82\xff\x00\x00\x00\x00\x00\x00\x01\x2d",
    b"\x89\xfe",
)


class Streams:
    """An input's first byte chooses limit and compression, its second where the stream behind them is cut."""

    make_parser: type[Parser] = Parser  # a control has another one

    def first(self) -> list[bytes]:
        """Return streams with and without compression."""
        return [bytes((options, cuts)) + b"".join(WORDS[:9]) for options in range(6) for cuts in (0, 7)] + [
            bytes((number % 6, number)) + word for number, word in enumerate(WORDS)
        ]

    def make(self, chance: Random, kept: list[bytes]) -> bytes:
        """Return a changed stream."""
        return changed(chance, kept, WORDS, MOST_BYTES)

    def look(self, given: bytes) -> str:
        """Read it in one piece, cut, and by the library: the same comes of it."""
        options, cuts, stream = _taken_apart(given)
        limit, deflate = LIMITS[options % len(LIMITS)], bool(options & 8)
        whole = read(self.make_parser(limit, deflate=deflate), [stream], limit)
        cut = read(self.make_parser(limit, deflate=deflate), _cut(stream, cuts), limit)
        _check(whole, limit)
        if not {whole.close_code, cut.close_code} & OURS:
            assert whole == cut, "cut elsewhere it is read otherwise"
            by_library = read_by_library(_cut(stream, 0), limit, deflate=deflate)
            assert whole == by_library, "the library reads it otherwise"
        kinds = "".join(sorted({kind.name[:2] for kind, _ in whole.messages}))
        return f"{kinds} {whole.close_code} {deflate} {min(len(whole.messages), 3)}"

    def most_memory(self, given: bytes) -> int:
        """Return what three readings may take; each message is an object, and an empty one has 6 bytes."""
        return 2**20 + 100 * len(given)


def _taken_apart(given: bytes) -> tuple[int, int, bytes]:
    return (given[0] if given else 0), (given[1] if len(given) > 1 else 0), given[2:]


def _cut(stream: bytes, seed: int) -> list[bytes]:
    """Return the stream in pieces of up to 20 bytes; a seed of 0: single bytes."""
    chance, at, pieces = Random(seed), 0, []  # noqa: S311  chance that can be had again
    while at < len(stream):
        size = chance.randint(1, 20) if seed else 1
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def _check(reading: Reading, limit: int) -> None:
    """Hold what is given on to its bounds."""
    for kind, payload in reading.messages:
        assert len(payload) <= limit, f"a message of {len(payload)} bytes, {limit} allowed"
        assert kind is not Kind.TEXT or is_utf8(payload), "text that is none"
