"""Sends what the books note to be told: signed, with a few repeats, and never in the way of a payment."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import structlog

from server.payments.bank.signature import signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.payments.bank.books import Books, Message

AGAIN_MS = (
    500,
    2_000,
    10_000,
    30_000,
)  # after each try that was not heard; after the last one nobody tries again
TOGETHER = 16  # under way at a time
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 0.05

log = structlog.get_logger(__name__)


class Post:
    """Brings webhooks to the address that `address` names at that moment; while that is empty, none is due."""

    def __init__(self, books: Books, key: bytes, address: Callable[[], str]) -> None:
        self._books = books
        self._key = key
        self._address = address

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while not self._address():  # noqa: ASYNC110  a file may name it any time
            await asyncio.sleep(LOOK_SECONDS)
        async with httpx.AsyncClient(
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_connections=TOGETHER),
            verify=self._address().startswith("https:"),  # its certificates take a while to load
            trust_env=False,
        ) as http:
            while True:
                try:
                    sent = await self._round(http)
                except Exception:
                    log.exception("sandbox.webhooks_wait")
                    sent = 0
                if not sent:
                    await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send beside whatever runs inside."""
        sending = asyncio.create_task(self.run())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _round(self, http: httpx.AsyncClient) -> int:
        address = self._address()
        due = self._books.due(TOGETHER) if address else []
        await asyncio.gather(*(self._send(http, address, message) for message in due))
        return len(due)

    async def _send(self, http: httpx.AsyncClient, address: str, message: Message) -> None:
        headers = {"Content-Type": "application/json", **signed(self._key, message.id, message.body)}
        try:
            answer = await http.post(address, content=message.body, headers=headers)
            heard = answer.is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            heard = False
        if heard or message.tries >= len(AGAIN_MS):
            if not heard:
                log.warning("sandbox.webhook_given_up", id=message.id, tries=message.tries + 1)
            await self._books.do(lambda: self._books.told(message))
        else:
            await self._books.do(lambda: self._books.put_off(message, AGAIN_MS[message.tries]))
