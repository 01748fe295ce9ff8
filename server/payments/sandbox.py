"""The sandbox as a provider: a client of the bank in `bank/`, which is a process of its own. No money moves.

Every call is made once; what has no answer, or none that can be understood, is unknown and is left to whoever asked.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from server.payments.bank.signature import key_of, require_signed
from server.payments.bank.ways import page_at
from server.payments.provider import (
    CALL_SECONDS,
    ActionRequired,
    Authorized,
    Declined,
    Payment,
    RefusedError,
    Status,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from server.payments.provider import Charge

ANSWER_SECONDS = CALL_SECONDS - 1.0  # for a whole call; the slow token takes ten
CONNECT_SECONDS = 3.0
# Calls under way at a time; the next one waits for its turn. A pool looks through all of its connections at every call,
# so there are several small ones, and the later are only used when the earlier are full.
POOLS, CONNECTIONS = 10, 20
IDLE_SECONDS = 20.0  # shorter than the bank keeps a connection, so that none is used that it has just closed


T = TypeVar("T")


class _Refusal(Struct):
    code: str
    sentence: str


class _Page(Struct):
    payments: list[Payment]
    after: int


class _Webhook(Struct):
    class Data(Struct):
        """What a webhook is about."""

        order: str

    data: Data


@dataclass(slots=True)
class _Pool:
    """Connections to the bank, and how many calls are under way on them."""

    http: httpx.AsyncClient
    under_way: int = 0


class Sandbox:
    """A provider for trying out and for tests, at the bank's address; `secret` is the server's own."""

    name = "sandbox"

    def __init__(self, url: str, secret: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._key = key_of(secret)
        self._transport = transport
        self._turns = asyncio.Semaphore(POOLS * CONNECTIONS)
        self._pools: list[_Pool] = []  # made when they are needed

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Reserve the amount; what becomes of it is the token's play."""
        payment = self._payment(await self._ask("POST", "/payments", _asked(charge)))
        match payment.status:
            case Status.AUTHORIZED | Status.CAPTURED:
                return Authorized(payment.reference)
            case Status.REQUIRES_ACTION:
                return ActionRequired(payment.reference, payment.url)
            case Status.DECLINED | Status.VOIDED:
                return Declined(payment.reason or "The payment was cancelled.")
            case Status.PENDING:
                raise UnknownOutcomeError("The sandbox has not decided yet.")

    async def find(self, order: str) -> Payment | None:
        """Look an order's payment up."""
        answer = await self._ask("GET", f"/payments/{quote(order, safe='')}")
        if isinstance(answer, _Refusal) and answer.code == "not-found":
            return None
        return self._payment(answer)

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move the reserved amount."""
        del reference  # it follows from the order
        _require_done(await self._ask("POST", f"/payments/{quote(charge.order, safe='')}/capture"))

    async def void(self, charge: Charge, reference: str) -> None:
        """Let the reserved amount go, or note that none shall be reserved."""
        del reference
        path = f"/payments/{quote(charge.order, safe='')}/void"
        _require_done(await self._ask("POST", path, _asked(charge)))

    async def refund(self, reference: str, refund: str, amount: int) -> None:
        """Move a captured amount back."""
        asked = {"reference": reference, "refund": refund, "amount": amount}
        _require_done(await self._ask("POST", "/refunds", asked))

    async def payments(self, since: int) -> AsyncIterator[Payment]:
        """Give all payments since a time, page by page, in the order in which they were made."""
        after = 0
        while True:
            answer = await self._ask("GET", f"/payments?since={since}&after={after}")
            page = _understood(answer, _Page)
            for payment in page.payments:
                yield self._with_url(payment)
            after = page.after
            if not after:
                return

    def heard(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the order that a webhook of the bank is about; it must be signed, within the last five minutes."""
        require_signed(self._key, headers, body)
        try:
            return msgspec.json.decode(body, type=_Webhook).data.order
        except msgspec.MsgspecError:
            return ""

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._pools:
            await pool.http.aclose()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes | _Refusal:
        """Make one call, once; return what a 2xx holds, or the bank's own refusal. Anything else is unknown."""
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._turns, self._pool() as http:
                answer = await http.request(method, path, content=content)
        except TimeoutError:
            raise UnknownOutcomeError(f"No answer from the sandbox within {ANSWER_SECONDS:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise UnknownOutcomeError(f"No answer from the sandbox: {reason}.") from error
        if answer.is_success:
            return answer.content
        if answer.status_code not in {404, 409}:
            raise UnknownOutcomeError(f"The sandbox answers {answer.status_code}.")
        return _understood(answer.content, _Refusal)

    @asynccontextmanager
    async def _pool(self) -> AsyncIterator[httpx.AsyncClient]:
        """Give the first pool with a connection to spare; whoever has a turn finds one."""
        pool = next((each for each in self._pools if each.under_way < CONNECTIONS), None)
        if pool is None:
            pool = _Pool(self._client())
            self._pools.append(pool)
        pool.under_way += 1
        try:
            yield pool.http
        finally:
            pool.under_way -= 1

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {self._key.hex()}"},
            timeout=httpx.Timeout(
                None, connect=CONNECT_SECONDS
            ),  # the whole call is bounded where it is made
            limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS),
            # Its certificates take a while to load, and most need none.
            verify=self._url.startswith("https:"),
            trust_env=False,  # a proxy of the environment is not for what stands next to us
            transport=self._transport,
        )

    def _payment(self, answer: bytes | _Refusal) -> Payment:
        return self._with_url(_understood(answer, Payment))

    def _with_url(self, payment: Payment) -> Payment:
        if payment.status is not Status.REQUIRES_ACTION or payment.url:
            return payment
        return replace(payment, url=page_at(self._url, payment.reference))


def _asked(charge: Charge) -> dict[str, Any]:
    return {
        "order": charge.order,
        "amount": charge.amount,
        "currency": charge.currency,
        "method": charge.method,
        "token": charge.token,
        "return_url": charge.return_url,
    }


def _require_done(answer: bytes | _Refusal) -> None:
    """Raise what a refusal stands for; what is only too early may still come."""
    if isinstance(answer, _Refusal):
        if answer.code == "not-ready":
            raise UnknownOutcomeError(answer.sentence)
        raise RefusedError(answer.sentence)
    _understood(answer, Payment)


def _understood(answer: bytes | _Refusal, kind: type[T]) -> T:
    """Return what an answer says; one that says something else, a refusal too, leaves the outcome unknown."""
    if isinstance(answer, _Refusal):
        raise UnknownOutcomeError(f"The sandbox answers {answer.code}: {answer.sentence}")
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownOutcomeError(f"The sandbox's answer cannot be read: {error}.") from error
