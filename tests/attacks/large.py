"""More bytes than a message or a body may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.protocol.codec import Codec
from tests.attacks.answers import answered, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="1009"}'
MESSAGE_BYTES = 65_536
EXPECTED: Answers = {
    "as much as may be": "pong",
    "a byte more": "1009",
    "a byte more in fragments": "1009",
    "a body": "413 payload-too-large",
}


async def attack(stage: Stage) -> Answers:
    """Send a message of the greatest size, one that is a byte larger, at once and in pieces, and a large body."""
    seen: Answers = {}
    for name, size in (("as much as may be", MESSAGE_BYTES), ("a byte more", MESSAGE_BYTES + 1)):
        async with wire(stage, stage.viewer(), codec=Codec.JSON) as viewer:
            seen[name] = await answered(viewer, ping(size))
    async with wire(stage, stage.viewer(), codec=Codec.JSON) as viewer:
        whole = ping(MESSAGE_BYTES + 1)
        await viewer.socket.send([whole[:40_000], whole[40_000:]])
        seen["a byte more in fragments"] = str((await viewer.closed())[0])
    body = b'{"reservations": ["' + b"x" * 70_000 + b'"]}'
    seen["a body"] = told(await stage.call("POST", "/v1/checkout", stage.viewer(), key="large", content=body))
    return seen


def ping(size: int) -> str:
    """Return a good message of so many bytes: what a newer client says more is ignored."""
    head, tail = '{"type":"ping","id":"a","more":"', '"}'
    return head + "0" * (size - len(head) - len(tail)) + tail
