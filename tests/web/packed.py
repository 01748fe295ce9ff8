"""Messages and values as the server's own codec packs them, for the browser's decoder to read."""

from __future__ import annotations

import json
import random
import struct
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgpack
import msgspec

from server.errors import Code, Problem
from server.eventlog.recovery import Look, Own
from server.gateway.welcome import Welcome
from server.protocol import shapes
from server.protocol.codec import Codec, pack
from server.protocol.events import SERVER_MESSAGES, error_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LENGTHS = (0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536)  # where a form ends and the next begins
MOST_NESTING = 32  # of the client
WORDS = ("Enamel Mug", "Καλάθι", "مصباح", "मग", "🛍️ " * 9, "﻿begins with a BOM", 'a "quoted" \\ line\n')

SOME: dict[Any, tuple[Any, ...]] = {  # values of the types that have no parts
    str: WORDS,
    bool: (False, True),
    int: (0, 31, 127, 128, 255, 65_536, 2**32, 1_764_000_000_123),
    Code: tuple(Code),
}


def fixtures() -> dict[str, list[dict[str, str]]]:
    """Return everything that the decoder's tests want, bytes as hexadecimal digits."""
    return {
        "messages": [_fixture(name, message) for name, message in messages()] + welcomes(),
        "values": [_fixture(name, value) for name, value in values()],
        "integers": [{"packed": packed.hex(), "text": str(number)} for packed, number in integers()],
        "floats": [{"packed": packed.hex(), "text": repr(number)} for packed, number in floats()],
        "refused": [{"name": name, "packed": packed.hex()} for name, packed in refused()],
    }


def messages() -> Iterator[tuple[str, Any]]:
    """Give every kind of message with all its members, and again with none that may be absent."""
    luck = random.Random(7)  # noqa: S311  reproducible, not secret
    for kind in SERVER_MESSAGES:
        tag = str(kind.__struct_config__.tag)
        yield tag, _made(kind, luck, full=True)
        yield f"{tag}, short", _made(kind, luck, full=False)
    yield "an error", error_message(Problem(Code.OUT_OF_STOCK, "asked for 3, 1 available", available=1), "op")


def welcomes() -> list[dict[str, str]]:
    """Return welcomes as the gateway puts them together out of packed parts."""
    luck = random.Random(8)  # noqa: S311  reproducible, not secret
    snapshot = {
        "show": _plain(_made(shapes.Show, luck, full=True)),
        "drops": [_plain(_made(shapes.Drop, luck, full=True)) for _ in range(40)],
        "pinned": [_plain(_made(shapes.Product, luck, full=True)) for _ in range(3)],
        "viewers": 70_000,
    }
    own = Own(
        reservations=pack([_plain(_made(shapes.Reservation, luck, full=True)) for _ in range(3)]),
        places=pack([_plain(_made(shapes.Place, luck, full=True))]),
    )
    made = Welcome(Look("1764000000000-ab", 70_000, 1_764_000_000_123, [], snapshot))
    ways: dict[str, Callable[[Codec], bytes]] = {
        "a welcome with a snapshot": lambda codec: made.with_snapshot(codec, "viewer-1", own),
        "a welcome back": lambda codec: made.with_missed(codec, "viewer-1", 70_000, 12, own),
    }
    fixtures = []
    for name, way in ways.items():
        # Each welcome names a session of its own; for the comparison both codecs' are the same.
        packed = way(Codec.MSGPACK)
        session = msgpack.unpackb(packed)["session"]
        text = msgspec.json.decode(way(Codec.JSON))
        fixtures.append(
            {"name": name, "packed": packed.hex(), "json": json.dumps({**text, "session": session})}
        )
    return fixtures


def values() -> Iterator[tuple[str, Any]]:
    """Give text, lists and maps of the lengths where their form changes, and values made at random."""
    for length in LENGTHS:
        yield f"{length} letters", "x" * length
        yield f"{length} bytes of Greek", "ω" * (length // 2)
        yield f"a list of {length}", [number % 10 for number in range(length)]
        yield f"a map of {length}", {f"k{number:x}": None for number in range(length)}
    for word in WORDS:
        yield word, [word, {word: word}]
    yield "as deep as it goes", _nested(MOST_NESTING)
    luck = random.Random(9)  # noqa: S311  reproducible, not secret
    for number in range(100):
        yield f"random value {number}", _random(luck, 3)


def integers() -> Iterator[tuple[bytes, int]]:
    """Give the integers around every power of two, in the shortest form and in every longer one."""
    forms = [(0xCC + index, form, 0, 2 ** (8 << index) - 1) for index, form in enumerate("BHIQ")]
    forms += [
        (0xD0 + i, form, -(2 ** ((8 << i) - 1)), 2 ** ((8 << i) - 1) - 1) for i, form in enumerate("bhiq")
    ]
    edges = {
        sign * 2**power + step
        for power in (0, 5, 7, 8, 15, 16, 31, 32, 53, 63)
        for sign in (1, -1)
        for step in (-1, 0, 1)
    }
    for number in sorted(edges | {2**64 - 1}):
        if -(2**63) <= number < 2**64:
            yield msgpack.packb(number), number
        for tag, form, least, most in forms:
            if least <= number <= most:
                yield bytes((tag,)) + struct.pack(f">{form}", number), number


def floats() -> Iterator[tuple[bytes, float]]:
    """Give floats of 64 and 32 bits."""
    for number in (0.0, 1.5, -2.25, 1e300, 5e-324, 0.1, float("inf"), float("-inf"), float("nan")):
        yield msgpack.packb(number), number
    for number in (0.5, -1024.25, 2.0**100, float("inf"), float("nan")):
        yield msgpack.packb(number, use_single_float=True), number


def refused() -> Iterator[tuple[str, bytes]]:
    """Give what is no message of ours."""
    for length in (1, 2, 4, 8, 16, 17, 256, 65_536):
        yield f"an extension of {length} bytes", msgpack.packb(msgpack.ExtType(5, b"\0" * length))
    yield "a timestamp", msgpack.packb(msgpack.Timestamp(1, 2))
    yield "a key that is a number", msgpack.packb({1: 2})
    yield "a key that is nothing", msgpack.packb({None: 2})
    yield "a key that is binary", msgpack.packb({b"a": 2})
    yield "text that is not UTF-8", b"\xa2\xc3\x28"
    yield "half a surrogate pair", b"\xa3\xed\xa0\x80"
    yield "the type that is never used", b"\xc1"
    yield "nested too deep", msgpack.packb(_nested(MOST_NESTING + 1))
    yield "nested without end", b"\x91" * 60_000
    yield "nothing at all", b""


def _fixture(name: str, value: Any) -> dict[str, str]:
    return {
        "name": name,
        "packed": Codec.MSGPACK.encode(value).hex(),
        "json": Codec.JSON.encode(value).decode(),
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


def _random(luck: random.Random, depth: int) -> Any:
    kind = luck.randrange(8 if depth else 5)
    if kind == 0:
        return luck.choice((None, True, False))
    if kind == 1:
        return luck.randint(-(2**53) + 1, 2**53 - 1) >> luck.randrange(54)
    if kind == 2:
        return luck.uniform(-1e9, 1e9)
    if kind <= 4:
        return luck.choice(WORDS) * luck.randrange(4)
    if kind == 5:
        return [_random(luck, depth - 1) for _ in range(luck.randrange(9))]
    return {f"{luck.choice(WORDS)}{number}": _random(luck, depth - 1) for number in range(luck.randrange(9))}


def _made(kind: Any, luck: random.Random, *, full: bool) -> Any:
    """Return a value of a type as the shapes have them; `full`: with every member that may be absent."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        members = {
            field.encode_name: _made(hints[field.name], luck, full=full)
            for field in msgspec.structs.fields(kind)
            if full or field.required
        }
        return kind(**members)
    if kind in SOME:
        return luck.choice(SOME[kind])
    inner = get_args(kind)
    if get_origin(kind) is list:
        return [_made(inner[0], luck, full=full) for _ in range(luck.randrange(1, 4))]
    if get_origin(kind) is dict:
        return {word: _made(inner[1], luck, full=full) for word in WORDS[:3]}
    return luck.choice(inner) if isinstance(inner[0], str) else _made(inner[0], luck, full=full)
