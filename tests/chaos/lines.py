"""A buyer's connections: to any of the gateways, through either door, cut or given up at any moment."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import httpx
from websockets.exceptions import InvalidHandshake, WebSocketException

from server.client import ClosedError, LiveClient, live
from tests.chaos.deeds import NOTHING, Heard, heard

if TYPE_CHECKING:
    import random

    from tests.chaos.deeds import Deed, Message
    from tests.chaos.estate import Estate

PATIENCE_SECONDS = 8.0  # longer than a server takes to say that it does not know
HASTE_SECONDS = 0.01
FAILED = (ClosedError, InvalidHandshake, WebSocketException, OSError, TimeoutError, EOFError, httpx.HTTPError)


class Lines:
    """One buyer's socket, at one gateway at a time, and requests to all of them."""

    def __init__(
        self, estate: Estate, http: httpx.AsyncClient, show: str, token: str, chance: random.Random
    ) -> None:
        self._estate = estate
        self._http = http
        self._show = show
        self._token = token
        self._chance = chance
        self._stack = AsyncExitStack()
        self.client: LiveClient | None = None

    async def tell(self, deed: Deed) -> Heard:
        """Ask through the socket, and sometimes do not wait long enough, or cut the line behind the words."""
        client = await self._connected()
        if client is None:
            return NOTHING
        message = {**deed.message, "id": deed.name}
        fate = self._chance.random()
        try:
            if fate < 0.03:
                await client.send(message)
                client._socket.transport.abort()
                return NOTHING
            async with asyncio.timeout(HASTE_SECONDS if fate < 0.06 else PATIENCE_SECONDS):
                answer = await client.request(message)
        except FAILED:
            return NOTHING
        return heard(answer, answer["code"] if answer["type"] == "error" else "")

    async def post(self, deed: Deed) -> Heard:
        """Ask through the HTTP door of any gateway, and sometimes do not wait long enough."""
        hasty = self._chance.random() < 0.05
        return await self.request(
            "POST",
            deed.path,
            key=deed.name,
            body=deed.body,
            seconds=HASTE_SECONDS if hasty else PATIENCE_SECONDS,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        body: Message | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> Heard:
        """Ask the HTTP door of any gateway."""
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Idempotency-Key": key} if key else {})
        url = f"{self._chance.choice(self._estate.gateways).url}{path}"
        try:
            answer = await self._http.request(method, url, headers=headers, json=body, timeout=seconds)
            fields: Message = answer.json()
        except (*FAILED, ValueError):
            return NOTHING
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and fields.get("code") != "unavailable":
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return heard(fields, fields.get("code", ""))

    async def leave(self) -> None:
        """End the socket."""
        self.client = None
        stack, self._stack = self._stack, AsyncExitStack()
        with suppress(*FAILED):  # its gateway may be gone
            await stack.aclose()

    async def _connected(self) -> LiveClient | None:
        """Return the socket, a new one where the last has ended; None where none can be had now."""
        if self.client is not None and self.client.closed is None:
            return self.client
        await self.leave()
        gateway = self._chance.choice(self._estate.gateways)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self.client = await self._stack.enter_async_context(
                    live(gateway.url, self._show, self._token)
                )
        except FAILED:
            return None
        return self.client
