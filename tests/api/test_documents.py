"""/openapi.json: valid, complete, and true for what the server really answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate

from server import ids
from server.api.operations import OPERATIONS
from server.auth import Role
from server.errors import Code
from server.payments.bank.signature import key_of
from server.payments.bank.signature import signed as signed_webhook
from tests.api.schemas import complaints, references, resolved
from tests.server import SECRET, free_port
from tests.stage import FEED
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage

CARD = {"method": "card", "token": "tok_ok"}
VIDEO = "https://video.example/live.m3u8"


@pytest.fixture
async def document(stage: Stage) -> dict[str, Any]:
    """Give the server's OpenAPI document."""
    served: dict[str, Any] = (await stage.http.get("/openapi.json")).json()
    return served


class Tour:
    """Calls operations by their OpenAPI path and holds every answer against the document."""

    def __init__(self, stage: Stage, document: dict[str, Any]) -> None:
        self.stage = stage
        self.document = document
        self.met: set[tuple[str, str]] = set()
        self.statuses: set[str] = set()

    async def call(self, name: str, token: str, *, query: str = "", **extra: Any) -> Any:
        """Call `METHOD /path/{id}` with the ids of the path in `extra`, check the answer, return its body."""
        method, _, template = name.partition(" ")
        ids_of_path = {part: extra.pop(part) for part in re.findall(r"{(\w+)}", template)}
        answer = await self.stage.call(method, template.format(**ids_of_path) + query, token, **extra)
        return self.checked(method.lower(), template, answer)

    def checked(self, method: str, template: str, answer: httpx.Response) -> Any:
        """Hold one answer against the document and return its body."""
        operation = self.document["paths"][template][method]
        described = operation["responses"].get(str(answer.status_code))
        assert described, f"{method} {template} answers {answer.status_code} undocumented: {answer.text}"
        if "content" not in described:
            assert answer.content == b"", f"{method} {template} answers more than is described: {answer.text}"
            self.met.add((method, template))
            return None
        content_type = answer.headers["content-type"]
        schema = described["content"][content_type]["schema"]
        value = json.loads(answer.text, parse_float=_only_a_share)
        wrong = complaints(value, schema, self.document["components"])
        assert wrong == [], f"{method} {template}: {wrong}"
        if content_type == "application/problem+json":
            assert value["code"] in described["description"], (template, value)
        else:
            self.met.add((method, template))
        self.statuses.add(f"{answer.status_code}")
        return value


def _only_a_share(text: str) -> float:
    value = float(text)
    assert 0 <= value <= 1, f"{text} is a float, and no share"
    return value


async def test_openapi_is_valid(document: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.1, and every reference in it leads somewhere."""
    assert document["openapi"] == "3.1.0"
    validate(document)
    for reference in references(document):
        resolved(document, reference)


async def test_openapi_has_exactly_the_operations_that_are_served(document: dict[str, Any]) -> None:
    """Each operation of the app is in the document under its method and path, and nothing else."""
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(each.method.lower(), each.path.replace(":path}", "}")) for each in OPERATIONS}
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert codes == [code.value for code in Code]


async def test_openapi_says_which_headers_and_queries_there_are(document: dict[str, Any]) -> None:
    """Idempotency-Key is described where it is taken, and required where the contract requires it."""
    for each in OPERATIONS:
        described = document["paths"][each.path.replace(":path}", "}")][each.method.lower()]
        parameters = {(one["in"], one["name"]): one for one in described.get("parameters", [])}
        key = parameters.get(("header", "Idempotency-Key"))
        assert (key is not None) is (each.keyed.value != "no")
        assert key is None or key["required"] is (each.keyed.value == "required")
        assert {name for where, name in parameters if where == "query"} == set(each.query)
        assert {name for where, name in parameters if where == "path"} == set(
            re.findall(r"{(\w+)", each.path)
        )


async def running(tour: Tour, host: str, of_drop: dict[str, str]) -> None:
    """Arrange the drops, change the video, count a drop down, call that off and count it down again."""
    of_show = {"show": of_drop["show"]}
    await tour.call("PUT /v1/shows/{show}/video", host, **of_show, json={"url": VIDEO})
    await tour.call("PUT /v1/shows/{show}/run", host, **of_show, json={"drops": [of_drop["drop"]]})
    opening = {"countdown_ms": 60_000}
    for verb in ("open", "cancel", "open"):
        body: dict[str, Any] = {"json": opening} if verb == "open" else {}
        await tour.call(f"POST /v1/shows/{{show}}/drops/{{drop}}/{verb}", host, **of_drop, **body)


async def changes(
    tour: Tour, host: str, viewer: str, of_drop: dict[str, str], known: tuple[str, str]
) -> None:
    """Ship an order and pay it back, also too much, cancel another, and try it all on one that is not paid."""
    shipped = {"carrier": "Post", "tracking_number": "X1"}
    lines = [{"position": 0, "quantity": 5}]
    orders = []
    for each in known:
        await tour.call("GET /v1/orders/{order}", viewer, order=each)
        take = "POST /v1/shows/{show}/drops/{drop}/reservations"
        held = await tour.call(take, viewer, **of_drop, key=ids.secret(8), json={"quantity": 1})
        body = {"reservations": [held["id"]], "payment": CARD, "email": "a@b.example"}
        made = await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=body)
        orders.append(made["order"]["id"])
    await tour.call("POST /v1/orders/{order}/cancel", host, order=orders.pop())
    for each in (*orders, known[1]):
        await tour.call("POST /v1/orders/{order}/fulfil", host, order=each, json=shipped)
        await tour.call("POST /v1/orders/{order}/cancel", host, order=each)
        await tour.call("POST /v1/orders/{order}/refund", host, order=each, json={"lines": lines})
        await tour.call("POST /v1/orders/{order}/refund", host, order=each, json={"restock": True})
    await tour.call("GET /v1/orders/{order}", host, order=orders[0])


async def test_real_answers_of_every_operation_are_as_described(
    stage: Stage, document: dict[str, Any]
) -> None:
    """A whole sale, and what can go wrong in it: every answer has a described status and exactly its members."""
    tour = Tour(stage, document)
    host, viewer = stage.server.token(Role.HOST, "host"), stage.server.token(Role.VIEWER, ids.secret(8))
    await tour.call("POST /v1/catalog/import", host, query="?currency=EUR", content=FEED + b"x,,,,,,,\n")
    await tour.call("GET /v1/catalog/products", host)
    await tour.call("GET /v1/catalog/products/{sku}", host, sku="MUG")
    await tour.call("POST /v1/tokens", host, json={"sub": "guest", "role": "viewer", "shows": [stage.show]})
    for shows in ([stage.show], ["sh_none"]):
        await tour.call("POST /v1/tokens/revoke", host, json={"sub": ids.secret(8), "shows": shows})
    for name in ("payments/methods", "rates"):
        await tour.call(f"GET /v1/{name}", viewer)
    await told_by_providers(tour, viewer)
    full = {
        "title": "Tour",
        "currency": "EUR",
        "locale": "de-DE",
        "starts_at": 1_900_000_000_000,
        "limit_per_viewer": 50,
        "video_url": VIDEO,
    }
    show = (await tour.call("POST /v1/shows", host, key=ids.secret(8), json=full))["id"]
    terms = {"sku": "MUG", "quantity": 9, "limit_per_viewer": 9, "closes_at": 4_000_000_000_000}
    drop = (await tour.call("POST /v1/shows/{show}/drops", host, show=show, json=terms))["id"]
    of_show, of_drop = {"show": show}, {"show": show, "drop": drop}
    await tour.call("POST /v1/shows/{show}/drops/{drop}/open", host, **of_drop)
    await tour.call("POST /v1/shows/{show}/start", host, **of_show)
    await tour.call("POST /v1/shows/{show}/pause", host, **of_show)
    await tour.call("POST /v1/shows/{show}/resume", host, **of_show)
    await tour.call("PUT /v1/shows/{show}/pinned", host, **of_show, json={"skus": ["MUG"]})
    await running(tour, host, of_drop)
    take = "POST /v1/shows/{show}/drops/{drop}/reservations"
    await tour.call(take, viewer, **of_drop, key=ids.secret(8), json={"quantity": 1})
    for verb in ("open", "pause", "resume"):
        await tour.call(f"POST /v1/shows/{{show}}/drops/{{drop}}/{verb}", host, **of_drop)
    await tour.call("POST /v1/shows/{show}/drops/{drop}/restock", host, **of_drop, json={"quantity": 1})
    await refusals(tour, host, viewer, of_drop)
    await queues(tour, host, viewer, show)
    held = [
        (await tour.call(take, viewer, **of_drop, key=ids.secret(8), json={"quantity": 1}))["id"]
        for _ in range(3)
    ]
    await tour.call("GET /v1/reservations/{reservation}", viewer, reservation=held[0])
    await tour.call("DELETE /v1/reservations/{reservation}", viewer, reservation=held[0])
    signed = await tour.call("GET /v1/reservations/{reservation}/receipt", viewer, reservation=held[0])
    for given in (signed["receipt"], "nonsense"):
        await tour.call("POST /v1/receipts/verify", viewer, json={"receipt": given})
    declined = {"reservations": held[1:], "payment": {**CARD, "token": "tok_declined"}}
    await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=declined)
    body = {"reservations": held[1:2], "payment": CARD}
    for wrong in ({**body, "expected_total": 1}, {**body, "reservations": held[:2]}):
        await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=wrong)
    order = (await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=body))["order"]
    pending = {"reservations": held[2:], "payment": {**CARD, "token": "tok_timeout_then_ok"}}
    waits = (await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=pending))["order"]
    assert waits["status"] == "confirming"
    await changes(tour, host, viewer, of_drop, (order["id"], waits["id"]))
    await tour.call("DELETE /v1/reservations/{reservation}", viewer, reservation=held[1])
    for name in (
        "",
        "/{show}",
        "/{show}/drops",
        "/{show}/orders",
        "/{show}/metrics",
        "/{show}/metrics/series",
        "/{show}/actions",
    ):
        await tour.call(f"GET /v1/shows{name}", host, **(of_show if name else {}))
    await tour.call("GET /v1/shows/{show}/drops/{drop}", host, **of_drop)
    await tour.call("POST /v1/shows/{show}/drops/{drop}/close", host, **of_drop)
    await tour.call("POST /v1/shows/{show}/end", host, **of_show)
    await hooks(tour, tour.stage.server.token(Role.HOST, ids.secret(8)))
    everything = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert tour.met == everything
    assert tour.statuses >= {
        "200",
        "201",
        "202",
        "400",
        "401",
        "402",
        "403",
        "404",
        "409",
        "410",
        "413",
        "422",
    }


async def queues(tour: Tour, host: str, viewer: str, show: str) -> None:
    """Meet what has to do with more than one viewer and one drop: waves, waiting, bundles, receipts, a draw."""
    plan, of_show = "POST /v1/shows/{show}/drops", {"show": show}
    waves = [{"quantity": 1, "after_seconds": 600}, {"quantity": 1}]
    terms = {"sku": "MUG", "quantity": 1, "limit_per_viewer": 5, "waves": waves}
    small = (await tour.call(plan, host, **of_show, json=terms))["id"]
    of_small = {"show": show, "drop": small}
    queue = "/v1/shows/{show}/drops/{drop}/waitlist"
    await tour.call(f"POST {queue}", viewer, **of_small)
    await tour.call("POST /v1/shows/{show}/drops/{drop}/open", host, **of_small)
    await tour.call(f"POST {queue}", viewer, **of_small, json={"quantity": 6})
    bundle, item = "POST /v1/shows/{show}/reservations", {"drop": small, "quantity": 1}
    for items in ([item], [item, item], [{**item, "quantity": 9}]):
        await tour.call(bundle, viewer, **of_show, key=ids.secret(8), json={"items": items})
    take = "POST /v1/shows/{show}/drops/{drop}/reservations"
    for asked in ({"quantity": 1, "receipt": True}, {"quantity": 1, "receipt": True, "part": True}):
        await tour.call(take, viewer, **of_small, key=ids.secret(8), json=asked)
    for method in ("POST", "GET", "DELETE"):
        await tour.call(f"{method} {queue}", viewer, **of_small)
    for _ in range(3):
        await tour.call("POST /v1/shows/{show}/drops/{drop}/wave", host, **of_small)
    asked = {"quantity": 3, "receipt": True, "part": True}
    await tour.call(take, viewer, **of_small, key=ids.secret(8), json=asked)
    await tour.call("GET /v1/shows/{show}/drops/{drop}/draw", viewer, **of_small)
    terms = {"sku": "MUG", "quantity": 1, "mode": "draw", "opens_at": 1}
    drawn = (await tour.call(plan, host, **of_show, json=terms))["id"]
    of_draw = {"show": show, "drop": drawn}
    await tour.call("POST /v1/shows/{show}/drops/{drop}/open", host, **of_draw)
    for method in ("POST", "DELETE", "POST"):
        await tour.call(f"{method} {queue}", viewer, **of_draw)
    await tour.call("POST /v1/shows/{show}/drops/{drop}/close", host, **of_draw)
    await tour.call("GET /v1/shows/{show}/drops/{drop}/draw", viewer, **of_draw)
    await tour.call(f"DELETE {queue}", viewer, **of_draw)
    terms = {"sku": "MUG", "quantity": 1, "mode": "first_paid"}
    first = (await tour.call(plan, host, **of_show, json=terms))["id"]
    await tour.call("POST /v1/shows/{show}/drops/{drop}/open", host, show=show, drop=first)
    for card in ("tok_declined", "tok_ok"):
        body = {"items": [{"drop": first, "quantity": 1}], "payment": {**CARD, "token": card}}
        await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=body)


async def told_by_providers(tour: Tour, viewer: str) -> None:
    """Tell what a provider would, forged and signed, and as one that is not there."""
    door = "/v1/payments/{provider}/webhook"
    for provider in ("sandbox", "nobody"):
        await tour.call(f"POST {door}", viewer, provider=provider)
    headers = signed_webhook(key_of(SECRET), "sb_1", b"{}")
    answer = await tour.stage.http.post(door.format(provider="sandbox"), content=b"{}", headers=headers)
    tour.checked("post", door, answer)


async def hooks(tour: Tour, host: str) -> None:
    """Meet what has to do with webhooks; nobody listens where they lead."""
    make, url = "POST /v1/webhooks", f"http://127.0.0.1:{free_port()}/hook"
    for wrong in ({"url": "https://10.0.0.1/"}, {"url": url, "events": ["order.payed"]}):
        await tour.call(make, host, json=wrong)
    made = await tour.call(make, host, key="k", json={"url": url, "events": ["order.paid"]})
    one = {"webhook": made["id"]}
    await tour.call("GET /v1/webhooks", host)
    await tour.call("POST /v1/webhooks/{webhook}/replay", host, **one, json={"since_at": 0})
    for verb in ("/test", "/enable", *["/rotate"] * 5):
        await tour.call(f"POST /v1/webhooks/{{webhook}}{verb}", host, **one)
    for method in ("GET", "DELETE", "GET"):
        await tour.call(f"{method} /v1/webhooks/{{webhook}}", host, **one)


async def refusals(tour: Tour, host: str, viewer: str, of_drop: dict[str, str]) -> None:
    """Meet the problems that operations describe."""
    take = "POST /v1/shows/{show}/drops/{drop}/reservations"
    for extra in (
        {"json": {"quantity": 1}},
        {"key": "a", "json": {"quantity": 0}},
        {"key": "b", "json": {"quantity": 100}},
        {"key": "b", "json": {"quantity": 101}},
        {"key": "c", "content": b"x" * 70_000},
        {"key": "k" * 300, "json": {"quantity": 1}},
    ):
        await tour.call(take, viewer, **of_drop, **extra)
    await tour.call(take, viewer, **{**of_drop, "drop": "dr_none"}, key="d", json={"quantity": 1})
    await tour.call(take, host, **of_drop, key="e", json={"quantity": 1})
    await tour.call(take, "nonsense", **of_drop, key="f", json={"quantity": 1})
    await tour.call("POST /v1/shows/{show}/drops/{drop}/resume", host, **of_drop)
    await tour.call("POST /v1/shows/{show}/drops/{drop}/restock", host, **of_drop, json={"quantity": 10**6})
    await tour.call("POST /v1/shows/{show}/start", host, show=of_drop["show"])
    await tour.call("POST /v1/shows/{show}/start", host, show=of_drop["show"], key="k" * 300)
    await tour.call("GET /v1/shows/{show}", host, show="sh_none")
    await tour.call("GET /v1/shows", host, query="?limit=0")
    await tour.call("GET /v1/catalog/products/{sku}", host, sku="NONE")
    await tour.call("POST /v1/catalog/import", host, query="?currency=EUR", content=b"\xff\xd8\xff\xe0")
    brief = {"sku": "MUG", "quantity": 1, "hold_seconds": 1}
    short = (await tour.call("POST /v1/shows/{show}/drops", host, show=of_drop["show"], json=brief))["id"]
    where = {"show": of_drop["show"], "drop": short}
    await tour.call("POST /v1/shows/{show}/drops/{drop}/open", host, **where)
    held = (await tour.call(take, viewer, **where, key="g", json={"quantity": 1}))["id"]
    await tour.call(
        take, tour.stage.server.token(Role.VIEWER, "late"), **where, key="h", json={"quantity": 1}
    )

    async def lapsed() -> bool:
        found = await tour.call("GET /v1/reservations/{reservation}", viewer, reservation=held)
        return bool(found["state"] == "expired")

    await wait_for(lapsed, "the short reservation lapsed")
    body = {"reservations": [held], "payment": CARD}
    await tour.call("POST /v1/checkout", viewer, key=ids.secret(8), json=body)
