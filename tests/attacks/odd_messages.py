"""Messages that a decoder could choke on: deep, wide, cut, of strange kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

from server.protocol.codec import Codec, pack
from tests.attacks.answers import answered
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_commands_total{command="refused",outcome="invalid-message"}'
DEEP = 17  # a level more than may be


def _nest(levels: int) -> Any:
    inner: Any = 1
    for _ in range(levels):
        inner = [inner]
    return inner


PING: dict[Any, Any] = {"type": "ping", "id": "a"}
PACKED: dict[str, bytes] = {
    "60,000 opened lists": b"\x91" * 60_000,
    "60,000 opened maps": b"\x81\xa1a" * 20_000,
    "a level too deep": pack({**PING, "more": _nest(DEEP)}),
    "a list of 65": pack({**PING, "more": [0] * 65}),
    "a map of 65": pack({**PING, "more": {str(number): 0 for number in range(65)}}),
    "a list that says it has 2^32": b"\x82\xa4type\xa4ping\xa1m\xdd\xff\xff\xff\xff",
    "bytes that say they are 2^32": b"\x82\xa4type\xa4ping\xa1m\xc6\xff\xff\xff\xff",
    "an extension type": msgpack.packb({**PING, "more": msgpack.ExtType(5, b"x")}),
    "a timestamp": msgpack.packb({**PING, "more": msgpack.Timestamp(1)}),
    "a key that is a number": msgpack.packb({**PING, 1: 2}),
    "text that is no text": b"\x81\xa4type\xa4\xff\xff\xff\xff",
    "half a message": pack(PING)[:-1],
    "two messages": pack(PING) * 2,
    "nothing": b"",
}
TEXT: dict[str, str] = {
    "JSON, a level too deep": '{"type":"ping","id":"a","more":' + "[" * DEEP + "]" * DEEP + "}",
    "JSON, 60,000 opened lists": "[" * 60_000,
    "JSON, NaN": '{"type":"ping","id":"a","more":NaN}',
    "JSON, half a pair of surrogates": '{"type":"ping","id":"\\ud800"}',
}
EXPECTED: Answers = dict.fromkeys([*PACKED, *TEXT], "invalid-message") | {
    "a good one afterwards": "pong",
    "the fifth bad one": "3501",
}


async def attack(stage: Stage) -> Answers:
    """Send each on a connection of its own; then five on one, with a good one in between."""
    seen: Answers = {}
    for codec, frames in ((Codec.MSGPACK, PACKED), (Codec.JSON, TEXT)):
        for name, frame in frames.items():
            async with wire(stage, stage.viewer(), codec=codec) as viewer:
                seen[name] = await answered(viewer, frame)
    async with wire(stage, stage.viewer()) as viewer:
        for _ in range(4):
            await answered(viewer, PACKED["half a message"])
        seen["a good one afterwards"] = await answered(viewer, pack(PING))
        await answered(viewer, PACKED["half a message"])
        seen["the fifth bad one"] = str((await viewer.closed())[0])
    return seen
