"""Ids of what belongs to somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.auth import Role
from tests.attacks.answers import answered, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_commands_total{command="release",outcome="not-allowed"}'
FORBIDDEN = "403 not-allowed"
EXPECTED: Answers = {
    "look at a reservation": FORBIDDEN,
    "give it back": FORBIDDEN,
    "give it back by the socket": "not-allowed",
    "have its receipt": FORBIDDEN,
    "pay it": FORBIDDEN,
    "look at an order": FORBIDDEN,
    "cancel it": FORBIDDEN,
    "run the show": FORBIDDEN,
    "look at another show": FORBIDDEN,
}


async def attack(stage: Stage) -> Answers:
    """Let one viewer hold a unit and buy another; a second one, who knows the ids, tries what can be tried."""
    owner, thief = stage.viewer(), stage.viewer()
    held = (await stage.reserve(owner, await stage.drop(1))).json()["id"]
    bought = (await stage.reserve(owner, await stage.drop(1))).json()["id"]
    paid = await stage.pay(owner, bought)
    assert paid.status_code == 201, paid.text
    order = paid.json()["order"]["id"]
    path, stranger = f"/v1/reservations/{held}", stage.server.token(Role.VIEWER, "stranger", "sh_another")
    async with wire(stage, thief) as viewer:
        frame = viewer.frame({"type": "release", "id": "a", "reservation": held})
        by_socket = await answered(viewer, frame)
    return {
        "look at a reservation": told(await stage.call("GET", path, thief)),
        "give it back": told(await stage.call("DELETE", path, thief)),
        "give it back by the socket": by_socket,
        "have its receipt": told(await stage.call("GET", f"{path}/receipt", thief)),
        "pay it": told(await stage.pay(thief, held)),
        "look at an order": told(await stage.call("GET", f"/v1/orders/{order}", thief)),
        "cancel it": told(await stage.call("POST", f"/v1/orders/{order}/cancel", thief, json={})),
        "run the show": told(await stage.call("POST", f"/v1/shows/{stage.show}/end", thief)),
        "look at another show": told(await stage.call("GET", f"/v1/shows/{stage.show}", stranger)),
    }
