"""The codecs: any bytes are a command within its bounds or a problem that says why, whichever way they are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from server.errors import Code, Problem
from server.protocol import codec as codecs
from server.protocol.codec import Codec, operation_of
from server.protocol.commands import MAX_BUNDLE_ITEMS, Command
from server.protocol.shapes import MAX_OPERATION_ID_LENGTH
from tests.fuzz.mutation import changed

if TYPE_CHECKING:
    from random import Random

MOST_BYTES = 64 * 1024
LONGEST_REASON = 300
MESSAGES: tuple[dict[str, Any], ...] = (
    {"type": "hello", "token": "a.b.c", "since": {"epoch": "e1", "offset": 2**40}},
    {"type": "reserve", "id": "a", "drop": "dr_a_b", "quantity": 3, "part": True, "receipt": False},
    {"type": "bundle", "id": "b", "items": [{"drop": "dr_a_b", "quantity": 1}] * MAX_BUNDLE_ITEMS},
    {"type": "bundle", "id": "b", "items": [{"drop": "dr_a_b", "quantity": 1, "new": [[], {}]}]},
    {"type": "release", "id": "c", "reservation": "rs_ωμέγα"},
    {"type": "waitlist.join", "id": "d", "drop": "dr_a_b"},
    {"type": "waitlist.leave", "id": "e", "drop": "dr_a_b"},
    {"type": "react", "kind": "heart", "count": 100},
    {"type": "hello", "token": "a.b.c", "proof": {"nonce": "AbCd-_", "answer": "0123456789", "new": {}}},
    {"type": "ping", "id": None},
    {"type": "token", "token": "a.b.c"},
    {"type": "chat", "id": "f", "text": "hi", "more": {"deep": [[[1.5]]]}},
)
PACKED = (
    b"\xc0", b"\xc1", b"\xc3", b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + b"\x00" * 7, b"\xd9\xff", b"\xdb\xff\xff\xff\xff", b"\xc4\x01\x00", b"\xd4\x00\x00",
    b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x81", b"\x91", b"\xff",
)  # fmt: skip
TEXTS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"-0", b"1.0",
    b"null", b"true", b"\xff", b"\xed\xa0\x80", b'{"a":', b"9" * 30,
)  # fmt: skip
NAMES = tuple(
    word.encode()
    for message in MESSAGES
    for word in (*message, *(each for each in message.values() if isinstance(each, str)))
)


class Messages:
    """Messages of one codec."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._words = NAMES + (PACKED if codec is Codec.MSGPACK else TEXTS)

    def first(self) -> list[bytes]:
        """Return every command."""
        pack = codecs.pack if self.codec is Codec.MSGPACK else msgspec.json.encode
        return [pack(message) for message in MESSAGES]

    def make(self, chance: Random, kept: list[bytes]) -> bytes:
        """Return a changed message."""
        return changed(chance, kept, self._words, MOST_BYTES)

    def look(self, given: bytes) -> str:
        """Decode it; look for its id."""
        operation = operation_of(given, self.codec)
        assert operation is None or len(operation) <= MAX_OPERATION_ID_LENGTH
        try:
            command = self.codec.decode(given)
        except Problem as refused:
            return self._refused(given, refused)
        self._is_the_same_again(given, command)
        return type(command).__name__

    def most_memory(self, given: bytes) -> int:
        """Return what its reading may take: an empty map is 64 bytes of Python and 2 of JSON, and is read twice."""
        return 2**20 + 200 * len(given)

    def _refused(self, given: bytes, refused: Problem) -> str:
        assert refused.code is Code.INVALID_MESSAGE, refused.code
        assert 0 < len(refused.detail) <= LONGEST_REASON, f"a reason of {len(refused.detail)} characters"
        try:
            self.codec.plain(given)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return re.sub(r"\d+|byte \d+|'.*'", "#", refused.detail)
        raise AssertionError("the quick way takes what the careful one refuses")

    def _is_the_same_again(self, given: bytes, command: Command) -> None:
        """Read it the careful way, and write it and read it again: it is the same."""
        plain = msgspec.to_builtins(command)
        raw = codecs._unpack(given) if self.codec is Codec.MSGPACK else codecs._from_json(given)
        assert msgspec.to_builtins(codecs.as_command(raw)) == plain, "the two ways read it differently"
        pack = codecs.pack if self.codec is Codec.MSGPACK else msgspec.json.encode
        assert msgspec.to_builtins(self.codec.decode(pack(command))) == plain, (
            "written and read it is another one"
        )
