"""Those who take up a place and say nothing, or hardly anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.attacks.answers import said
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="3500"}'
HEAD = "GET /v1/shows/{show}/live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
EXPECTED: Answers = {"no word": "closed", "half a handshake": "408", "no hello": "3500"}


async def attack(stage: Stage) -> Answers:
    """Do all of it at the same time, and wait for the server to lose its patience."""
    ends = await asyncio.gather(
        said(stage, b""),
        said(stage, HEAD.format(show=stage.show).encode()),
        _silent(stage),
    )
    return dict(zip(EXPECTED, ends, strict=True))


async def _silent(stage: Stage) -> str:
    async with wire(stage) as viewer:
        return str((await viewer.closed())[0])
