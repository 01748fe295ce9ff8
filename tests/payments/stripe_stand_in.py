"""A stand-in for the endpoints of Stripe that the provider uses: the account's wire, with its rules and its faults.

Idempotency keys are as docs.stripe.com/api/idempotent_requests and docs.stripe.com/error-low-level say: the first
answer of an endpoint that began is kept, a 500 too, and replayed with `Idempotent-Replayed: true`; the same key with
other parameters is a 400 `idempotency_error`, and one that is still busy a 409.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.payments.stripe_account import Account, Fields, StripeProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

KEY = "sk_test_standin"


class Lost(Response):
    """An answer that begins and never arrives: the connection ends within it."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9999")]})


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next request of a kind: `lost`, `broken`, `half_broken`, `limited` or `slow`.

    A lost and a half broken one have been carried out; a broken one is kept under its key, as Stripe's 500s are.
    """

    what: str
    seconds: float = 0.0


@dataclass(slots=True)
class StandIn(Account):
    """The account and its wire. `requests` is what came in: (method and path, idempotency key, parameters)."""

    requests: list[tuple[str, str, Fields]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    _kept: dict[str, tuple[Fields, int, bytes]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)

    def break_next(self, request: str, what: str, seconds: float = 0.0) -> None:
        """Let the next request of this kind, such as `create` or `capture`, go wrong."""
        self.faults.setdefault(request, []).append(Fault(what, seconds))

    def forget_keys(self) -> None:
        """Let a day go by for the idempotency keys."""
        self._kept.clear()

    def endpoint(self, name: str, carry_out: Callable[[str, Fields], Fields]) -> Callable[..., Any]:
        """Return the endpoint of a kind of request, with its faults and the rules of idempotency keys."""

        async def respond(request: Request) -> Response:
            raw = (await request.body()).decode() if request.method == "POST" else request.url.query
            asked, key = _nested(raw), request.headers.get("idempotency-key", "")
            self.requests.append((f"{request.method} {request.url.path}", key, asked))
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return JSONResponse(
                    {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}, 401
                )
            fault = self.faults[name].pop(0) if self.faults.get(name) else Fault("")
            if fault.what == "limited":
                return JSONResponse(
                    {"error": {"type": "api_error", "code": "rate_limit", "message": "Slower"}}, 429
                )
            answer = await self._once(
                key if request.method == "POST" else "", asked, fault, request, carry_out
            )
            return Lost() if fault.what == "lost" else answer

        return respond

    async def _once(
        self,
        key: str,
        asked: Fields,
        fault: Fault,
        request: Request,
        carry_out: Callable[[str, Fields], Fields],
    ) -> Response:
        given = {"path": request.url.path, **asked}
        if key in self._kept:
            known, status, body = self._kept[key]
            if known != given:
                told = "Keys for idempotent requests can only be used with the same parameters."
                return JSONResponse({"error": {"type": "idempotency_error", "message": told}}, 400)
            return _json(status, body, {"Idempotent-Replayed": "true"})
        if key and key in self._busy:
            busy = {"type": "invalid_request_error", "code": "idempotency_key_in_use", "message": "In use"}
            return JSONResponse({"error": busy}, 409)
        self._busy.add(key)
        try:
            await asyncio.sleep(fault.seconds)
            status, body, kept = self._carried_out(fault, request.path_params.get("id", ""), asked, carry_out)
        finally:
            self._busy.discard(key)
        if key and kept:
            self._kept[key] = (given, status, body)
        return _json(status, body, {})

    def _carried_out(
        self, fault: Fault, reference: str, asked: Fields, carry_out: Callable[[str, Fields], Fields]
    ) -> tuple[int, bytes, bool]:
        broken = 500, b'{"error": {"type": "api_error", "message": "Something went wrong on our end."}}', True
        if fault.what == "broken":
            return broken
        try:
            answer = carry_out(reference, asked)
        except StripeProblem as problem:
            return problem.status, json.dumps(problem.body).encode(), problem.kept
        return broken if fault.what == "half_broken" else (200, json.dumps(answer).encode(), True)

    async def page(self, request: Request) -> Response:
        """Pay as a buyer on their page, or, with `?fail`, do not; it leads back to the shop."""
        intent = self.finish(request.path_params["id"], paid="fail" not in request.query_params)
        return RedirectResponse(intent.get("return_url") or "/", 303)


def _json(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status, {"Request-Id": "req_1", **headers}, media_type="application/json")


def _nested(raw: str) -> Fields:
    """Return form fields such as `metadata[order]=x` as nested maps."""
    fields: Fields = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        *path, last = name.replace("]", "").split("[")
        place = fields
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return fields


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    """Run a stand-in on a free port."""
    account = StandIn()
    routes: list[tuple[str, str, str, Callable[[str, Fields], Fields]]] = [
        ("POST", "/v1/payment_intents", "create", account.create),
        ("GET", "/v1/payment_intents", "list", account.list),
        ("GET", "/v1/payment_intents/search", "search", account.search),
        ("GET", "/v1/payment_intents/{id}", "retrieve", account.retrieve),
        ("POST", "/v1/payment_intents/{id}/capture", "capture", account.capture),
        ("POST", "/v1/payment_intents/{id}/cancel", "cancel", account.cancel),
        ("POST", "/v1/refunds", "refund", account.refund),
        ("GET", "/v1/refunds", "refund_list", account.refund_list),
    ]
    app = Starlette(
        routes=[
            *(Route(path, account.endpoint(name, call), methods=[verb]) for verb, path, name, call in routes),
            Route("/pages/{id}", account.page),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    (listening,) = server.servers[0].sockets
    account.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield account
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()
