"""The multitude's instruments, on bytes and numbers made by hand: what is wrong is found, and nothing else is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from loadtests.multitude.figures import Census, measured
from loadtests.multitude.outcome import Expected, Outcome, Plan, Round, Storm, broken, missing, slow
from loadtests.multitude.tables import tables
from loadtests.multitude.wire import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    FrameError,
    Stock,
    Told,
    answered,
    read,
    refusal,
)
from loadtests.multitude.witness import Book, Witness
from server.protocol.codec import Codec, pack

NUMBERS = {"available": 7, "held": 2, "sold": 1, "quantity": 10}


def server_frame(opcode: int, payload: bytes) -> bytes:
    """Return a server's frame, written down as RFC 6455 section 5.2 has it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def event(offset: int, length: int, *, binary: bool) -> bytes:
    """Return the frame of an event."""
    message = {"type": "drop.paused", "drop_id": "x" * length, "offset": offset, "at": 1}
    return server_frame(BINARY, pack(message)) if binary else server_frame(TEXT, msgspec.json.encode(message))


LENGTHS = some.sampled_from([1, 60, 61, 62, 63, 64, 65, 300, 65_400, 65_500])


@settings(deadline=None)  # a busy machine is no failure
@given(some.lists(some.tuples(LENGTHS, some.booleans()), max_size=6), some.data())
def test_frames_are_read_wherever_they_are_cut(messages: list[tuple[int, bool]], data: Any) -> None:
    """Any cutting of a stream into pieces gives the same messages, pings and closes, and leaves no byte over."""
    stream = b"".join(event(n, length, binary=binary) for n, (length, binary) in enumerate(messages, 1))
    stream += server_frame(PING, b"hello") + server_frame(CLOSE, b'\x0b\xc0{"retry_after_ms":70}')
    cuts = sorted(data.draw(some.lists(some.integers(0, len(stream)), max_size=12)))
    seen: list[Told] = []
    rest = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        told, rest = read(rest + stream[start:end])
        seen += told
    assert rest == b""
    assert [told.offset for told in seen[:-2]] == list(range(1, len(messages) + 1))
    assert (seen[-2].opcode, seen[-2].payload) == (PING, b"hello")
    assert (seen[-1].opcode, seen[-1].code, seen[-1].retry_ms) == (CLOSE, 3008, 70)


@pytest.mark.parametrize("head", ["0205", "c205", "8285"], ids=["fragmented", "compressed", "masked"])
def test_what_a_server_may_not_send_here_is_refused(head: str) -> None:
    """Fragments and compression, which nobody asked for, and masked frames are errors and not messages."""
    with pytest.raises(FrameError):
        read(bytes.fromhex(head) + b"\0\0\0\0hello")


def test_a_refused_handshake_says_when_to_try_again() -> None:
    """The answer to a handshake is taken once it is whole; a refusal tells after how many ms a viewer may return."""
    head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
    assert answered(head, Codec.JSON) is None
    whole = head + b"\r\n"
    assert answered(whole, Codec.JSON) == (False, b"")
    assert refusal(whole) == (503, 2000)
    assert refusal(whole + b'{"code":"unavailable","retry_after_ms":70}') == (503, 70)
    assert refusal(b"HTTP/1.1 408 Request Timeout\r\n\r\n") == (408, 1000)


def test_an_accepted_handshake_must_answer_ours() -> None:
    """Our key's hash and our subprotocol must be in the answer; frames right behind it are not lost."""
    accepted = (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: livedrop.v1.json\r\n\r\n"
    )
    assert answered(accepted + b"more", Codec.JSON) == (True, b"more")
    for wrong in (accepted.replace(b"s3p", b"S3P"), accepted.replace(b".json", b".msgpack")):
        with pytest.raises(FrameError):
            answered(wrong, Codec.JSON)


def told_of(**message: Any) -> Told:
    """Return what a viewer reads of a message."""
    return read(server_frame(BINARY, pack(message)))[0][0]


def a_witness(**welcome: Any) -> Witness:
    """Return one who was welcomed at offset 5."""
    witness = Witness("one", Book(), binary=True)
    witness.begin()
    standard = {"type": "welcome", "epoch": "e", "offset": 5, "recovered": False}
    witness.take(told_of(**{**standard, **welcome}), 1)
    return witness


STOCK = {"type": "stock.updated", "drop_id": "d", **NUMBERS}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 7}], (0, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 7}], (1, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 6}], (0, 1, 0, 0)),
        ([{**STOCK, "revision": 2}, {**STOCK, "revision": 3}], (0, 0, 0, 0)),
        ([{**STOCK, "revision": 3}, {**STOCK, "revision": 2}], (0, 0, 0, 0)),
        ([{**STOCK, "revision": n} for n in (2, 4, 3)], (0, 0, 1, 0)),
        ([{**STOCK, "revision": 3, "held": 3}], (0, 0, 0, 1)),
        ([{"type": "error", "code": "unavailable", "message": "no"}], (0, 0, 0, 1)),
        ([{"type": "welcome", "epoch": "e", "offset": 5, "recovered": True, "missed": 0}], (0, 0, 0, 1)),
    ],
    ids=[
        "in-order",
        "gap",
        "duplicate",
        "newer",
        "on-its-way",
        "older",
        "wrong-sum",
        "error",
        "welcomed-twice",
    ],
)
def test_a_witness_finds_what_is_wrong(
    messages: list[dict[str, Any]], found: tuple[int, int, int, int]
) -> None:
    """Each broken promise is counted under its kind, and what is in order under none."""
    witness = a_witness()
    for message in messages:
        witness.take(told_of(**message), 2)
    book = witness.book
    assert (book.gaps, book.duplicates, book.stale, book.wrong) == found
    assert len(book.examples) == sum(found)


@pytest.mark.parametrize(
    ("welcome", "wrong"),
    [
        ({"recovered": True, "offset": 9, "missed": 4}, 0),
        ({"recovered": True, "offset": 9, "missed": 3}, 1),
        ({"recovered": True, "offset": 9, "missed": 4, "epoch": "another"}, 1),
        ({"recovered": False, "offset": 9}, 0),
    ],
    ids=["our-place", "another-place", "another-epoch", "start-over"],
)
def test_a_return_to_another_place_is_found(welcome: dict[str, Any], wrong: int) -> None:
    """A recovery must pick up at exactly the place that was asked for."""
    witness = a_witness()
    witness.begin()
    witness.take(told_of(**{"type": "welcome", "epoch": "e", **welcome}), 2)
    assert witness.book.wrong == wrong


def test_whoever_lacks_something_is_named() -> None:
    """A group in which one is away, one behind and one without the last numbers lacks three things."""
    last = Stock(9, *NUMBERS.values())
    expected = Expected(7, last)
    whole = Census(size=3, here=3, lowest=7, highest=7, stocks=Counter({last: 3}))
    assert missing("all", whole, expected) == []
    older = last._replace(revision=8)
    lacking = Census(4, 3, 6, 7, Counter({last: 2, older: 1}), closes=Counter({3008: 1}))
    assert len(missing("all", lacking, expected)) == 3
    assert len(missing("all", lacking, expected, whole=False)) == 2


def test_delays_are_counted_from_the_asking() -> None:
    """Of a hundred deliveries after 1 to 100 ms the median is 50, p99 is 99, and first to last are 99 apart.

    One bad event among three moves the p99 of all, and not that of the median event.
    """
    asked = {3: 5_000_000}
    moments = [1_000_000 * (5 + ms) for ms in range(100, 0, -1)]
    seen = measured({3: moments, 9: [0]}, asked)
    assert (seen.count, seen.p50_ms, seen.p99_ms, seen.longest_ms) == (100, 50, 99, 100)
    assert (seen.typical_ms, seen.skew_ms) == (99, 99)
    late = [moment + 10**9 for moment in moments]
    seen = measured({3: moments, 4: late, 5: moments}, {**asked, 4: 5_000_000, 5: 5_000_000})
    assert (seen.typical_ms, seen.p99_ms, seen.longest_ms) == (99, 1097, 1100)


def an_outcome(
    growth: int, typical_ms: float, last_value_ms: float, seconds: float, others_ms: float
) -> Outcome:
    """Return a run of one round without and one with stalled viewers, in which nothing went wrong."""
    stock = Stock(9, *NUMBERS.values())
    all_have_it = Census(size=1, here=1, lowest=7, highest=7, stocks=Counter({stock: 1}))
    delays = measured({1: [100]}, {1: 0})
    calm = Round(
        expected=Expected(7, stock),
        viewers=all_have_it,
        sleepers=None,
        deliveries=replace(delays, typical_ms=100),
        last_value_ms=last_value_ms,
        burst_seconds=1.0,
        cpu_micros=9.0,
        audience_micros=5.0,
        resident_before=100,
        resident_peak=150,
    )
    stalled = replace(
        calm,
        sleepers=all_have_it,
        deliveries=replace(delays, typical_ms=typical_ms),
        resident_peak=100 + growth,
    )
    storm = Storm(
        expected=calm.expected,
        viewers=all_have_it,
        others=all_have_it,
        recovered=1,
        pictures=0,
        refused=Counter(),
        seconds=seconds,
        before=delays,
        during=replace(delays, p99_ms=others_ms),
    )
    return Outcome(Plan(), rounds=[calm, stalled], storm=storm, book=Book())


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ((10, 110, 250, 10, 500), 0),
        ((11, 110, 250, 10, 500), 1),
        ((10, 111, 250, 10, 500), 1),
        ((10, 110, 251, 10, 500), 1),
        ((10, 110, 250, 10.1, 500), 1),
        ((10, 110, 250, 10, 501), 1),
        ((99, 999, 999, 99, 999), 5),
    ],
    ids=["all-kept", "memory", "p99", "last-value", "return", "others", "none-kept"],
)
def test_a_figure_beyond_its_bound_is_named(
    figures: tuple[int, float, float, float, float], found: int
) -> None:
    """Each figure that the program holds the server to is told when it is missed, and only then."""
    outcome = an_outcome(*figures)
    assert broken(outcome) == []
    assert len(slow(outcome)) == found
    assert [table.title for table in tables(outcome)][-1] == "Against the promises"
