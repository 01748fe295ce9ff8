"""Who may do what: every role on every operation, whose shows, and what tokens a token may make."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest

from server.api.operations import OPERATIONS as DOORS
from server.auth import RIGHTS, Role
from server.protocol.commands import AnyCommand
from tests.api import roles
from tests.api.roles import COMMANDS, OPERATIONS, PAST, STRANGER, Case, Line
from tests.problems import assert_problem
from tests.server import free_port
from tests.stage import Stage
from tests.wire import NO_TLS, wire

if TYPE_CHECKING:
    from tests.server import ServerProcess

# minter → the roles that it may give away
MINTABLE = {
    Role.HOST: {Role.VIEWER, Role.MODERATOR},
    Role.SERVICE: {Role.VIEWER, Role.MODERATOR, Role.HOST},
}
NONE = {
    "show": "sh_none",
    "drop": "dr_none",
    "reservation": "rs_none",
    "order": "or_none",
    "sku": "NONE",
    "webhook": "we_none",
}
ELSEWHERE = "sh_another"


@dataclass(frozen=True, slots=True)
class Things:
    """What there is in a show: the ids of a path, and who each thing belongs to."""

    path: dict[str, str]
    owners: dict[Role, str]

    def bodies(self) -> dict[str, dict[str, Any]]:
        """Return what operations are sent by the end of their path, so that they come as far as to look whose it is."""
        item, paid = {"drop": self.path["drop"], "quantity": 1}, {"method": "card", "token": "tok_ok"}
        somebody = {"sub": "guest", "role": "viewer", "shows": [self.path["show"]]}
        return {
            "drops": {"sku": "MUG", "quantity": 1},
            "pinned": {"skus": []},
            "run": {"drops": []},
            "video": {"url": None},
            "reservations": {"quantity": 1, "items": [item]},
            "restock": {"quantity": 1},
            "checkout": {"reservations": [self.path["reservation"]], "payment": paid},
            "tokens": somebody,
            "revoke": {"sub": "nobody-here", "shows": [self.path["show"]]},
            "replay": {"since_at": 0},
            "webhooks": {"url": "http://127.0.0.1:1/", "events": ["order.fulfilled"]},
        }


@pytest.fixture(scope="module")
def things(server: ServerProcess, show: str) -> Things:
    """Give a show with one of everything: a viewer's reservation and order, and a host's webhook."""
    return asyncio.run(_made(server, show))


async def _made(server: ServerProcess, show: str) -> Things:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        stage.show = show
        drop = await stage.drop(limit_per_viewer=5)
        buyer = server.token(Role.VIEWER, "buyer", show)
        held = [(await stage.reserve(buyer, drop)).json()["id"] for _ in range(2)]
        paid = await stage.pay(buyer, held.pop())
        hook = {"url": f"http://127.0.0.1:{free_port()}/", "events": ["order.fulfilled"]}
        made = await stage.call("POST", "/v1/webhooks", server.token(Role.HOST, "maker", show), json=hook)
        order = paid.json()["order"]["id"]
    named = {"show": show, "drop": drop, "reservation": held[0], "order": order, "webhook": made.json()["id"]}
    owners = {Role.HOST: "maker", Role.MODERATOR: "buyer", Role.VIEWER: "buyer", Role.SERVICE: "maker"}
    return Things({**named, "sku": "MUG"}, owners)


def test_the_table_names_every_operation() -> None:
    """A new operation must say there who may call it and whose things it is about, unless it asks for no token."""
    served = {f"{each.method} {re.sub(':path}', '}', each.path)}" for each in DOORS if each.right}
    assert served == OPERATIONS.keys()


def test_the_table_names_every_command() -> None:
    """So must a new command of the live socket."""
    assert {each.__struct_config__.tag for each in get_args(AnyCommand)} == COMMANDS.keys()


def test_the_roles_of_the_table_are_those_of_the_code() -> None:
    """The rights of `server/auth.py` and the right that an operation asks for come to the very same roles."""
    for each in DOORS:
        if each.right is not None:
            line = OPERATIONS[f"{each.method} {re.sub(':path}', '}', each.path)}"]
            assert {role for role in Role if each.right in RIGHTS[role]} == line.roles, each.name


def test_the_page_is_current() -> None:
    """docs/roles.md says what the table says; if not: python -m tests.api.roles."""
    assert roles.PAGE.read_text(encoding="utf-8") == roles.written()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_role_on_every_operation(stage: Stage, things: Things, operation: str) -> None:
    """Each role, with a token of the owner, of somebody else, for another show, expired, or without one.

    Whoever is let past with their own token is tried on what is not there, so that nothing here changes anything.
    """
    line = OPERATIONS[operation]
    for role in Role:
        for case in Case:
            answer = await _tried(stage, things, operation, role, case)
            _assert_as_expected(answer, line, role, case)
    method, _, path = operation.partition(" ")
    expired = stage.server.token(Role.HOST, "somebody", ttl=-1)
    answer = await stage.call(method, path.format(**NONE), expired, key="k")
    assert_problem(answer, 401, "unauthenticated", "expired")


async def _tried(stage: Stage, things: Things, operation: str, role: Role, case: Case) -> httpx.Response:
    method, _, path = operation.partition(" ")
    harmless = OPERATIONS[operation].expected(role, case) == PAST
    body = None if method == "GET" or harmless else things.bodies().get(path.rpartition("/")[2])
    path = path.format(**(NONE if harmless else things.path))
    extra: dict[str, Any] = {} if body is None else {"json": body}
    if case is Case.NOTHING:
        return await stage.http.request(method, path, **extra)
    owner = things.owners[role]
    subject = f"not-{owner}" if case is Case.FOREIGN_OWNER else owner
    shows = [ELSEWHERE] if case is Case.FOREIGN_SHOW else [stage.show] if case is Case.FOREIGN_OWNER else []
    return await stage.call(
        method, path, stage.server.token(role, subject, *shows), key=f"{role} {case}", **extra
    )


def _assert_as_expected(answer: httpx.Response, line: Line, role: Role, case: Case) -> None:
    expected = line.expected(role, case)
    told = f"{answer.request.method} {answer.request.url.path}, {role}, {case}: {answer.text}"
    if expected == PAST:
        assert answer.status_code in {200, 201, 404, 409, 422}, told
    elif expected == STRANGER:
        assert_problem(answer, 401, "unauthenticated", "Bearer")
    else:
        assert answer.status_code == expected, told
        if role not in line.roles:
            assert f"A {role} may not" in answer.json()["detail"], told


async def test_every_role_on_every_command(stage: Stage, things: Things) -> None:
    """On the live socket the roles of the table are answered, the others hear `not-allowed`, or are not let in."""
    drop, item = things.path["drop"], {"drop": things.path["drop"], "quantity": 1}
    said: dict[str, dict[str, Any]] = {
        "ping": {},
        "react": {"kind": "heart"},
        "reserve": {"drop": drop, "quantity": 100},
        "bundle": {"items": [{**item, "quantity": 100}]},
        "release": {"reservation": "rs_none"},
        "waitlist.join": item,
        "waitlist.leave": {"drop": drop},
        "chat": {"text": "hi"},
        "question": {"text": "why?"},
    }
    for role in sorted(COMMANDS["hello"]):
        token = stage.server.token(role, f"talker-{role}", stage.show)
        async with wire(stage, token) as talker:
            await talker.send({"type": "token", "token": token})
            assert (await talker.answer())["type"] == "ok"
            for name, fields in said.items():
                await talker.send({"type": name, "id": f"{name} {role}", **fields})
                if name == "react":
                    continue  # nothing answers it
                answer: dict[str, Any] = {}
                while answer.get("id") != f"{name} {role}":  # a viewer is told more, and not in answer
                    answer = await talker.answer()
                refused = "not-found" if not COMMANDS[name] else "not-allowed"
                heard = answer.get("code")
                assert (heard == refused) is (role not in COMMANDS[name]), (name, answer)
    for role in Role:
        for shows, subject in (([ELSEWHERE], "talker"), ([stage.show], "talker")):
            if shows == [ELSEWHERE] or role not in COMMANDS["hello"]:
                async with wire(stage) as stranger:
                    token = stage.server.token(role, subject, *shows)
                    await stranger.send({"type": "hello", "token": token})
                    assert (await stranger.closed())[0] == 3507


async def test_nobody_speaks_before_hello_or_for_somebody_else(stage: Stage, things: Things) -> None:
    """Without a token every command closes with 3500; what is another viewer's cannot be given back."""
    for name in sorted(COMMANDS.keys() - {"hello"}):
        async with wire(stage) as stranger:
            await stranger.send({"type": name, "id": "1", "drop": things.path["drop"], "quantity": 1})
            assert (await stranger.closed())[0] in {3500, 3501}, name
    async with wire(stage, stage.viewer("not-buyer")) as thief:
        await thief.send({"type": "release", "id": "1", "reservation": things.path["reservation"]})
        assert (await thief.answer())["code"] in {"not-found", "not-allowed"}


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
