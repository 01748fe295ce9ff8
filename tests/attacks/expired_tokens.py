"""Who stays after their token has ended: the server closes, and does not wait to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.auth import Role
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="3005"}'
EXPECTED: Answers = {"staying": "3005"}
LIVES = (1, 2, 4, 8, 16)  # seconds; a machine that is slow to connect needs a longer one


async def attack(stage: Stage) -> Answers:
    """Come with a token that ends in a moment, and say nothing more."""
    for seconds in LIVES:
        async with wire(stage) as viewer:
            token = stage.server.token(Role.VIEWER, "short-lived", stage.show, ttl=seconds)
            await viewer.send({"type": "hello", "token": token})
            code, _ = await viewer.closed()
        if code == int(EXPECTED["staying"]):
            break
    return {"staying": str(code)}
