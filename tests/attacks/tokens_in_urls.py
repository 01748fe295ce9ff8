"""Tokens where histories, proxies and logs would keep them: in an address they count for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.answers import answered, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="3500"}'
EXPECTED: Answers = {
    "in a query": "401 unauthenticated",
    "in a query, as OAuth has it": "401 unauthenticated",
    "in a cookie": "401 unauthenticated",
    "in a socket's query": "3500",
}


async def attack(stage: Stage) -> Answers:
    """Bring a good token in every place but its own."""
    token = stage.viewer()
    path = f"/v1/shows/{stage.show}"
    seen = {
        "in a query": told(await stage.http.get(path, params={"token": token})),
        "in a query, as OAuth has it": told(await stage.http.get(path, params={"access_token": token})),
        "in a cookie": told(await stage.http.get(path, headers={"Cookie": f"token={token}"})),
    }
    async with wire(stage, show=f"{stage.show}/live?token={token}&x=") as viewer:
        seen["in a socket's query"] = await answered(viewer, viewer.frame({"type": "ping", "id": "a"}))
    return seen
