"""More messages than anybody needs, of every kind that could be thought to be free."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage
    from tests.wire import Message, Wire

FIGURE = 'livedrop_closed_total{code="3013"}'
MESSAGES = 2000  # at once; 60 are a burst, and 20 a second are taken
KINDS: dict[str, Message] = {
    "pings": {"type": "ping", "id": "a"},
    "reactions": {"type": "react", "kind": "heart"},
    "reservations of nothing": {"type": "reserve", "id": "a", "drop": "dr_none", "quantity": 1},
}
# The refusals and the close may be lost where the flood meets a connection that has ended already; the figure is not.
EXPECTED: Answers = dict.fromkeys(KINDS, "rate-limited, 3013|rate-limited, 1006|taken, 1006")


async def attack(stage: Stage) -> Answers:
    """Send each kind as fast as it goes; return the refusal that came first, and the end."""
    return {name: await _flood(stage, message) for name, message in KINDS.items()}


async def _flood(stage: Stage, message: Message) -> str:
    async with wire(stage, stage.viewer()) as viewer:
        flood = asyncio.create_task(_sent(viewer, message))
        code, _ = await viewer.closed()
        await flood
        refused = any(each.get("code") == "rate-limited" for each in viewer.seen)
    return f"{'rate-limited' if refused else 'taken'}, {code}"


async def _sent(viewer: Wire, message: Message) -> None:
    frame = viewer.frame(message)
    with suppress(ConnectionClosed):
        for _ in range(MESSAGES):
            await viewer.raw(frame)
            await asyncio.sleep(0)  # so that the answers are read
