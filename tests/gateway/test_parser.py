"""Bytes in, messages out: wherever the network cuts, and whatever a client sends."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

from server.gateway import parser as module
from server.gateway.parser import Kind, Parser
from tests.gateway.streams import (
    CONT,
    FIN,
    LIMIT,
    MAX_BYTES,
    RSV1,
    RSV2,
    RSV3,
    cut,
    deflated,
    frame,
    kept,
    places,
    read,
    read_by_library,
    streams,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.streams import Messages, Reading

TEXT, BINARY, CLOSE, PING, PONG = Kind
WHOLE_TEXT, WHOLE_BINARY = FIN | TEXT, FIN | BINARY
SMALL = frame(WHOLE_BINARY, b"small")
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no error


class Careless(Parser):
    """A parser that forgets the start of a frame which is cut in its header."""

    __slots__ = ()

    def _feed_unusual(self, unusual: module._Unusual, data: bytes, messages: Messages) -> None:
        super()._feed_unusual(unusual, data, messages)
        unusual.header = b""


def agrees_with_library(
    frames: list[bytes],
    at: list[tuple[float, int]],
    max_bytes: int,
    *,
    deflate: bool,
    make: Callable[..., Parser] = Parser,
) -> Reading:
    """Read a stream in one piece, by frames, cut, and by the library, and find no difference."""
    expected = read_by_library(frames, max_bytes, deflate=deflate)
    for parts in ([b"".join(frames)], frames, cut(frames, at)):
        assert read(make(max_bytes, deflate=deflate), parts, max_bytes) == expected
    return expected


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_valid_streams_are_read_as_the_library_reads_them(*, deflate: bool) -> None:
    """Any valid stream, cut anywhere, gives the library's messages, control frames, replies and close code."""

    @settings(PATIENT, max_examples=150)
    @given(streams(deflate=deflate), places)
    def holds(frames: list[bytes], at: list[tuple[float, int]]) -> None:
        assert not agrees_with_library(frames, at, MAX_BYTES, deflate=deflate).failed

    holds()


def test_the_comparison_finds_a_lost_byte() -> None:
    """The negative control: a parser that loses bytes at a cut does not pass as one that reads well."""

    @settings(PATIENT, derandomize=True, database=None, phases=[Phase.generate])
    @given(streams(deflate=False), places)
    def holds(frames: list[bytes], at: list[tuple[float, int]]) -> None:
        agrees_with_library(frames, at, MAX_BYTES, deflate=False, make=Careless)

    with pytest.raises(AssertionError):
        holds()


@pytest.mark.parametrize("kind", [TEXT, BINARY, PING, PONG])
def test_every_length_in_every_form_is_read(kind: Kind) -> None:
    """Alone and among others a frame of any length up to 300, in each form of length that says it, is a message."""
    for size in range(126 if kind > CLOSE else LIMIT + 1):
        payload = bytes(size)
        for width in (0, 2, 8):
            this = frame(FIN | kind, payload, mask=bytes(4), width=width)
            alone = read(Parser(LIMIT), [this], LIMIT)
            among_others = read(Parser(LIMIT), [SMALL + this + SMALL], LIMIT)
            assert alone.messages == [(kind, payload)] == among_others.messages[1:-1], (size, width)


BROKEN = {
    "text that is no UTF-8": (1007, [frame(WHOLE_TEXT, b"\xc3\x28")]),
    "text cut in a character": (1007, [frame(WHOLE_TEXT, "€".encode()[:-1])]),
    "text with half of a surrogate pair": (1007, [frame(WHOLE_TEXT, b"\xed\xa0\x80")]),
    "long text that is no UTF-8": (1007, [frame(WHOLE_TEXT, b"a" * 200 + b"\xff")]),
    "fragmented text that is no UTF-8": (1007, [frame(TEXT, b"\xe2\x82"), frame(FIN, b"\x28")]),
    "compressed text that is no UTF-8": (1007, [frame(WHOLE_TEXT | RSV1, deflated(b"\xff"))]),
    "a reserved bit": (1002, [frame(WHOLE_TEXT | RSV2, b"x")]),
    "another reserved bit": (1002, [frame(WHOLE_BINARY | RSV3, b"x")]),
    "a reserved bit in a ping": (1002, [frame(FIN | PING | RSV1, b"x")]),
    "a reserved bit in a later fragment": (1002, [frame(BINARY, b"x"), frame(FIN | RSV1, b"x")]),
    "no mask": (1002, [frame(WHOLE_BINARY, b"x", mask=None)]),
    "no mask, long": (1002, [frame(WHOLE_BINARY, b"x" * 200, mask=None)]),
    "no mask on a ping": (1002, [frame(FIN | PING, b"", mask=None)]),
    "a data opcode that means nothing": (1002, [frame(FIN | 3, b"x")]),
    "a control opcode that means nothing": (1002, [frame(FIN | 11, b"x")]),
    "a continuation of nothing": (1002, [frame(FIN | CONT, b"x")]),
    "a continuation of a whole message": (1002, [SMALL, frame(CONT, b"x")]),
    "a message inside a message": (1002, [frame(BINARY, b"x"), SMALL]),
    "a text inside a message": (1002, [frame(BINARY, b"x"), frame(WHOLE_TEXT, b"x")]),
    "a ping too long": (1002, [frame(FIN | PING, b"x" * 126)]),
    "a pong too long": (1002, [frame(FIN | PONG, b"x" * 126)]),
    "a close frame too long": (1002, [frame(FIN | CLOSE, b"\x03\xe8" + b"x" * 124)]),
    "a fragmented ping": (1002, [frame(PING, b"x")]),
    "a fragmented close frame": (1002, [frame(CLOSE, b"\x03\xe8")]),
    "a close frame of one byte": (1002, [frame(FIN | CLOSE, b"x")]),
    "a close code that may not be sent": (1002, [frame(FIN | CLOSE, b"\x03\xed")]),
    "a close reason that is no UTF-8": (1007, [frame(FIN | CLOSE, b"\x03\xe8\xff")]),
    "a close frame inside a message": (1002, [frame(BINARY, b"x"), frame(FIN | CLOSE, b"\x03\xe8")]),
    "a message too big": (1009, [frame(WHOLE_BINARY, b"x" * (LIMIT + 1))]),
    "a message far too big": (1009, [frame(WHOLE_BINARY, b"x" * 65536)]),
    "fragments too big together": (1009, [frame(TEXT, b"x" * LIMIT), frame(FIN, b"x")]),
}
NOT_COMPRESSED = {"compressed without being asked": (1002, [frame(WHOLE_TEXT | RSV1, deflated(b"x"))])}
COMPRESSED = {
    "nothing that inflates": (1002, [frame(WHOLE_BINARY | RSV1, b"\xff\xff\xff")]),
    "a bomb": (1009, [frame(WHOLE_BINARY | RSV1, deflated(b"\0" * 60_000))]),
    "a bomb in fragments": (1009, [frame(BINARY | RSV1, deflated(b"\0" * LIMIT * 2)), frame(FIN)]),
    "compressed in a later fragment": (1002, [frame(BINARY | RSV1, deflated(b"x")), frame(FIN | RSV1)]),
}
CASES = [
    *((name, deflate, *case) for deflate in (False, True) for name, case in BROKEN.items()),
    *((name, False, *case) for name, case in NOT_COMPRESSED.items()),
    *((name, True, *case) for name, case in COMPRESSED.items()),
]


@pytest.mark.parametrize(("name", "deflate", "code", "broken"), CASES)
def test_a_broken_stream_ends_with_its_close_code(
    name: str, code: int, broken: list[bytes], *, deflate: bool
) -> None:
    """What RFC 6455 forbids ends the stream with the code it deserves, as with the library; what was before counts."""
    if name == "compressed text that is no UTF-8" and not deflate:
        code = 1002

    @settings(PATIENT, max_examples=10)
    @given(places)
    def holds(at: list[tuple[float, int]]) -> None:
        frames = [SMALL, frame(FIN | PING, b"?"), *broken, SMALL]
        reading = agrees_with_library(frames, at, LIMIT, deflate=deflate)
        assert (reading.close_code, reading.failed) == (code, True)
        assert reading.messages[:2] == [(BINARY, b"small"), (PING, b"?")]
        pong = b"\x8a\x01?"
        assert reading.reply.startswith(pong)
        assert reading.reply[len(pong)] == FIN | CLOSE
        assert reading.reply[len(pong) + 2 :][:2] == code.to_bytes(2)

    holds()


@settings(PATIENT, max_examples=300)
@given(some.lists(some.binary(max_size=40), max_size=8), some.booleans())
def test_noise_is_survived(parts: list[bytes], deflate: bool) -> None:  # noqa: FBT001  drawn by Hypothesis
    """Bytes that are no websocket at all raise nothing, keep little, and read the same in one piece."""
    in_parts = read(Parser(LIMIT, deflate=deflate), parts, LIMIT)
    whole = read(Parser(LIMIT, deflate=deflate), [b"".join(parts)], LIMIT)
    assert whole == in_parts


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (bytes((WHOLE_BINARY, 0x80 | 127)) + (LIMIT + 1).to_bytes(8), 1009),
        (bytes((WHOLE_TEXT, 0x80 | 126)) + (LIMIT + 1).to_bytes(2), 1009),
        (bytes((WHOLE_BINARY, 0x80 | 127)) + b"\xff" * 8, 1009),
        (frame(BINARY, b"x" * LIMIT) + bytes((FIN, 0x81)), 1009),
        (bytes((WHOLE_BINARY, 5)), 1002),
        (bytes((WHOLE_BINARY, 126)), 1002),
        (bytes((FIN | 7, 0x85)), 1002),
        (bytes((FIN | 7, 0x80 | 127)), 1002),
    ],
    ids=[
        "64 bits",
        "16 bits",
        "all bits",
        "second fragment",
        "no mask",
        "no mask, length to come",
        "opcode",
        "opcode, length to come",
    ],
)
def test_a_wrong_header_is_enough(start: bytes, code: int) -> None:
    """A frame that is too big, unmasked or of no kind fails before any of its payload has come."""
    parser = Parser(LIMIT)
    assert parser.feed(start) == []
    assert (parser.close_code, parser.failed) == (code, True)


@pytest.mark.parametrize(
    "end",
    [frame(FIN | CLOSE, b"\x03\xe8"), frame(FIN | 7), frame(TEXT, b"begun") + frame(FIN | 7)],
    ids=["closed", "failed", "failed in a message"],
)
def test_nothing_is_read_after_the_end(end: bytes) -> None:
    """Behind a close frame or a failure bytes are discarded: no message, no reply, nothing kept."""
    parser = Parser(LIMIT)
    first = parser.feed(end + SMALL)
    assert parser.ended
    assert first in ([], [(CLOSE, b"\x03\xe8")])
    code, reply = parser.close_code, parser.take_reply()
    assert reply[0] == FIN | CLOSE
    for late in (SMALL, frame(FIN | PING), frame(FIN | CLOSE, b"\x0f\xa0"), b"\x81", b"\xff" * 1000):
        assert parser.feed(late) == []
        assert (parser.take_reply(), kept(parser)) == (b"", 0)
        assert parser._unusual is not None
        assert parser._unusual.library is None
    assert parser.close_code == code


def test_a_close_frame_without_a_code_is_1005() -> None:
    """A close frame may be empty; its echo is too."""
    parser = Parser(LIMIT)
    assert parser.feed(frame(FIN | CLOSE)) == [(CLOSE, b"")]
    assert (parser.close_code, parser.failed) == (1005, False)
    assert parser.take_reply() == b"\x88\x00"
    assert parser.take_reply() == b""


@pytest.mark.parametrize(
    "frames",
    [
        [SMALL],
        [frame(WHOLE_TEXT, b"x" * 65536)],
        [frame(FIN | PING, b"?"), frame(FIN | PONG)],
        [frame(TEXT, b"a"), frame(FIN | PING), frame(FIN, b"b")],
        [frame(TEXT | RSV1, deflated(b"a" * 5000)[:9]), frame(FIN, deflated(b"a" * 5000)[9:])],
        [frame(WHOLE_TEXT | RSV1, deflated(b"a" * 5000))],
    ],
    ids=["small", "great", "control", "fragmented", "compressed fragments", "compressed"],
)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_an_idle_parser_is_small(frames: list[bytes], step: int) -> None:
    """Between messages a parser holds nothing of what came before, neither buffers nor a library object."""
    parser = Parser(MAX_BYTES, deflate=True)
    stream = b"".join(frames)
    read(parser, [stream[at : at + step] for at in range(0, len(stream), step)], MAX_BYTES)
    assert parser._unusual is None
    assert parser._pongs == b""
    assert not hasattr(parser, "__dict__")
    assert sys.getsizeof(parser) <= 72


def test_a_dripping_frame_is_handled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 KiB that come byte by byte each byte is handed on once, and is not gathered before."""
    handed: list[int] = []
    receive = Protocol.receive_data

    def count(self: Protocol, data: bytes) -> None:
        handed.append(len(data))
        receive(self, data)

    monkeypatch.setattr(Protocol, "receive_data", count)
    parser = Parser(MAX_BYTES)
    stream = frame(WHOLE_BINARY, b"drip" * 16384)
    parts = [stream[at : at + 1] for at in range(len(stream))]
    assert read(parser, parts, MAX_BYTES).messages == [(BINARY, b"drip" * 16384)]
    assert sum(handed) == len(stream)
    assert len(handed) > len(stream) - 10


@pytest.mark.parametrize("flood", [frame(CONT), frame(FIN | PING)], ids=["fragments", "pings"])
def test_a_message_without_an_end_has_one(flood: bytes) -> None:
    """Empty fragments, and pings among fragments, are limited: 64, and one per 64 bytes allowed, then 1008."""
    parser = Parser(6400)
    parser.feed(frame(BINARY))
    for _ in range(163):
        parser.feed(flood)
    assert not parser.ended
    parser.feed(flood)
    assert (parser.close_code, parser.failed) == (1008, True)


def test_an_endless_stream_of_cut_messages_is_taken() -> None:
    """What comes in pieces that never end with a message is no flood, however much it is."""
    stream = SMALL * 5000
    step = 2 * len(SMALL)
    parts = [stream[at : at + step] for at in range(5, len(stream), step)]
    reading = read(Parser(125), [stream[:5], *parts], 125)
    assert (len(reading.messages), reading.failed) == (5000, False)


def test_a_flood_of_compressed_messages_has_an_end() -> None:
    """Tiny compressed messages, each of which needs an inflater, are limited in what comes at once."""
    tiny = frame(WHOLE_BINARY | RSV1, deflated(b""))
    parser = Parser(6400, deflate=True)
    for _ in range(1000):
        parser.feed(tiny * 10)
    assert not parser.ended
    assert len(parser.feed(tiny * 1000)) == 164
    assert parser.close_code == 1008


def test_small_fragments_of_a_full_message_are_taken() -> None:
    """A message of the greatest size may come in fragments of 64 bytes, with a ping after every 100th."""
    pieces = [frame(CONT, b"x" * 64) for _ in range(99)]
    pings = [frame(FIN | PING)] * 10
    stream = b"".join([frame(BINARY, b"x" * 64), *pieces, *pings, frame(FIN)])
    reading = read(Parser(6400), [stream], 6400)
    assert reading.messages[-1] == (BINARY, b"x" * 6400)
    assert not reading.failed


def test_no_message_exceeds_the_limit_by_what_zlib_keeps_back() -> None:
    """260 bytes from a first fragment that inflates to just 200 of them are too many where 200 are allowed."""
    held_back = bytes.fromhex("4a4c1c05")  # inflates to 260 times "a", the last 60 only when asked again
    frames = [frame(BINARY | RSV1, held_back), frame(FIN)]
    assert len(read_by_library(frames, 200, deflate=True).messages[0][1]) == 260, "mended in the library"
    parser = Parser(200, deflate=True)
    assert parser.feed(b"".join(frames)) == []
    assert parser.close_code == 1009


def test_pongs_go_out_in_one_piece() -> None:
    """Each ping of a feed is answered, in order, unmasked, with its payload; the pings are told of too."""
    pings = [frame(FIN | PING, bytes((number,)) * number, mask=b"mask") for number in range(126)]
    parser = Parser(LIMIT)
    assert [payload for kind, payload in parser.feed(b"".join(pings)) if kind is PING][-1] == b"}" * 125
    pongs = [Frame(Opcode.PONG, bytes((number,)) * number).serialize(mask=False) for number in range(126)]
    assert parser.take_reply() == b"".join(pongs)


def test_pongs_go_before_the_answers_and_the_close_frame_behind_them() -> None:
    """What is owed for pings and what ends the connection can be written apart, each once."""
    parser = Parser(LIMIT)
    heard = parser.feed(frame(FIN | PING, b"1") + SMALL + frame(FIN | PING, b"2") + frame(FIN | CLOSE))
    assert [kind for kind, _ in heard] == [PING, BINARY, PING, CLOSE]
    assert [parser.take_pongs(), parser.take_pongs()] == [b"\x8a\x011\x8a\x012", b""]
    assert [parser.take_reply(), parser.take_reply()] == [b"\x88\x00", b""]


def test_a_limit_below_a_control_frame_is_refused() -> None:
    """A limit that a valid ping could exceed is a mistake."""
    with pytest.raises(ValueError, match="max_bytes is 124, and a control frame may have 125"):
        Parser(124)


def test_without_the_compiled_mask_it_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library was installed without its C part, its Python part unmasks."""
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    spec = importlib.util.spec_from_file_location("slow_parser", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    slow = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "slow_parser", slow)
    spec.loader.exec_module(slow)
    assert slow.apply_mask.__module__ == "websockets.utils"
    assert slow.Parser(LIMIT).feed(frame(WHOLE_TEXT, b"the same")) == [(TEXT, b"the same")]
