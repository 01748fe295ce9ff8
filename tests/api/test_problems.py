"""Problems as HTTP answers: their headers say what a client's library acts on."""

from __future__ import annotations

import msgspec
import pytest

from server.api.http import problem_response
from server.errors import Code, Problem, unavailable
from server.inventory.batcher import full
from server.inventory.outcomes import out_of_stock


@pytest.mark.parametrize(("problem", "seconds"), [(full(8192), "1"), (unavailable("Not now.", 2500), "3")])
def test_who_comes_back_later_is_told_when(problem: Problem, seconds: str) -> None:
    """429 and 503 have a Retry-After in whole seconds, never shorter than the body's milliseconds."""
    response = problem_response(problem)
    assert response.status_code in {429, 503}
    assert response.headers["retry-after"] == seconds
    assert msgspec.json.decode(bytes(response.body))["retry_after_ms"] <= int(seconds) * 1000


def test_what_is_refused_for_good_names_no_time() -> None:
    """A 409 has its numbers and no Retry-After."""
    response = problem_response(out_of_stock(3, 1, 2))
    document = msgspec.json.decode(bytes(response.body))
    assert response.status_code == 409
    assert (document["available"], document["held"]) == (1, 2)
    assert "retry-after" not in response.headers


def test_who_is_unknown_is_told_how_to_identify() -> None:
    """A 401 names the scheme (RFC 9110, 11.6.1)."""
    response = problem_response(Problem(Code.UNAUTHENTICATED, "Who is there?"))
    assert response.headers["www-authenticate"] == "Bearer"
