"""Browsers that guess types, frame pages and run what they find; and curious people who ask what the server is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = ""  # nothing is refused: the answers forbid it to the browser
PATHS = ("/healthz", "/v1/nothing", "/openapi.json", "/")
EXPECTED: Answers = {
    "guessing types": "nosniff",
    "scripts and styles of others": "default-src 'none'",
    "frames": "frame-ancestors 'none'",
    "telling where one was": "no-referrer",
    "what the server is": "not told",
}


async def attack(stage: Stage) -> Answers:
    """Look at the headers of pages, answers and problems: the weakest counts."""
    answers = [(await stage.http.get(path)).headers for path in PATHS]
    policies = [set(headers.get("content-security-policy", "").split("; ")) for headers in answers]
    common = set.intersection(*policies)
    return {
        "guessing types": _all(headers.get("x-content-type-options", "") for headers in answers),
        "scripts and styles of others": _in(common, "default-src 'none'"),
        "frames": _in(common, "frame-ancestors 'none'"),
        "telling where one was": _all(headers.get("referrer-policy", "") for headers in answers),
        "what the server is": _all(headers.get("server", "not told") for headers in answers),
    }


def _all(values: Iterable[str]) -> str:
    return " and ".join(sorted(set(values)))


def _in(common: set[str], words: str) -> str:
    return words if words in common else "allowed"
