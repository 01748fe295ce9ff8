"""Addresses that callers make up for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from tests.attacks.answers import told

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_commands_total{command="http.reserve",outcome="limit-reached"}'
NO_LIMIT = "no limit per address"  # a server without LIVEDROP_UNITS_PER_ADDRESS has nothing to get around
HEADERS = {
    "X-Forwarded-For": "203.0.113.7",
    "Forwarded": "for=203.0.113.7",
    "X-Real-IP": "203.0.113.7",
    "True-Client-IP": "203.0.113.7",
}
EXPECTED: Answers = dict.fromkeys(HEADERS, f"409 limit-reached|{NO_LIMIT}")


async def attack(stage: Stage) -> Answers:
    """Take what an address may have of a drop, and come back as if from another one."""
    drop = await stage.drop(10)
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    while (await stage.reserve(stage.viewer(), drop)).status_code == 201:
        if (await stage.stock(drop))["available"] == 0:
            return dict.fromkeys(HEADERS, NO_LIMIT)
    seen: Answers = {}
    for name, address in HEADERS.items():
        headers = {
            "Authorization": f"Bearer {stage.viewer()}",
            "Idempotency-Key": ids.secret(8),
            name: address,
        }
        seen[name] = told(await stage.http.post(path, headers=headers, json={"quantity": 1}))
    return seen
