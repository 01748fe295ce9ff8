"""Line breaks, control characters, made-up lines and tokens, wherever something could be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.attacks.answers import answered, said, told
from tests.wire import wire

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_commands_total{command="refused",outcome="invalid-message"}'
FORGED = '\r\n{"event": "show.ended", "level": "info"}\r\n\x1b[2J\x9b\u2028'
EXPECTED: Answers = {
    "in a path": "404 not-found",
    "in a query": "422 invalid-message",
    "in a header": "400",
    "in a body": "422 invalid-message",
    "in a show's title": "422 invalid-message",
    "in a message": "invalid-message",
    "as a message's name": "invalid-message",
}


async def attack(stage: Stage) -> Answers:
    """Say it everywhere, together with a token."""
    token = stage.viewer()
    text = FORGED + token
    coded = quote(text, safe="")
    seen = {
        "in a path": told(await stage.host("GET", f"/v1/shows/{coded}")),
        "in a query": told(await stage.host("GET", f"/v1/shows?limit={coded}")),
        "in a header": await said(stage, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\x1b\r\n\r\n"),
        "in a body": told(await stage.pay(token, text)),
        "in a show's title": told(
            await stage.host("POST", "/v1/shows", json={"title": text[:80], "currency": "EUR"})
        ),
    }
    async with wire(stage, token) as viewer:
        frame = viewer.frame({"type": "release", "id": text, "reservation": text})
        seen["in a message"] = await answered(viewer, frame)
        seen["as a message's name"] = await answered(viewer, viewer.frame({"type": text, "id": "a"}))
    return seen
