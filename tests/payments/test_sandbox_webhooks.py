"""What the sandbox tells by webhook, and what the server does when it hears: it looks, once or twice, in any order."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import standardwebhooks

from server import ids
from server.clock import now_ms
from server.payments.bank import post
from server.payments.bank.books import Asked, Books
from server.payments.bank.post import Post
from server.payments.bank.private import place_in
from server.payments.bank.signature import key_of, signed
from server.payments.provider import ForgedError
from tests.payments.sandboxes import KEY
from tests.problems import assert_problem
from tests.sandbox import bank, provider_at
from tests.server import SECRET
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stage import Stage

DOOR = "/v1/payments/sandbox/webhook"
BODY = b'{"type": "payment.authorized", "timestamp": 1, "data": {"order": "or_1"}}'


@dataclass(slots=True)
class Receiver:
    """Hears webhooks over HTTP: answers with the given statuses, then with 204, and keeps what it heard."""

    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, and give the address."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hear"
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        # Signatures are told apart by case.
        signature = next(
            line.split(": ", 1)[1] for line in head if line.lower().startswith("webhook-signature")
        )
        body = await reader.readexactly(int(headers["content-length"]))
        standardwebhooks.Webhook(b64encode(key_of(SECRET)).decode()).verify(
            body, {**headers, "webhook-signature": signature}
        )
        self.heard.append((headers, json.loads(body)))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def telling(receiver: Receiver) -> AsyncIterator[Books]:
    """Give books whose changes the receiver hears of."""
    books = Books(":memory:")
    books.tells = True
    async with receiver.serving() as address, Post(books, key_of(SECRET), lambda: address).running():
        yield books
    books.close()


async def pay(books: Books, token: str) -> None:
    """Authorize and capture an order."""
    await books.do(lambda: books.authorize("or_1", Asked(1250, "EUR", "card", token)))
    await books.do(lambda: books.capture("or_1"))


async def test_every_change_is_told_signed() -> None:
    """A webhook for each change, under an id of its own, with a signature that the standard's own library takes."""
    receiver = Receiver()
    async with telling(receiver) as books:
        await pay(books, "tok_ok")
        await wait_for(lambda: len(receiver.heard) == 2, "both changes are told")
        await wait_for(lambda: not books.due(9), "nothing is left to tell")
    types = sorted(body["type"] for _, body in receiver.heard)
    assert types == ["payment.authorized", "payment.captured"]
    assert {body["data"]["order"] for _, body in receiver.heard} == {"or_1"}
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 2


async def test_a_webhook_is_repeated_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not heard is told again under the same id, and given up after the last try."""
    monkeypatch.setattr(post, "AGAIN_MS", (10, 10))
    receiver = Receiver(statuses=[500, 301, 204, 503, 503, 503])
    async with telling(receiver) as books:
        await books.do(lambda: books.authorize("or_1", Asked(1, "EUR", "card", "tok_ok")))
        await wait_for(lambda: len(receiver.heard) == 3, "the third try is heard")
        await books.do(lambda: books.capture("or_1"))
        await wait_for(lambda: len(receiver.heard) == 6, "three tries are made")
        await wait_for(lambda: books._one("SELECT count(*) FROM told")[0] == 0, "it is given up")
    ids_heard = [headers["webhook-id"] for headers, _ in receiver.heard]
    assert ids_heard == ["sb_or_1 1"] * 3 + ["sb_or_1 2"] * 3


async def test_duplicate_webhook() -> None:
    """With this token every change is told twice, late, and the capture before the authorization that it follows."""
    receiver = Receiver()
    async with telling(receiver) as books:
        await pay(books, "tok_duplicate_webhook")
        await wait_for(lambda: len(receiver.heard) == 4, "all are told")
    types = [body["type"].removeprefix("payment.") for _, body in receiver.heard]
    assert sorted(types) == ["authorized"] * 2 + ["captured"] * 2
    assert types[0] == "captured"
    assert types[-1] == "authorized"
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 2


def headers_of(body: bytes = BODY, seconds: int | None = None, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a webhook that is signed with a secret."""
    return signed(key_of(secret), "sb_or_1 1", body, seconds)


async def test_heard_names_the_order() -> None:
    """A signed webhook is about its order, whatever the case of the headers; one of the signatures is enough."""
    sandbox = provider_at(bank())
    headers = headers_of()
    assert sandbox.heard(headers, BODY) == "or_1"
    assert sandbox.heard({name.title(): value for name, value in headers.items()}, BODY) == "or_1"
    several = f"v1,AAAA v2,BBBB {headers['webhook-signature']}"
    assert sandbox.heard({**headers, "webhook-signature": several}, BODY) == "or_1"
    for other in (b'{"data": {}}', b"[]", b"nonsense", b'{"data": {"order": 5}}'):
        assert sandbox.heard(headers_of(other), other) == ""
    now = now_ms() // 1000
    for away in (-290, 290):
        assert sandbox.heard(headers_of(seconds=now + away), BODY) == "or_1"


async def test_a_forged_webhook_is_none() -> None:
    """Another key, body, id or time, a signature without the rest, an old webhook and a future one: all are forged."""
    sandbox = provider_at(bank())
    headers, now = headers_of(), now_ms() // 1000
    forged = [
        headers_of(secret="another-secret-of-the-tests-long-enough"),
        headers_of(BODY + b" "),
        {**headers, "webhook-id": "sb_or_1 2"},
        {**headers, "webhook-timestamp": str(now + 1)},
        {**headers, "webhook-timestamp": "soon"},
        {**headers, "webhook-timestamp": "9" * 40},
        {**headers, "webhook-signature": ""},
        {**headers, "webhook-signature": "v1,"},
        {**headers, "webhook-signature": "v1,é"},
        {**headers, "webhook-signature": headers["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": headers["webhook-signature"]},
        {},
        headers_of(seconds=now - 310),
        headers_of(seconds=now + 310),
    ]
    for each in forged:
        with pytest.raises(ForgedError):
            sandbox.heard(each, BODY)


async def hear(stage: Stage, order: str, door: str = DOOR, **other: Any) -> httpx.Response:
    """Send the server a webhook about an order."""
    body = json.dumps({"data": {"order": order}}).encode()
    sent = {"content": body, "headers": headers_of(body), **other}
    return await stage.http.post(door, **sent)


async def test_the_door_for_providers(stage: Stage) -> None:
    """Signed: 204, also about an order that nobody knows. Forged: 401, with a token too. No such provider: 404."""
    unknown = ids.order(stage.show, "nobody", "pay")
    for order in (unknown, "", "or_", "nonsense", "or_none_none", "x" * 5000):
        answer = await hear(stage, order)
        assert (answer.status_code, answer.content) == (204, b""), order
    token = {"Authorization": f"Bearer {stage.viewer()}"}
    for headers in ({}, token, {**headers_of(b"{}"), "webhook-signature": "v1,AAAA"}):
        assert_problem(await hear(stage, unknown, headers=headers), 401, "unauthenticated", "webhook")
    assert_problem(await hear(stage, unknown, "/v1/payments/nobody/webhook"), 404, "not-found", "nobody")
    large = b"x" * 65_537
    answer = await hear(stage, unknown, content=large, headers=headers_of(large))
    assert_problem(answer, 413, "payload-too-large", "65536")
    assert (await hear(stage, unknown, content=large[1:], headers=headers_of(large[1:]))).status_code == 204


async def bought(stage: Stage, card: str) -> tuple[str, httpx.Response]:
    """Take one of two mugs and pay it; return the buyer's token and the answer."""
    buyer, drop = stage.viewer(ids.secret(6)), await stage.drop(2)
    held = await stage.reserve(buyer, drop)
    assert held.status_code == 201, held.text
    return buyer, await stage.pay(buyer, held.json()["id"], card=card)


async def status_of(stage: Stage, buyer: str, order: str) -> str:
    """Return an order's status as its buyer sees it."""
    seen = await stage.call("GET", f"/v1/orders/{order}", buyer)
    assert seen.status_code == 200, seen.text
    status: str = seen.json()["status"]
    return status


async def test_the_private_sandbox_tells_its_server(stage: Stage) -> None:
    """A buyer who approves on the bank's page has a paid order by the webhook alone: nobody comes back or asks."""
    buyer, answer = await bought(stage, "tok_requires_action")
    assert answer.status_code == 202, answer.text
    order = answer.json()["order"]
    assert order["status"] == "requires_action"
    async with httpx.AsyncClient() as browser:
        assert (await browser.post(order["action_url"], data={"verdict": "approve"})).status_code == 200

    async def told() -> bool:
        url = place_in(stage.server.data).url()
        async with httpx.AsyncClient(base_url=url or "", headers=KEY) as http:
            status: str = (await http.get(f"/payments/{order['id']}")).json()["status"]
            return status == "captured"

    # What is not heard at first is repeated after 0.5, 2, 10 and 30 s.
    await wait_for(told, "the server has heard of it and taken the money", 60.0)
    await wait_for(lambda: paid(stage, buyer, order["id"]), "the order is paid")


async def paid(stage: Stage, buyer: str, order: str) -> bool:
    """Whether an order is paid."""
    return await status_of(stage, buyer, order) == "paid"


async def test_duplicates_and_reordering_change_nothing(stage: Stage) -> None:
    """An order whose webhooks come twice, late and in the wrong order, and many more at once, is paid once."""
    buyer, answer = await bought(stage, "tok_duplicate_webhook")
    assert answer.status_code == 201, answer.text
    order = answer.json()["order"]
    answers = await asyncio.gather(*(hear(stage, order["id"]) for _ in range(10)))
    assert {each.status_code for each in answers} == {204}
    assert await status_of(stage, buyer, order["id"]) == "paid"
    url = place_in(stage.server.data).url()
    async with httpx.AsyncClient(base_url=url or "", headers=KEY) as http:
        payment = (await http.get(f"/payments/{order['id']}")).json()
    assert (payment["status"], payment["captured"], payment["refunded"]) == ("captured", order["total"], 0)
