"""Revoked tokens on two servers of one store: open sockets are closed on both, and new ones are refused."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.auth import Role
from server.ledger.engines import FILE_NAME
from tests.problems import assert_problem
from tests.server import ServerProcess
from tests.stage import Stage
from tests.wire import NO_TLS, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.wire import Wire


@pytest.fixture(scope="module")
def gone(server: ServerProcess) -> str:
    """Give a token that was revoked before the second server began."""
    token = server.token(Role.VIEWER, "gone-before")
    shop = {"Authorization": f"Bearer {server.token(Role.SERVICE, 'shop')}"}
    url = f"{server.url}/v1/tokens/revoke"
    httpx.post(url, headers=shop, json={"sub": "gone-before"}, verify=NO_TLS).raise_for_status()
    return token


@pytest.fixture(scope="module")
def second(
    server: ServerProcess, gone: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Give another server on the store and the ledger of the first."""
    assert gone
    data = tmp_path_factory.mktemp("second") / "data"
    ledger = server.settings.get("DATABASE_URL") or f"sqlite:///{server.data / FILE_NAME}"
    there = {"REDIS_URL": server.store_url, "DATABASE_URL": ledger}
    one = ServerProcess(data, settings=there, options=("--no-work",)).start()
    yield one
    assert one.stop() == 0, one.log.read_text()


@pytest.fixture
async def other(stage: Stage, second: ServerProcess) -> AsyncIterator[Stage]:
    """Give the second server's stage on the same show."""
    async with httpx.AsyncClient(base_url=second.url, timeout=30, verify=NO_TLS) as http:
        one = Stage(second, http)
        one.show = stage.show
        yield one


async def revoke(stage: Stage, sub: str, token: str | None = None, **fields: Any) -> httpx.Response:
    """Revoke somebody's tokens, as a service unless told otherwise."""
    token = token or stage.server.token(Role.SERVICE, "shop")
    return await stage.call("POST", "/v1/tokens/revoke", token, json={"sub": sub, **fields})


async def sent_away(one: Wire) -> bool:
    """Return whether a connection was closed for good because of its token."""
    code, reason = await one.closed()
    return code == 3500 and "revoked" in reason["message"]


async def test_every_server_closes_and_refuses(stage: Stage, other: Stage) -> None:
    """On whichever server it is said: all sockets of the subject are closed with 3500, and its token opens none."""
    token, bystander = stage.viewer("thief"), stage.viewer("bystander")
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(wire(each, token)) for each in (stage, stage, other)]
        others = [await stack.enter_async_context(wire(each, bystander)) for each in (stage, other)]
        answer = await revoke(other, "thief")
        assert (answer.status_code, answer.json()["shows"]) == (200, ["*"]), answer.text
        assert [await sent_away(each) for each in sockets] == [True] * 3
        for socket in others:
            await socket.lives()
    for each in (stage, other):
        path = f"/v1/shows/{stage.show}"
        assert_problem(await each.call("GET", path, token), 401, "unauthenticated", "revoked")
        async with wire(each) as again:
            await again.send({"type": "hello", "token": token})
            assert await sent_away(again)
        assert (await each.call("GET", path, bystander)).status_code == 200


async def test_for_one_show_alone(stage: Stage, other: Stage) -> None:
    """A host revokes for a show of theirs: the token is refused there, with 3500 and 403, and good for any other."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Another", "currency": "EUR"})
    elsewhere = f"/v1/shows/{made.json()['id']}"
    token = stage.server.token(Role.VIEWER, "loud", stage.show, made.json()["id"])
    host = stage.server.token(Role.HOST, "guest-host", stage.show)
    async with wire(other, token) as socket:
        assert (await revoke(stage, "loud", host, shows=[stage.show])).status_code == 200
        assert await sent_away(socket)
    for each in (stage, other):
        assert_problem(await each.call("GET", f"/v1/shows/{stage.show}", token), 403, "not-allowed")
        assert (await each.call("GET", elsewhere, token)).status_code == 200
        async with wire(each) as again:
            await again.send({"type": "hello", "token": token})
            assert await sent_away(again)


async def test_a_later_token_counts(stage: Stage, other: Stage) -> None:
    """Tokens are revoked up to a moment: with a fresh one the subject is back, and its sockets stay open."""
    token = stage.viewer("back-again")
    answer = await revoke(stage, "back-again", before=1_000_000_000_000)
    assert answer.json()["before"] == 1_000_000_000_000
    for each in (stage, other):
        assert (await each.call("GET", f"/v1/shows/{stage.show}", token)).status_code == 200
    async with wire(other, token) as socket:
        assert (await revoke(stage, "back-again", before=1_000_000_000_001)).status_code == 200
        await socket.lives()


async def test_nobody_revokes_what_is_not_theirs(stage: Stage) -> None:
    """Hosts for their shows, and guests alone; viewers and moderators not at all; every show needs a token for all."""
    path = f"/v1/shows/{stage.show}"
    host = stage.server.token(Role.HOST, "small", stage.show)
    for role in (Role.VIEWER, Role.MODERATOR):
        refused = await revoke(stage, "somebody", stage.server.token(role, "x", stage.show))
        assert_problem(refused, 403, "not-allowed", f"A {role} may not")
    assert_problem(await revoke(stage, "somebody", host), 403, "not-allowed", "every show")
    assert_problem(await revoke(stage, "somebody", host, shows=["sh_none"]), 404, "not-found")
    shop, colleague = (
        stage.server.token(role, "colleague", stage.show) for role in (Role.SERVICE, Role.HOST)
    )
    assert (await revoke(stage, "colleague", host, shows=[stage.show])).status_code == 200
    for token in (shop, colleague):
        assert (await stage.call("GET", path, token)).status_code == 200
    assert (await revoke(stage, "colleague", shows=[stage.show])).status_code == 200
    for token in (shop, colleague):
        assert_problem(await stage.call("GET", path, token), 403, "not-allowed")


@pytest.mark.parametrize(
    "fields",
    [{"sub": ""}, {"sub": " x"}, {"shows": []}, {"shows": "*"}, {"before": 0}, {"before": 4_000_000_000_000}],
)
async def test_a_bad_revocation_is_refused(stage: Stage, fields: dict[str, Any]) -> None:
    """Somebody, some shows, and a moment that has been."""
    assert_problem(await revoke(stage, **{"sub": "x", **fields}), 422, "invalid-message")


async def test_a_server_that_begins_later_refuses(other: Stage, gone: str) -> None:
    """It has read the list before it answers anybody."""
    assert_problem(await other.call("GET", "/v1/shows", gone), 401, "unauthenticated", "revoked")
