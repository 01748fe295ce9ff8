"""What callers of the HTTP door meet beyond a limit: the door alone, with a clock that stands still, no server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server.api.http import PRESSING, Answer, Call, Operation, endpoint
from server.api.operations import OPERATIONS
from server.auth import Right, Role, Tokens
from server.limits import limits
from server.limits.limits import Limits
from server.limits.telling import Telling
from server.settings import Settings
from tests.limits.gone import Gone
from tests.problems import assert_problem
from tests.server import SECRET

if TYPE_CHECKING:
    from server.house import House

HERE, THERE = "203.0.113.7", "203.0.113.8"
NOW = 1000.0
TOKENS = Tokens(SECRET)
ANN = TOKENS.mint("ann", Role.VIEWER, ["sh_a"], 3600)[0]
HOST = TOKENS.mint("ann", Role.HOST, ["sh_a"], 3600)[0]


async def handler(_call: Call) -> Answer:
    return Answer({"here": True})


def door(telling: Telling, **settings: Any) -> Starlette:
    """Return an app of three operations: one like most, one that settles what is held, one that asks for no token."""
    chosen = Settings(**settings)
    rooms: Any = SimpleNamespace(settings=chosen, tokens=TOKENS, limits=Limits(chosen, telling))
    operations = [
        Operation("GET", "/usual", "usual", "Like most", handler, Right.LOOK, dict),
        Operation("GET", "/pressing", "release", "Settles what is held", handler, Right.LOOK, dict),
        Operation("POST", "/webhook", "payment_webhook", "Asks for no token", handler, None, None),
    ]
    return Starlette(
        routes=[Route(each.path, endpoint(each, rooms), methods=[each.method]) for each in operations]
    )


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time go by."""
    monkeypatch.setattr(limits, "monotonic", lambda: NOW)


@pytest.fixture
def telling() -> Telling:
    """Give a line to a store that is not there: each process limits by itself."""
    return Telling(Gone(), b"key")  # type: ignore[arg-type]  # a stand-in


async def call(
    app: Starlette, path: str = "/usual", token: str | None = ANN, address: str = HERE
) -> httpx.Response:
    """Send one request from an address."""
    transport = httpx.ASGITransport(app, client=(address, 1234))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
        return await http.request("POST" if path == "/webhook" else "GET", path, headers=headers)


async def statuses(app: Starlette, times: int, **more: Any) -> list[int]:
    """Send the same request so often; return the answers' statuses."""
    return [(await call(app, **more)).status_code for _ in range(times)]


async def test_a_caller_beyond_the_limit_is_told_when_to_come_back(telling: Telling) -> None:
    """429 with whole seconds in the header and milliseconds in the problem; others are served."""
    app = door(telling, requests_per_second=2)
    assert await statuses(app, 11) == [200] * 10 + [429]
    refused = await call(app)
    assert_problem(refused, 429, "rate-limited", "A viewer may send 2 requests per second")
    assert refused.json()["retry_after_ms"] == 500
    assert refused.headers["retry-after"] == "1"
    assert (await call(app, token=HOST)).status_code == 200


async def test_an_address_beyond_the_limit_settles_what_it_holds(telling: Telling) -> None:
    """Whoever shares a crowded address can still pay and give back; another address is not crowded."""
    app = door(telling, requests_per_address=1)
    assert await statuses(app, 6) == [200] * 5 + [429]
    refused = await call(app, token=HOST)
    assert_problem(refused, 429, "rate-limited", f"1 requests per second are taken from {HERE}")
    assert (await call(app, "/pressing")).status_code == 200
    assert (await call(app, address=THERE)).status_code == 200


def test_what_settles_is_there() -> None:
    """The operations that no crowded address keeps from being carried out are some of the table."""
    assert set(PRESSING) <= {operation.name for operation in OPERATIONS}


async def test_without_a_token_nothing_is_counted(telling: Telling) -> None:
    """A payment provider's webhook finds no limit, and a request without a token is no failed sign-in."""
    app = door(telling, requests_per_second=1, requests_per_address=1, failed_sign_ins=1)
    assert await statuses(app, 30, path="/webhook", token=None) == [200] * 30
    assert await statuses(app, 5, token=None) == [401] * 5
    assert (await call(app, "/pressing")).status_code == 200


async def test_after_bad_tokens_no_token_is_looked_at(telling: Telling) -> None:
    """Three a minute: then 429 for good tokens of that address too, on all operations, and on no other address."""
    app = door(telling, failed_sign_ins=3)
    assert await statuses(app, 5, token="bad") == [401] * 3 + [429] * 2
    refused = await call(app, "/pressing")
    assert_problem(refused, 429, "rate-limited", f"Too many tokens from {HERE} were not valid")
    assert refused.json()["retry_after_ms"] == 20_000
    assert refused.headers["retry-after"] == "20"
    assert (await call(app, address=THERE)).status_code == 200
    assert (await call(app, "/webhook", token=None)).status_code == 200


async def test_two_processes_share_the_failures_of_an_address(house: House) -> None:
    """Who has used up their one try a minute at one process finds one at the next, and none after that."""
    lines = [Telling(house.scripts, SECRET.encode()) for _ in range(2)]
    first, second = (door(line, failed_sign_ins=1) for line in lines)
    address = "198.51.100.23"
    assert await statuses(first, 2, token="bad", address=address) == [401, 429]
    await lines[0].told()
    met = []
    for _ in range(4):
        met += await statuses(second, 1, token="bad", address=address)
        await lines[1].told()
    assert met == [401, 429, 429, 429]
