"""The trail of actions: what hosts, moderators and services do leaves a row, and what viewers do leaves none."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from server.cli import actions as cli
from server.settings import Settings
from tests.problems import assert_problem
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage

Row = dict[str, Any]


@pytest.fixture
async def own_show(stage: Stage) -> str:
    """Give a show that nothing was done to but its making."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Watched", "currency": "EUR"})
    show: str = made.json()["id"]
    return show


async def rows(stage: Stage, show: str, count: int) -> list[Row]:
    """Return a show's rows, oldest first, once there are so many."""
    found: list[Row] = []

    async def there() -> bool:
        answer = await stage.host("GET", f"/v1/shows/{show}/actions?limit=200")
        assert answer.status_code == 200, answer.text
        found[:] = answer.json()["items"][::-1]
        return len(found) >= count

    await wait_for(there, f"{count} rows are there")
    assert len(found) == count, found
    return found


def told(row: Row) -> tuple[str, ...]:
    """Return who did what in which role, and what came of it."""
    return row["subject"], row["role"], row["verb"], row["outcome"]


async def test_a_host_s_actions_are_there_in_their_order(stage: Stage, own_show: str) -> None:
    """Made, started, a drop planned and opened: who, what, the object's id and the outcome; looking leaves nothing."""
    path = f"/v1/shows/{own_show}"
    await stage.host("POST", f"{path}/start")
    drop = (await stage.host("POST", f"{path}/drops", json={"sku": "MUG", "quantity": 1})).json()["id"]
    await stage.host("GET", f"{path}/drops")
    await stage.host("POST", f"{path}/drops/{drop}/open")
    await stage.host("POST", f"{path}/start")
    found = await rows(stage, own_show, 5)
    assert [told(row) for row in found] == [
        ("host", "host", "show_create", "ok"),
        ("host", "host", "show_start", "ok"),
        ("host", "host", "drop_create", "ok"),
        ("host", "host", "drop_open", "ok"),
        ("host", "host", "show_start", "wrong-state"),
    ]
    assert [row.get("object") for row in found] == [None, None, drop, drop, None]
    assert [row["at"] for row in found] == sorted(row["at"] for row in found)
    assert not any("request" in row or "show" in row for row in found)


async def test_attempts_are_there_too(stage: Stage, own_show: str) -> None:
    """Whoever is refused, for the role or for the show, is in the trail of the show that they reached for."""
    path = f"/v1/shows/{own_show}"
    for role in (Role.MODERATOR, Role.SERVICE, Role.HOST):
        token = stage.server.token(role, f"a-{role}", "sh_another")
        assert_problem(await stage.call("POST", f"{path}/end", token), 403, "not-allowed")
    _made, *refused = await rows(stage, own_show, 4)
    assert [told(row) for row in refused] == [
        (f"a-{role}", role, "show_end", "not-allowed") for role in ("moderator", "service", "host")
    ]


async def test_viewers_leave_no_row(stage: Stage, own_show: str) -> None:
    """Neither what they may do nor what they may not; nor does anybody without a token."""
    path = f"/v1/shows/{own_show}"
    viewer = stage.server.token(Role.VIEWER, "viewer", own_show)
    assert_problem(await stage.call("POST", f"{path}/start", viewer), 403, "not-allowed")
    await stage.call("POST", f"{path}/reservations", viewer, key="k", json={"items": []})
    assert (await stage.http.post(f"{path}/start")).status_code == 401
    await stage.host("POST", f"{path}/start")
    assert [row["verb"] for row in await rows(stage, own_show, 2)] == ["show_create", "show_start"]


async def test_a_repeat_is_no_action(stage: Stage, own_show: str) -> None:
    """What a key answers again changes nothing, and is not there a second time."""
    path, key = f"/v1/shows/{own_show}/drops", ids.secret(8)
    for _ in range(3):
        await stage.host("POST", path, key=key, json={"sku": "MUG", "quantity": 1})
    await stage.host("POST", f"/v1/shows/{own_show}/start")
    verbs = [row["verb"] for row in await rows(stage, own_show, 3)]
    assert verbs == ["show_create", "drop_create", "show_start"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("req-7 of the proxy", "req-7 of the proxy"), ("x" * 129, None), ("a\tb", None), ("", None)],
)
async def test_a_request_s_id_is_kept(stage: Stage, own_show: str, given: str, kept: str | None) -> None:
    """A short printable X-Request-ID is; nothing else that a header may hold."""
    token = stage.server.token(Role.HOST, "host")
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": given}
    await stage.http.post(f"/v1/shows/{own_show}/start", headers=headers)
    _made, started = await rows(stage, own_show, 2)
    assert started.get("request") == kept


async def test_tokens_are_of_the_shows_that_they_are_for(stage: Stage, own_show: str) -> None:
    """Minting and revoking leave a row in each show; the token and whom it is for are in none."""
    body = {"sub": "somebody-private", "role": "viewer", "shows": [own_show, stage.show]}
    minted = (await stage.host("POST", "/v1/tokens", json=body)).json()["token"]
    await stage.host("POST", "/v1/tokens/revoke", json={"sub": "somebody-private", "shows": [own_show]})
    found = await rows(stage, own_show, 3)
    assert [row["verb"] for row in found] == ["show_create", "token_mint", "token_revoke"]
    assert "somebody-private" not in json.dumps(found)
    assert minted not in json.dumps(found)


async def test_they_come_in_pages_and_to_the_host_alone(stage: Stage, own_show: str) -> None:
    """The newest first, with a cursor; no other show's host, no moderator and no service sees them."""
    for _ in range(4):
        await stage.host("PUT", f"/v1/shows/{own_show}/pinned", json={"skus": []})
    every = await rows(stage, own_show, 5)
    path, seen, after = f"/v1/shows/{own_show}/actions", list[Row](), ""
    while True:
        page = (await stage.host("GET", f"{path}?limit=2{after}")).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        after = f"&cursor={page['next_cursor']}"
    assert seen == every[::-1]
    for wrong in ("cursor=x", "cursor=WzFlMzBd", f"cursor=W{'5' * 40}", "limit=0"):
        assert_problem(await stage.host("GET", f"{path}?{wrong}"), 422, "invalid-message")
    for role in (Role.MODERATOR, Role.SERVICE):
        token = stage.server.token(role, "x", own_show)
        assert_problem(await stage.call("GET", path, token), 403, "not-allowed")
    stranger = stage.server.token(Role.HOST, "x", "sh_another")
    assert_problem(await stage.call("GET", path, stranger), 403, "not-allowed")
    assert_problem(await stage.host("GET", "/v1/shows/sh_none/actions"), 404, "not-found")


async def test_the_operator_prints_them(
    stage: Stage, own_show: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`livedrop audit --actions SHOW` prints the same rows, oldest first, as JSON or as a table."""
    await stage.host("POST", f"/v1/shows/{own_show}/start")
    found = await rows(stage, own_show, 2)
    done = await asyncio.to_thread(stage.server.command, "audit", "--actions", own_show, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)["actions"]
    assert [(row["at"], *told(row)) for row in printed] == [(row["at"], *told(row)) for row in found]
    ledger = stage.server.settings.get("DATABASE_URL", "")
    settings = Settings(data=stage.server.data, database_url=ledger)
    await asyncio.to_thread(cli.actions, settings, own_show, as_json=False)
    table = capsys.readouterr().out
    assert "show_start" in table
    assert "2 actions." in table
