"""What an error of the HTTP door must look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


def assert_problem(answer: httpx.Response, status: int, code: str, *said: str) -> None:
    """Assert an RFC 9457 problem with all its members, and words of its sentence."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), answer.text
    assert problem["title"]
    for words in said:
        assert words in problem["detail"], problem["detail"]
