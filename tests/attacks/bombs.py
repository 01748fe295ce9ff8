"""Few compressed bytes that would be many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from server.protocol.codec import Codec
from tests.attacks.answers import answered
from tests.attacks.large import MESSAGE_BYTES, ping
from tests.wire import Wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="1009"}'
NOT_AGREED = (
    "no compression"  # a server without LIVEDROP_DEFLATE agrees to none, and nothing is to be inflated
)
SIZES = {
    "as much as may be": MESSAGE_BYTES,
    "a byte more": MESSAGE_BYTES + 1,
    "a thousand times more": MESSAGE_BYTES * 1000,
}
EXPECTED: Answers = dict.fromkeys(SIZES, f"1009|{NOT_AGREED}") | {"as much as may be": f"pong|{NOT_AGREED}"}


async def attack(stage: Stage) -> Answers:
    """Send zeros that are compressed to almost nothing."""
    return {name: await _inflated(stage, size) for name, size in SIZES.items()}


async def _inflated(stage: Stage, size: int) -> str:
    address = f"ws{stage.server.url.removeprefix('http')}/v1/shows/{stage.show}/live"
    names = [Subprotocol(Codec.JSON.value)]
    async with connect(
        address, subprotocols=names, compression="deflate", max_size=None, proxy=None
    ) as socket:
        if not socket.protocol.extensions:
            return NOT_AGREED
        viewer = Wire(socket, Codec.JSON)
        await viewer.hello(stage.viewer())
        return await answered(viewer, ping(size))
