"""The bytes of a live socket: frames and handshakes, wherever they are cut, and what may not be in them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from loadtests.audience.wire import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    FrameError,
    Reader,
    Told,
    answered,
    frame,
    read,
    refusal,
)
from server.protocol.codec import Codec, pack
from tests.loadtests.audience.frames import server_frame


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


def test_what_is_sent_to_many_is_read_once() -> None:
    """A reader returns the very same frames for the same bytes, and the right ones for others in between."""
    reader = Reader()
    first, other = event(1, 10, binary=True), event(2, 10, binary=True)
    frames, rest = reader.read(first)
    assert reader.read(bytes(bytearray(first)))[0] is frames
    assert reader.read(other + b"\x82")[0][0].offset == 2
    assert reader.read(first)[0][0].offset == 1
    assert rest == b""


@pytest.mark.parametrize("size", [0, 125, 126, 65_535])
def test_our_frames_are_masked_and_whole(size: int) -> None:
    """A client's frame says its length as RFC 6455 wants it, and is masked (with zeros)."""
    made = frame(BINARY, b"x" * size)
    assert made[0] == 0x80 | BINARY
    assert made[1] & 0x80
    width = 0 if size < 126 else 2
    assert made[2 + width : 6 + width] == b"\0\0\0\0"
    assert len(made) == 6 + width + size
