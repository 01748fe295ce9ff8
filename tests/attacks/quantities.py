"""Numbers of units that are none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.attacks.answers import answered, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_commands_total{command="refused",outcome="invalid-message"}'
NUMBERS: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "less than infinity": -math.inf,
    "half a unit": 0.5,
    "one, as a float": 1.0,
    "none": 0,
    "less than none": -1,
    "2^63": 2**63,
    "2^64 less one": 2**64 - 1,
    "yes": True,
    "text": "1",
    "a list": [1],
}
BODIES = {"by HTTP, 1e400": b'{"quantity": 1e400}', "by HTTP, NaN": b'{"quantity": NaN}'}
EXPECTED: Answers = dict.fromkeys(NUMBERS, "invalid-message") | dict.fromkeys(BODIES, "422 invalid-message")


async def attack(stage: Stage) -> Answers:
    """Reserve each number of units; afterwards not one is gone."""
    drop = await stage.drop(5)
    seen: Answers = {}
    for name, number in NUMBERS.items():
        async with wire(stage, stage.viewer()) as viewer:
            message = {"type": "reserve", "id": "a", "drop": drop, "quantity": number}
            seen[name] = await answered(viewer, viewer.frame(message))
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    for name, body in BODIES.items():
        seen[name] = told(await stage.call("POST", path, stage.viewer(), key=name, content=body))
    assert stage.numbers(await stage.stock(drop)) == (5, 0, 0)
    return seen
