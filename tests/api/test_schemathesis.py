"""Made-up requests to every operation: no answer is a failure of the server, and each is as the document says.

A few for each operation, the same in every run; `make contract` makes them up for two minutes.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from tests.contract import hooks, leads
from tests.contract.cast import Cast
from tests.contract.checks import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import APIOperation, Case

    from tests.server import ServerProcess

# How many requests for each operation: that can be done, that the document allows, and that it does not.
LED, MADE, WRONG = 2, 2, 2
MADE_UP = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Operations that no request here can have done, and why; there may be a few.
NEVER_DONE: dict[str, str] = {}
SHARE = 0.05  # of all operations, at most


@pytest.fixture
def document(server: ServerProcess) -> Iterator[dict[str, Any]]:
    """Give the server's document, and let a cast play on it."""
    with Cast(server.url) as cast:
        hooks.casts.append(cast)
        yield requests.get(f"{server.url}/openapi.json", timeout=10).json()
        hooks.casts.remove(cast)


def operations(document: dict[str, Any], server: ServerProcess) -> list[APIOperation[Any, Any, Any, Any]]:
    """Return what schemathesis finds in a document."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def statuses(operation: APIOperation[Any, Any, Any, Any], session: requests.Session) -> set[int]:
    """Send made-up requests to an operation and return the statuses of its answers. Raises FailureGroup."""
    met: set[int] = set()
    left_out: list[Any] = [CHECKS.get_one(name) for name in LEFT_OUT]

    def send(mode: GenerationMode, count: int) -> None:
        @settings(MADE_UP, max_examples=count)
        @given(case=operation.as_strategy(generation_mode=mode))
        def sent(case: Case[Any]) -> None:
            met.add(case.call_and_validate(session=session, excluded_checks=left_out).status_code)

        sent()

    with hooks.leading():
        send(GenerationMode.POSITIVE, LED)
    send(GenerationMode.POSITIVE, MADE)
    with suppress(Unsatisfiable):  # what takes no token and reads no body cannot be asked wrongly
        send(GenerationMode.NEGATIVE, WRONG)
    return met


def never_done(met: dict[str, set[int]]) -> set[str]:
    """Return the operations none of whose answers is a good one."""
    return {label for label, found in met.items() if min(found) >= HTTPStatus.MULTIPLE_CHOICES}


def test_answers_to_made_up_requests_are_as_described(
    server: ServerProcess, document: dict[str, Any]
) -> None:
    """No 500 and no other status, content type or body than described; wrong requests are refused, tokens asked for.

    Every operation is done at least once, but for those that are named with the reason.
    """
    with requests.Session() as session:
        met = {each.label: statuses(each, session) for each in operations(document, server)}
    never = never_done(met)
    assert never == NEVER_DONE.keys(), {label: met[label] for label in never}
    assert len(NEVER_DONE) <= SHARE * len(met)


def test_an_operation_that_is_never_done_is_noticed(
    server: ServerProcess, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list can be wrong: where nothing leads to a webhook that is there, every answer is a refusal."""
    label = "GET /v1/webhooks/{webhook}"
    monkeypatch.delitem(leads.LEADS, label)
    looking = next(each for each in operations(document, server) if each.label == label)
    with requests.Session() as session:
        assert never_done({label: statuses(looking, session)}) == {label}


@pytest.mark.parametrize("wrong", ["status", "body", "content type"])
def test_a_document_that_says_otherwise_is_found(
    server: ServerProcess, document: dict[str, Any], wrong: str
) -> None:
    """The check can fail: with another status, shape or type in the document the same answers are complained of."""
    changed = copy.deepcopy(document)
    described = changed["paths"]["/v1/shows"]["get"]["responses"]
    match wrong:
        case "status":
            described["299"] = described.pop("200")
        case "body":
            described["200"]["content"]["application/json"]["schema"] = {"type": "array"}
        case _:
            described["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    listing = next(each for each in operations(changed, server) if each.label == "GET /v1/shows")
    with requests.Session() as session, pytest.raises(FailureGroup):
        statuses(listing, session)
