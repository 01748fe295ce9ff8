"""NUL, which PostgreSQL takes in no text: wherever a caller may say it, nothing is found or it is refused."""

from __future__ import annotations

import copy
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from server import ids
from server.api.operations import OPERATIONS
from server.auth import RIGHTS, Right, Role
from server.errors import Code
from tests.ledger.conftest import postgres
from tests.outside import stores
from tests.server import own_server
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.api.http import Operation
    from tests.postgres import Databases
    from tests.server import ServerProcess

__all__ = ["postgres"]

ADDRESS = ("name", "line1", "line2", "city", "region", "postal_code", "country", "phone")
PAYMENT = {"method": "card", "token": "tok_ok", "return_url": "https://shop.example/back"}
BUYER = {"email": "a@b.example", "shipping_address": dict.fromkeys(ADDRESS, "DE"), "locale": "de"}
# operation -> bodies with every text that it takes, each of them good; `{…}` is something of the scene
BODIES: dict[str, list[dict[str, Any]]] = {
    "show_create": [
        {"title": "A test", "currency": "EUR", "locale": "de", "video_url": "https://v.example/a.m3u8"}
    ],
    "show_video": [{"url": "https://v.example/a.m3u8"}],
    "show_pin": [{"skus": ["MUG"]}],
    "show_arrange": [{"drops": ["{drop}"]}],
    "drop_create": [{"sku": "MUG", "quantity": 1, "mode": "fifo"}],
    "drop_open": [{}],
    "drop_restock": [{"quantity": 1}],
    "reserve": [{"quantity": 1}],
    "reserve_bundle": [{"items": [{"drop": "{drop}", "quantity": 1}]}],
    "receipt_verify": [{"receipt": "a.b.c"}],
    "waitlist_join": [{"quantity": 1}],
    "checkout": [
        {"payment": PAYMENT, "reservations": ["{reservation}"], **BUYER},
        {"payment": PAYMENT, "items": [{"drop": "{first_paid}", "quantity": 1}]},
    ],
    "order_fulfil": [{"carrier": "Post", "tracking_number": "1"}],
    "order_refund": [{"lines": [{"quantity": 1, "reservation": "{sold}"}]}],
    "token_mint": [{"sub": "ann", "role": "viewer", "shows": ["{show}"]}],
    "token_revoke": [{"sub": "ann", "shows": ["{show}"]}],
    "webhook_create": [{"url": "http://127.0.0.1:9000/", "events": ["order.paid"]}],
    "webhook_replay": [{"since_at": 0}],
}
ELSEWHERE = {"drop_open": "planned", "waitlist_join": "gone"}  # a drop in another state than most want
# What says 200 to everything: there it is an answer that a receipt is none.
PATIENT = {"receipt_verify"}
NAMED = {each.name: each for each in OPERATIONS}


@dataclass(frozen=True, slots=True)
class Scene:
    """A live show with one of everything, on a server whose ledger is PostgreSQL."""

    stage: Stage
    parts: dict[str, str]

    def filled(self, value: Any) -> Any:
        """Return a body with what is there in the place of its `{…}`."""
        if isinstance(value, dict):
            return {name: self.filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        return value.format(**self.parts) if isinstance(value, str) else value

    async def send(
        self, operation: Operation, body: Any = None, query: str = "", **parts: str
    ) -> httpx.Response:
        """Send a request of an operation as somebody who may; `parts` stand in its path instead of the scene's."""
        known = {**self.parts, **parts}
        if "drop" not in parts and operation.name in ELSEWHERE:
            known["drop"] = self.parts[ELSEWHERE[operation.name]]
        path = re.sub(r"{(\w+)(:path)?}", lambda found: quote(known[found[1]]), operation.path)
        role = Role.HOST
        if operation.right is not None and operation.right not in RIGHTS[role]:
            role = next(each for each in Role if operation.right in RIGHTS[each])
        content = {} if body is None else {"json": body}
        token = self.stage.server.token(role, "buyer" if operation.right is Right.BUY else "host")
        return await self.stage.call(operation.method, path + query, token, key=ids.secret(8), **content)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServerProcess]:
    """Give a server whose ledger is PostgreSQL: the one outside, where there is one."""
    settings = {}
    if not stores.GIVEN:
        books: Databases = request.getfixturevalue("postgres")
        settings["DATABASE_URL"] = books.fresh()
    with own_server(tmp_path_factory.mktemp("nul"), settings) as process:
        assert process.settings["DATABASE_URL"].startswith("postgresql")
        yield process


@pytest.fixture
async def scene(server: ServerProcess) -> AsyncIterator[Scene]:
    """Give one of everything."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        stage = Stage(server, http)
        await stage.open()
        buyer = stage.viewer("buyer")
        drop, gone = await stage.drop(9, limit_per_viewer=9), await stage.drop(1)
        held = [(await stage.reserve(buyer, drop)).json()["id"] for _ in range(2)]
        await stage.reserve(stage.viewer("other"), gone)
        hook = await stage.host("POST", "/v1/webhooks", json=BODIES["webhook_create"][0])
        parts = {
            "show": stage.show,
            "drop": drop,
            "planned": await stage.drop(1, opened=False),
            "gone": gone,
            "first_paid": await stage.drop(9, mode="first_paid"),
            "reservation": held[0],
            "sold": held[1],
            "order": (await stage.pay(buyer, held[1])).json()["order"]["id"],
            "webhook": hook.json()["id"],
            "sku": "MUG",
            "provider": "sandbox",
        }
        yield Scene(stage, parts)
        await stage.host("DELETE", f"/v1/webhooks/{parts['webhook']}")


def spoiled(body: Any) -> Iterator[Any]:
    """Give a body with a NUL at the end of one text, for each text that is in it."""
    members = body.items() if isinstance(body, dict) else enumerate(body)
    for name, value in members:
        if isinstance(value, dict | list):
            inner = spoiled(value)
        else:
            inner = iter([f"{value}\0"] if isinstance(value, str) else [])
        for each in inner:
            other = copy.copy(body)
            other[name] = each
            yield other


def texts(kind: Any) -> Iterator[str]:
    """Give the names of the fields of a struct, and of those in it, that may be texts."""
    for struct in (each for each in parts_of(msgspec.inspect.type_info(kind)) if hasattr(each, "fields")):
        for one in struct.fields:
            if any(isinstance(each, msgspec.inspect.StrType) for each in parts_of(one.type)):
                yield one.encode_name


def parts_of(info: Any) -> Iterator[Any]:
    """Give a type and all that it is made of."""
    yield info
    inner = [*getattr(info, "types", ()), *(one.type for one in getattr(info, "fields", ()))]
    for each in [*inner, *([info.item_type] if hasattr(info, "item_type") else [])]:
        yield from parts_of(each)


def named(body: Any) -> set[str]:
    """Return the names of all members of a body."""
    if isinstance(body, dict):
        return set(body).union(*map(named, body.values()))
    return set().union(*map(named, body)) if isinstance(body, list) else set()


def test_nobody_is_left_out() -> None:
    """The bodies above are of all operations that take one, and have every field that may be a text."""
    taking = {each.name: each.body for each in OPERATIONS if each.body not in {None, bytes}}
    assert BODIES.keys() == taking.keys()
    for name, kind in taking.items():
        assert set(texts(kind)) <= named(BODIES[name]), name


async def test_without_it_they_are_taken(scene: Scene) -> None:
    """Control: the same bodies without NUL are good, so it is the NUL that is refused."""
    for name, bodies in BODIES.items():
        for body in bodies:
            answer = await scene.send(NAMED[name], scene.filled(body))
            assert answer.is_success, f"{name} {body}: {answer.text}"
    await scene.stage.audit()


async def test_in_a_body_it_is_refused(scene: Scene) -> None:
    """Each text of each body: a problem that says so, or that there is no such thing; nothing fails on the ledger."""
    asked = 0
    for name, bodies in BODIES.items():
        for body in (each for whole in bodies for each in spoiled(scene.filled(whole))):
            answer = await scene.send(NAMED[name], body)
            asked += 1
            good = {200} if name in PATIENT else {404, 422}
            assert answer.status_code in good, f"{name} {body}: {answer.text}"
    assert asked >= 30


async def test_in_a_path_it_names_nothing(scene: Scene) -> None:
    """Each part of each path: 404, before any store is asked."""
    for operation in OPERATIONS:
        bodies = BODIES.get(operation.name, [None])
        for part in re.findall(r"{(\w+)", operation.path):
            assert Code.NOT_FOUND in operation.problems, (
                f"{operation.name} does not say that it may find nothing"
            )
            for value in ("a\0b", f"{scene.parts[part]}\0"):
                answer = await scene.send(operation, scene.filled(bodies[0]), **{part: value})
                assert answer.status_code == 404, f"{operation.name} {part}: {answer.text}"
                assert answer.json()["code"] == "not-found"


async def test_in_a_query_it_is_refused(scene: Scene) -> None:
    """Each parameter, and cursors that nobody was given: 422, or nothing is found."""
    places: list[list[Any]] = [["sh_a\0"], [1, "or_a\0_b"], [1, "MUG\0"]]
    forged = [urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=") for place in places]
    for operation in (each for each in OPERATIONS if each.query and each.method == "GET"):
        for name in operation.query:
            for value in ("a\0b", *forged):
                answer = await scene.send(operation, query=f"?{name}={quote(value)}")
                found = answer.is_success and not answer.json()["items"]
                assert found or answer.status_code == 422, f"{operation.name} {name}: {answer.text}"
