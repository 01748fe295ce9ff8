"""Who may do what: every role on every operation, whose shows, and what tokens a token may make."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from server.api.operations import OPERATIONS
from server.auth import Role
from tests.problems import assert_problem

if TYPE_CHECKING:
    from tests.stage import Stage

EVERYBODY = {Role.HOST, Role.MODERATOR, Role.VIEWER, Role.SERVICE}
HOST, VIEWER = {Role.HOST}, {Role.VIEWER}

# operation → who gets past the door; what they then find is the other tests' matter
ALLOWED: dict[str, set[Role]] = {
    "POST /v1/catalog/import": {Role.HOST, Role.SERVICE},
    "GET /v1/catalog/products": EVERYBODY,
    "GET /v1/catalog/products/{sku}": EVERYBODY,
    "POST /v1/shows": HOST,
    "GET /v1/shows": EVERYBODY,
    "GET /v1/shows/{show}": EVERYBODY,
    "POST /v1/shows/{show}/start": HOST,
    "POST /v1/shows/{show}/pause": HOST,
    "POST /v1/shows/{show}/resume": HOST,
    "POST /v1/shows/{show}/end": HOST,
    "PUT /v1/shows/{show}/pinned": HOST,
    "PUT /v1/shows/{show}/run": HOST,
    "PUT /v1/shows/{show}/video": HOST,
    "GET /v1/shows/{show}/metrics": HOST,
    "GET /v1/shows/{show}/metrics/series": HOST,
    "GET /v1/shows/{show}/orders": HOST,
    "POST /v1/shows/{show}/drops": HOST,
    "GET /v1/shows/{show}/drops": EVERYBODY,
    "GET /v1/shows/{show}/drops/{drop}": EVERYBODY,
    "POST /v1/shows/{show}/drops/{drop}/open": HOST,
    "POST /v1/shows/{show}/drops/{drop}/cancel": HOST,
    "POST /v1/shows/{show}/drops/{drop}/pause": HOST,
    "POST /v1/shows/{show}/drops/{drop}/resume": HOST,
    "POST /v1/shows/{show}/drops/{drop}/close": HOST,
    "POST /v1/shows/{show}/drops/{drop}/restock": HOST,
    "POST /v1/shows/{show}/drops/{drop}/wave": HOST,
    "GET /v1/shows/{show}/drops/{drop}/draw": EVERYBODY,
    "POST /v1/shows/{show}/drops/{drop}/waitlist": VIEWER,
    "GET /v1/shows/{show}/drops/{drop}/waitlist": VIEWER,
    "DELETE /v1/shows/{show}/drops/{drop}/waitlist": VIEWER,
    "POST /v1/shows/{show}/drops/{drop}/reservations": VIEWER,
    "POST /v1/shows/{show}/reservations": VIEWER,
    "GET /v1/reservations/{reservation}": EVERYBODY,
    "DELETE /v1/reservations/{reservation}": VIEWER,
    "GET /v1/reservations/{reservation}/receipt": EVERYBODY,
    "POST /v1/receipts/verify": EVERYBODY,
    "POST /v1/checkout": VIEWER,
    "GET /v1/orders/{order}": EVERYBODY,
    "POST /v1/orders/{order}/cancel": HOST,
    "POST /v1/orders/{order}/refund": HOST,
    "POST /v1/orders/{order}/fulfil": HOST,
    "GET /v1/payments/methods": EVERYBODY,
    "POST /v1/tokens": {Role.HOST, Role.SERVICE},
    "POST /v1/webhooks": {Role.HOST, Role.SERVICE},
    "GET /v1/webhooks": {Role.HOST, Role.SERVICE},
    "GET /v1/webhooks/{webhook}": {Role.HOST, Role.SERVICE},
    "DELETE /v1/webhooks/{webhook}": {Role.HOST, Role.SERVICE},
    "POST /v1/webhooks/{webhook}/test": {Role.HOST, Role.SERVICE},
    "POST /v1/webhooks/{webhook}/replay": {Role.HOST, Role.SERVICE},
    "POST /v1/webhooks/{webhook}/rotate": {Role.HOST, Role.SERVICE},
    "POST /v1/webhooks/{webhook}/enable": {Role.HOST, Role.SERVICE},
}
GIVEN = {
    "show": "sh_none",
    "drop": "dr_none",
    "reservation": "rs_none",
    "order": "or_none",
    "sku": "NONE",
    "webhook": "we_none",
}
OF_A_SHOW = [name for name in ALLOWED if "{show}" in name]
# minter → the roles that it may give away
MINTABLE = {
    Role.HOST: {Role.VIEWER, Role.MODERATOR},
    Role.SERVICE: {Role.VIEWER, Role.MODERATOR, Role.HOST},
}


def test_the_table_names_every_operation() -> None:
    """A new operation must say here who may call it, unless it asks for no token."""
    served = {f"{each.method} {re.sub(':path}', '}', each.path)}" for each in OPERATIONS if each.right}
    assert served == ALLOWED.keys()


@pytest.mark.parametrize("operation", ALLOWED)
async def test_every_role_on_every_operation(stage: Stage, operation: str) -> None:
    """Those in the table get past the door, all others get 403 with their role, and nobody enters without a token."""
    method, _, path = operation.partition(" ")
    path = path.format(**GIVEN)
    for role in Role:
        answer = await stage.call(method, path, stage.server.token(role, "somebody"), key=f"{role}")
        if role in ALLOWED[operation]:
            assert answer.status_code in {200, 201, 404, 409, 422}, answer.text
        else:
            assert_problem(answer, 403, "not-allowed", f"A {role} may not")
    expired = stage.server.token(Role.HOST, "somebody", ttl=-1)
    assert_problem(await stage.call(method, path, expired, key="k"), 401, "unauthenticated", "expired")
    assert_problem(await stage.http.request(method, path), 401, "unauthenticated", "Bearer")


@pytest.mark.parametrize("operation", OF_A_SHOW)
async def test_nobody_reaches_into_another_show(stage: Stage, operation: str) -> None:
    """A token for another show is 403 on every operation of a show, for every role that could."""
    method, _, path = operation.partition(" ")
    path = path.format(**{**GIVEN, "show": stage.show})
    bodies: dict[str, Any] = {
        "drops": {"sku": "MUG", "quantity": 1},
        "pinned": {"skus": []},
        "run": {"drops": []},
        "video": {"url": None},
        "reservations": {"quantity": 1, "items": [{"drop": "dr_none", "quantity": 1}]},
        "restock": {"quantity": 1},
    }
    body = bodies.get(path.rpartition("/")[2]) if method != "GET" else None
    for role in sorted(ALLOWED[operation]):
        token = stage.server.token(role, "stranger", "sh_another")
        answer = await stage.call(method, path, token, key="k", json=body)
        assert_problem(answer, 403, "not-allowed", f"The token is not for show {stage.show}.")


async def test_a_host_owns_what_they_made(stage: Stage) -> None:
    """Whoever made a show runs it though their token does not name it; another host does not."""
    owner = stage.server.token(Role.HOST, "owner", "sh_another")
    made = await stage.call("POST", "/v1/shows", owner, json={"title": "Mine", "currency": "EUR"})
    path = f"/v1/shows/{made.json()['id']}"
    assert (await stage.call("POST", f"{path}/start", owner)).status_code == 200
    stranger = stage.server.token(Role.HOST, "stranger", "sh_another")
    assert_problem(await stage.call("POST", f"{path}/end", stranger), 403, "not-allowed")
    namesake = stage.server.token(Role.VIEWER, "owner", "sh_another")
    assert_problem(await stage.call("GET", path, namesake), 403, "not-allowed")
    assert made.json()["id"] in {
        show["id"] for show in (await stage.call("GET", "/v1/shows", owner)).json()["items"]
    }


async def mint(stage: Stage, token: str, role: Role, shows: list[str], **fields: Any) -> Any:
    """Ask for a token."""
    body = {"sub": "guest", "role": role.value, "shows": shows, **fields}
    return await stage.call("POST", "/v1/tokens", token, json=body)


@pytest.mark.parametrize("minter", MINTABLE)
async def test_who_mints_whom(stage: Stage, minter: Role) -> None:
    """Hosts mint viewers and moderators, services also hosts; the token works, as what it was made for."""
    token = stage.server.token(minter, "minter", stage.show)
    for role in Role:
        minted = await mint(stage, token, role, [stage.show], ttl_seconds=60)
        if role not in MINTABLE[minter]:
            assert_problem(minted, 403, "not-allowed", f"A {minter} may not mint a {role}.")
            continue
        assert minted.status_code == 201, minted.text
        assert minted.json().keys() == {"token", "expires_at"}
        identity = stage.server.tokens.verify(minted.json()["token"])
        assert (identity.subject, identity.role) == ("guest", role)
        assert identity.shows == {stage.show}
        assert identity.expires_at == minted.json()["expires_at"]
        assert (await stage.call("GET", f"/v1/shows/{stage.show}", minted.json()["token"])).status_code == 200


async def test_nobody_gives_away_what_is_not_theirs(stage: Stage) -> None:
    """Other shows, every show and shows that are not cannot be given by who does not have them."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Other", "currency": "EUR"})
    for minter in MINTABLE:
        token = stage.server.token(minter, "minter", stage.show)
        for shows in ([made.json()["id"]], ["*"], [stage.show, made.json()["id"]]):
            assert_problem(await mint(stage, token, Role.VIEWER, shows), 403, "not-allowed")
        assert_problem(await mint(stage, token, Role.VIEWER, ["sh_none"]), 404, "not-found", "sh_none")
        everything = stage.server.token(minter, "minter")
        assert (await mint(stage, everything, Role.VIEWER, ["*"])).status_code == 201


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sub": ""}, "sub: Expected `str` of length >= 1, given 0 characters."),
        ({"sub": "x" * 129}, "sub: Expected `str` of length <= 128, given 129 characters."),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": " a"}, "sub"),
        ({"role": "king"}, "role: Invalid enum value 'king'"),
        ({"shows": "*"}, "shows: Expected `array`, got `str`"),
        ({"shows": ["x"] * 101}, "shows: Expected `array` of length <= 100"),
        ({"ttl_seconds": 0}, "ttl_seconds: Expected `int` >= 1, given 0."),
        ({"ttl_seconds": 2_592_001}, "ttl_seconds: Expected `int` <= 2592000, given 2592001."),
    ],
)
async def test_a_bad_token_request_is_refused(stage: Stage, fields: dict[str, Any], said: str) -> None:
    """Subjects are printable names of up to 128 characters, tokens live up to 30 days."""
    body = {"sub": "guest", "role": "viewer", "shows": [stage.show], **fields}
    assert_problem(await stage.host("POST", "/v1/tokens", json=body), 422, "invalid-message", said)
