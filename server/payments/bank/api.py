"""The bank's HTTP door: payments for whoever has the key, an action page for buyers, and knobs for tests.

| request | |
|---|---|
| `POST /payments` | authorize: order, amount, currency, method, token, return_url |
| `GET /payments/{order}` · `GET /payments?since=&after=` | look up · list |
| `POST /payments/{order}/capture` · `/void` | move the amount · let it go |
| `POST /refunds` | move back: reference, refund, amount |
| `GET`, `POST /actions/{reference}` | where the buyer approves or declines |
| `GET`, `PUT /admin/knobs` | see `knobs.py`; what is not named is at rest |
| `DELETE /admin/payments` · `/admin/payments/{order}` | forget all · one |
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.payments.bank import page
from server.payments.bank.books import Asked, Books, RefusalError
from server.payments.bank.knobs import Call, Knobs
from server.payments.bank.plays import play_of
from server.payments.bank.ways import page_at
from server.payments.provider import Status

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Receive, Scope, Send

    from server.payments.provider import Payment

MAX_BODY_BYTES = 16_384
JSON = "application/json"
STATUS = {"not-found": 404, "conflict": 409, "refused": 409, "not-ready": 409}

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[int, Meta(ge=1, le=2**53)]
Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class NewPayment(Struct, kw_only=True):
    """What `POST /payments` takes; a void takes the same, so that it can come first."""

    order: Text
    amount: Amount
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    method: Text
    token: Text
    return_url: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://\S+)?$")] = ""

    @property
    def asked(self) -> Asked:
        """What the books want to know."""
        return Asked(self.amount, self.currency, self.method, self.token, self.return_url)


class NewRefund(Struct, kw_only=True):
    """What `POST /refunds` takes."""

    reference: Text
    refund: Text
    amount: Amount


class Since(Struct, kw_only=True):
    """What a list is asked with: payments made since a time (Unix ms), after the place that the last page named."""

    since: Annotated[int, Meta(ge=0, le=2**53)] = 0
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0


class LostError(Exception):
    """The work is done, and its answer gets lost."""


class TooLargeError(Exception):
    """The body is larger than any that is of use here."""


@dataclass(slots=True)
class Bank:
    """The books, who may ask, where buyers find it (empty: where it is asked), and what goes wrong on purpose."""

    books: Books
    key: bytes
    page_url: str = ""
    knobs: Knobs = field(default_factory=Knobs)


def create_app(
    bank: Bank, lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None
) -> Starlette:
    """Return the bank as an ASGI app."""
    door = _Door(bank)
    return Starlette(
        routes=[
            Route("/payments", door.call("authorize", door.authorize), methods=["POST"]),
            Route("/payments", door.call("list", door.since), methods=["GET"]),
            Route("/payments/{order}", door.call("find", door.find), methods=["GET"]),
            Route("/payments/{order}/capture", door.call("capture", door.capture), methods=["POST"]),
            Route("/payments/{order}/void", door.call("void", door.void), methods=["POST"]),
            Route("/refunds", door.call("refund", door.refund), methods=["POST"]),
            Route("/actions/{reference}", door.action, methods=["GET", "POST"]),
            Route("/admin/knobs", door.keyed(door.turn), methods=["GET", "PUT"]),
            Route("/admin/payments", door.keyed(door.forget), methods=["DELETE"]),
            Route("/admin/payments/{order}", door.keyed(door.forget), methods=["DELETE"]),
        ],
        lifespan=lifespan,
    )


class _Door:
    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._books = bank.books

    def keyed(self, handler: Handler) -> Handler:
        """Return the handler for who has the key alone, with its refusals as answers."""
        expected = f"Bearer {self._bank.key.hex()}".encode()

        async def answer(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
                return _refusal(401, "unauthenticated", "The key is not right.")
            try:
                return await handler(request)
            except RefusalError as refusal:
                return _refusal(STATUS[refusal.code], refusal.code, str(refusal))
            except TooLargeError:
                return _refusal(413, "too-large", f"A body has at most {MAX_BODY_BYTES} bytes.")
            except msgspec.MsgspecError as error:
                return _refusal(422, "invalid", str(error))

        return answer

    def call(self, name: Call, handler: Handler) -> Handler:
        """Return the handler with the knobs around it."""
        keyed = self.keyed(handler)

        async def answer(request: Request) -> Response:
            knobs = self._bank.knobs
            if knobs.takes("refuse", name):
                return _refusal(409, "refused", "The sandbox was told to refuse.")
            if knobs.takes("fail", name):
                return _refusal(500, "failed", "The sandbox was told to fail.")
            lost = knobs.takes("lose", name)
            try:
                response = await keyed(request)
            except LostError:
                lost = True
            if lost:
                await asyncio.sleep(knobs.silent_ms / 1000)
                return _Cut()
            await asyncio.sleep(knobs.delay_ms / 1000)
            return response

        return answer

    async def authorize(self, request: Request) -> Response:
        new = await _body(request, NewPayment)
        payment, wait_ms, is_new = await self._books.do(
            lambda: self._books.authorize(new.order, new.asked, self._bank.knobs.decline)
        )
        while payment.status is Status.PENDING:
            await asyncio.sleep((wait_ms + 1) / 1000)
            payment, wait_ms, _ = await self._books.do(lambda: self._books.authorize(new.order, new.asked))
        if is_new and play_of(new.token, new.method).first_answer_lost:
            raise LostError
        return _json(self._shown(payment))

    async def find(self, request: Request) -> Response:
        return _json(
            self._shown(await self._books.do(lambda: self._books.find(request.path_params["order"])))
        )

    async def since(self, request: Request) -> Response:
        query = msgspec.convert(dict(request.query_params), Since, strict=False)
        payments, after = await self._books.do(lambda: self._books.since(query.since, query.after))
        return _json({"payments": [self._shown(each) for each in payments], "after": after})

    async def capture(self, request: Request) -> Response:
        payment = await self._books.do(lambda: self._books.capture(request.path_params["order"]))
        if payment is None:
            return _refusal(500, "failed", "The first capture fails with this token.")
        return _json(payment)

    async def void(self, request: Request) -> Response:
        new = await _body(request, NewPayment)
        return _json(await self._books.do(lambda: self._books.void(request.path_params["order"], new.asked)))

    async def refund(self, request: Request) -> Response:
        new = await _body(request, NewRefund)
        return _json(await self._books.do(lambda: self._books.refund(new.reference, new.refund, new.amount)))

    async def action(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        try:
            if request.method == "GET":
                return page.asking(await self._books.do(lambda: self._books.of_reference(reference)))
            approve = page.is_approval(await _read(request))
            return page.done(await self._books.do(lambda: self._books.act(reference, approve=approve)))
        except RefusalError as refusal:
            return page.unknown(str(refusal))
        except TooLargeError:
            return page.unknown(f"A body has at most {MAX_BODY_BYTES} bytes.")

    async def turn(self, request: Request) -> Response:
        if request.method == "PUT":
            self._bank.knobs = await _body(request, Knobs)
        return _json(self._bank.knobs)

    async def forget(self, request: Request) -> Response:
        await self._books.do(lambda: self._books.forget(request.path_params.get("order")))
        return Response(status_code=204)

    def _shown(self, payment: Payment) -> Payment:
        """Return a payment with its buyer's page, where only the bank knows how buyers come to it."""
        if payment.status is not Status.REQUIRES_ACTION or not self._bank.page_url:
            return payment
        return replace(payment, url=page_at(self._bank.page_url, payment.reference))


class _Cut(Response):
    """A response that begins and never ends: the server then cuts the connection."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]}
        await send(head)


async def _read(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
    return body


async def _body(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(await _read(request), type=kind)


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type=JSON)


def _refusal(status: int, code: str, sentence: str) -> Response:
    return _json({"code": code, "sentence": sentence}, status)
