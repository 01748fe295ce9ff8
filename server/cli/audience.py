"""Simulated viewers for the demo: they join, wait for the drop, take a unit; most pay, some let it lapse."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx
from rich.table import Table

from server.auth import Role, Tokens
from server.client import ClosedError, LiveClient, live
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from types import TracebackType

AT_ONCE = 50  # viewers who connect or pay at the same time
TOKEN_SECONDS = 3600
PATIENCE_SECONDS = 60.0
LAPSES_EVERY = 5  # every fifth taker lets the unit go


class Audience:
    """`size` viewers of one show. An async context: `arrive`, then `buy`."""

    def __init__(self, url: str, show: str, drop: str, tokens: Tokens, size: int) -> None:
        self.url = url
        self.show = show
        self.drop = drop
        self.size = size
        self._tokens = tokens
        self._stack = AsyncExitStack()
        self._clients: list[tuple[str, LiveClient]] = []
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def arrive(self) -> None:
        """Connect everybody, half of them with each subprotocol."""
        await asyncio.gather(*(self._arrive(number) for number in range(self.size)))

    async def _arrive(self, number: int) -> None:
        token, _ = self._tokens.mint(f"guest-{number}", Role.VIEWER, [self.show], TOKEN_SECONDS)
        codec = Codec.MSGPACK if number % 2 else Codec.JSON
        async with self._gate:
            client = await self._stack.enter_async_context(live(self.url, self.show, token, codec=codec))
        self._clients.append((token, client))

    async def buy(self) -> Table:
        """Take units as soon as the drop opens, pay most of them, and return what came of it as a table."""
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(base_url=self.url, limits=limits, timeout=PATIENCE_SECONDS) as http:
            outcomes = await asyncio.gather(
                *(self._buy(http, number, *each) for number, each in enumerate(self._clients))
            )
        table = Table("outcome", "viewers", title="What the audience did")
        for outcome, count in Counter(outcomes).most_common():
            table.add_row(outcome, str(count))
        return table

    async def _buy(self, http: httpx.AsyncClient, number: int, token: str, client: LiveClient) -> str:
        try:
            await client.event("drop.opened", PATIENCE_SECONDS)
            answer = await client.reserve(self.drop)
        except (ClosedError, TimeoutError) as error:
            return type(error).__name__
        if answer["type"] == "error":
            return str(answer["code"])
        if number % LAPSES_EVERY == 0:
            return "taken, not paid"
        return await self._pay(http, token, answer["reservation"])

    async def _pay(self, http: httpx.AsyncClient, token: str, reservation: dict[str, Any]) -> str:
        body = {
            "reservations": [reservation["id"]],
            "payment": {"method": "card", "token": "tok_ok"},
            "expected_total": reservation["unit_price"] * reservation["quantity"],
        }
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": reservation["id"]}
        async with self._gate:
            response = await http.post("/v1/checkout", json=body, headers=headers)
        return "paid" if response.status_code == httpx.codes.CREATED else str(response.json().get("code"))
