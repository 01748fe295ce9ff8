"""Tokens that nobody here has signed, or not like this."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt

from tests.attacks.answers import answered, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_closed_total{code="3500"}'
GUESS = "a-secret-that-somebody-has-guessed-wrongly"
STRANGER = "401 unauthenticated"
EXPECTED: Answers = {
    "no signature": STRANGER,
    "no algorithm": STRANGER,
    "None in capitals": STRANGER,
    "another secret": STRANGER,
    "another algorithm": STRANGER,
    "a key in the header": STRANGER,
    "something critical": STRANGER,
    "another role": STRANGER,
    "a longer life": STRANGER,
    "no token": STRANGER,
    "no algorithm, by the socket": "3500",
}


async def attack(stage: Stage) -> Answers:
    """Bend a good token in every way, and knock at both doors."""
    token = stage.viewer()
    header, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    none = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}."
    forged = {
        "no signature": f"{header}.{body}.",
        "no algorithm": none,
        "None in capitals": f"{_part({'alg': 'NONE'})}.{body}.{signature}",
        "another secret": jwt.encode(claims, GUESS, algorithm="HS256"),
        "another algorithm": jwt.encode(claims, GUESS * 2, algorithm="HS512"),
        "a key in the header": jwt.encode(claims, GUESS, headers={"jwk": {"kty": "oct", "k": GUESS}}),
        "something critical": jwt.encode(claims, GUESS, headers={"crit": ["b64"], "b64": False}),
        "another role": f"{header}.{_part({**claims, 'role': 'host'})}.{signature}",
        "a longer life": f"{header}.{_part({**claims, 'exp': 2**40})}.{signature}",
        "no token": "nonsense",
    }
    path = f"/v1/shows/{stage.show}"
    seen = {name: told(await stage.call("GET", path, each)) for name, each in forged.items()}
    async with wire(stage) as viewer:
        hello = viewer.frame({"type": "hello", "token": none})
        seen["no algorithm, by the socket"] = await answered(viewer, hello)
    return seen


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
