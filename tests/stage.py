"""A show to test on: made through the HTTP door of a real server, with viewers who come through the websocket."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from server import ids
from server.auth import Role
from server.client import LiveClient, live
from server.protocol.codec import Codec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server import ServerProcess

FEED = b"""Handle,Title,Body (HTML),Vendor,Tags,Variant SKU,Variant Price,Variant Inventory Qty
mug,Enamel Mug,<p>Blue</p>,Test Shop,kitchen,MUG,12.50,100
lamp,Desk Lamp,<p>Bright</p>,Test Shop,office,LAMP,40.00,10
"""
MUG_PRICE = 1250

Fields = dict[str, Any]


class Stage:
    """One live show of a server, its host, and as many viewers as a test wants."""

    def __init__(self, server: ServerProcess, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http
        self.show = ""
        self._names = itertools.count(1)

    async def open(self) -> None:
        """Import the feed and go live."""
        imported = await self.host("POST", "/v1/catalog/import?currency=EUR", content=FEED)
        assert imported.status_code == 200, imported.text
        made = await self.host("POST", "/v1/shows", json={"title": "A test", "currency": "EUR"})
        assert made.status_code == 201, made.text
        self.show = made.json()["id"]
        started = await self.host("POST", f"/v1/shows/{self.show}/start")
        assert started.status_code == 200, started.text

    async def host(self, method: str, path: str, **extra: Any) -> httpx.Response:
        """Send a request as the host."""
        return await self.call(method, path, self.server.token(Role.HOST, "host"), **extra)

    async def call(
        self, method: str, path: str, token: str, *, key: str | None = None, **extra: Any
    ) -> httpx.Response:
        """Send a request with a token, and an Idempotency-Key where one is given."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return await self.http.request(method, path, headers=headers, **extra)

    async def drop(self, quantity: int = 10, *, opened: bool = True, **terms: Any) -> str:
        """Plan a drop of mugs and open it; return its id."""
        body = {"sku": "MUG", "quantity": quantity, **terms}
        made = await self.host("POST", f"/v1/shows/{self.show}/drops", json=body)
        assert made.status_code == 201, made.text
        drop: str = made.json()["id"]
        if opened:
            await self.move(drop, "open")
        return drop

    async def move(self, drop: str, verb: str, **body: Any) -> Fields:
        """Move a drop and return it."""
        path = f"/v1/shows/{self.show}/drops/{drop}/{verb}"
        moved = await self.host("POST", path, json=body) if body else await self.host("POST", path)
        assert moved.status_code == 200, moved.text
        fields: Fields = moved.json()
        return fields

    async def stock(self, drop: str) -> Fields:
        """Return a drop as the HTTP door shows it."""
        shown = await self.host("GET", f"/v1/shows/{self.show}/drops/{drop}")
        assert shown.status_code == 200, shown.text
        fields: Fields = shown.json()
        return fields

    def numbers(self, fields: Fields) -> tuple[int, int, int]:
        """Return (available, held, sold)."""
        return fields["available"], fields["held"], fields["sold"]

    def viewer(self, name: str | None = None) -> str:
        """Return a viewer's token for this show."""
        return self.server.token(Role.VIEWER, name or f"viewer-{next(self._names)}", self.show)

    @asynccontextmanager
    async def watching(
        self, token: str | None = None, *, codec: Codec = Codec.MSGPACK, since: Fields | None = None
    ) -> AsyncIterator[LiveClient]:
        """Give a viewer on the live socket."""
        async with live(
            self.server.url, self.show, token or self.viewer(), codec=codec, since=since
        ) as client:
            yield client

    async def reserve(
        self, token: str, drop: str, quantity: int = 1, key: str | None = None
    ) -> httpx.Response:
        """Reserve through the HTTP door."""
        path = f"/v1/shows/{self.show}/drops/{drop}/reservations"
        return await self.call("POST", path, token, key=key or ids.secret(8), json={"quantity": quantity})

    async def pay(
        self, token: str, *reservations: str, card: str = "tok_ok", key: str | None = None, **extra: Any
    ) -> httpx.Response:
        """Check reservations out."""
        body = {"reservations": list(reservations), "payment": {"method": "card", "token": card}, **extra}
        return await self.call("POST", "/v1/checkout", token, key=key or ids.secret(8), json=body)

    async def anonymous(self, name: str) -> str:
        """Return a token of a viewer whom nobody knows, as a host mints it."""
        body = {"sub": name, "role": "viewer", "shows": [self.show], "anonymous": True}
        minted = await self.host("POST", "/v1/tokens", json=body)
        assert minted.status_code == 201, minted.text
        token: str = minted.json()["token"]
        return token

    async def until_stock(self, drop: str, expected: tuple[int, int, int], seconds: float = 10.0) -> None:
        """Wait until a drop has the numbers (available, held, sold)."""

        async def reached() -> bool:
            return self.numbers(await self.stock(drop)) == expected

        await wait_for(reached, f"stock {expected}", seconds)

    async def close(self) -> None:
        """End the show, unless a test has: workers look after every live one for as long as the server runs."""
        ended = await self.host("POST", f"/v1/shows/{self.show}/end")
        assert ended.status_code in {200, 404, 409}, ended.text

    async def audit(self) -> None:
        """Assert that the books of this show balance, as `livedrop audit` sees them."""
        done = await asyncio.to_thread(self.server.command, "audit", "--show", self.show, "--json")
        assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def on_stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show of a server, and end it."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        yield one
        await one.close()


def elapsed(since: float) -> float:
    """Return the seconds since a monotonic moment."""
    return time.monotonic() - since
