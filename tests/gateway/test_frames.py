"""Outgoing frames, against the `websockets` library as the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from server.gateway.frames import BINARY, PING, TEXT, Format, Shared, deflated, frame, message_frame
from server.protocol.codec import Codec, pack, unpack_event

EVENT = {"type": "drop.paused", "drop_id": "dr_1", "offset": 7, "at": 1, "title": "Größe " * 40}


def read(data: bytes, *, deflate: bool = False) -> list[Frame]:
    """Return the frames that a client of the library sees."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN, max_size=None)
    if deflate:
        client.extensions = [
            PerMessageDeflate(
                remote_no_context_takeover=True,
                local_no_context_takeover=True,
                remote_max_window_bits=15,
                local_max_window_bits=15,
            )
        ]
    client.receive_data(data)
    assert client.parser_exc is None, client.parser_exc
    return [event for event in client.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_every_length_is_framed(length: int) -> None:
    """The three length forms of RFC 6455 section 5.2, at their borders."""
    payload = b"x" * length
    (seen,) = read(frame(BINARY, payload))
    assert (seen.opcode, seen.fin, bytes(seen.data)) == (Opcode.BINARY, True, payload)


def test_the_ping_is_an_empty_one() -> None:
    """Our ping is a whole frame of its own."""
    (seen,) = read(PING)
    assert (seen.opcode, bytes(seen.data)) == (Opcode.PING, b"")


@pytest.mark.parametrize("form", list(Format))
def test_a_shared_message_is_the_same_in_every_format(form: Format) -> None:
    """All formats carry one message; msgpack carries the very bytes that Lua packed."""
    packed = pack(EVENT)
    shared = Shared(packed, 7)
    (seen,) = read(shared.frame(form), deflate=form >= Format.MSGPACK_DEFLATE)
    payload = bytes(seen.data)
    told: Any = json.loads(payload) if form in {Format.JSON, Format.JSON_DEFLATE} else unpack_event(payload)
    assert told == EVENT
    if form in {Format.MSGPACK, Format.MSGPACK_DEFLATE}:
        assert payload == packed
    assert seen.opcode is (Opcode.TEXT if form in {Format.JSON, Format.JSON_DEFLATE} else Opcode.BINARY)


@pytest.mark.parametrize("form", list(Format))
def test_a_frame_is_built_once(form: Format) -> None:
    """All viewers of a format get the same object, not equal ones."""
    shared = Shared(pack(EVENT))
    assert shared.frame(form) is shared.frame(form)


def test_json_is_made_for_json_viewers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message for msgpack viewers alone is never decoded."""
    monkeypatch.setattr("server.gateway.frames.unpack_event", lambda _packed: pytest.fail("decoded"))
    Shared(pack(EVENT)).frame(Format.MSGPACK)


def test_small_and_dense_payloads_are_not_compressed() -> None:
    """Compression is left away where it makes nothing shorter, which RFC 7692 allows for each message."""
    for payload in (b"tiny", bytes(range(256))):
        plain = frame(BINARY, payload)
        assert deflated(plain, payload) is plain
    text = b"again and again " * 50
    assert len(deflated(frame(TEXT, text), text)) < len(text) // 4


def test_one_compressed_frame_serves_many_connections_and_moments() -> None:
    """Without context takeover a frame is understood whatever came before it on the connection."""
    shared = Shared(pack(EVENT))
    wire = shared.frame(Format.MSGPACK_DEFLATE)
    assert len(wire) < len(shared.frame(Format.MSGPACK))
    seen = read(wire + shared.frame(Format.MSGPACK) + wire, deflate=True)
    assert [unpack_event(bytes(each.data)) for each in seen] == [EVENT] * 3


def test_formats_name_codec_and_compression() -> None:
    """Each format is reached from its codec and the agreement, and private frames are never compressed."""
    assert [Format.of(codec, deflate=deflate) for deflate in (False, True) for codec in Codec] == list(Format)
    payload = Codec.JSON.encode(EVENT)
    assert message_frame(payload, Format.JSON_DEFLATE) == message_frame(payload, Format.JSON)
