"""A rush to the till: everybody who holds a unit pays in the same moment, at one server process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from server.store.embedded import Embedded
from tests.checkout.buying import balanced
from tests.houses import house_at
from tests.server import own_server
from tests.stage import Stage
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import ServerProcess

BUYERS = 300
CONNECTIONS, PATIENCE_SECONDS = 40, 0.2  # of the server to its store: fewer and less than usual
AT_ONCE = 30  # reservations under way, before the rush


class Till:
    """One connection of a buyer's own: kept open, so that nothing but the request is left to be done in the rush."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    async def post(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a request and return its status and body."""
        content = json.dumps(body)
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: rush",
            f"Authorization: Bearer {self._token}",
            f"Idempotency-Key: {key}",
            f"Content-Length: {len(content)}",
        ]
        self._writer.write("\r\n".join([*lines, "", content]).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        return int(head.split()[1]), json.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        """Leave."""
        self._writer.close()


async def arrived(stage: Stage, stack: AsyncExitStack, drop: str) -> list[tuple[Till, str]]:
    """Connect the buyers, let each take a unit, and return them with what they hold."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def arrive(number: int) -> tuple[Till, str]:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.server.port)
            till = Till(reader, writer, stage.viewer(f"rush-{number}"))
            stack.callback(till.close)
            path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
            status, taken = await till.post(path, "take", {"quantity": 1})
            assert status == HTTPStatus.CREATED, taken
            return till, taken["id"]

    return await asyncio.gather(*(arrive(number) for number in range(BUYERS)))


async def rush(server: ServerProcess) -> None:
    """Let everybody pay at once: nobody is turned away, and every unit is sold."""
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60, verify=NO_TLS) as http,
        AsyncExitStack() as stack,
    ):
        stage = Stage(server, http)
        await stage.open()
        drop = await stage.drop(BUYERS, hold_seconds=600)
        buyers = await arrived(stage, stack, drop)
        payment = {"method": "card", "token": "tok_ok"}
        answers = await asyncio.gather(
            *(
                till.post("/v1/checkout", "pay", {"reservations": [held], "payment": payment})
                for till, held in buyers
            )
        )
        heard = Counter(status for status, _ in answers)
        # 202: the bank beside us, a process that also has much to do now, was not fast enough; a worker goes on.
        assert set(heard) <= {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}, heard
        await stage.until_stock(drop, (0, 0, BUYERS), 60)
        orders = {answer["order"]["id"] for _, answer in answers}
        assert len(orders) == BUYERS
        async with house_at(server.store_url, server.data) as house:
            assert await balanced(house, stage.show)


async def test_all_who_hold_a_unit_pay_at_once(tmp_path: Path) -> None:
    """Three hundred checkouts in one moment, far more than connections to the store: all are taken, none is refused."""
    with Embedded.start(tmp_path / "store") as store:
        settings = {
            "REDIS_URL": f"{store.url}&max_connections={CONNECTIONS}&timeout={PATIENCE_SECONDS}",
            "LIVEDROP_PROVIDER_SECONDS": "600",  # nobody's time is over, however slow the machine
        }
        with own_server(tmp_path, settings, private=True) as server:
            await rush(server)
