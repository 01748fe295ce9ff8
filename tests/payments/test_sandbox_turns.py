"""How many calls the sandbox's client has under way."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from server.payments.sandbox import CONNECTIONS, POOLS, Sandbox
from tests.server import SECRET
from tests.waiting import wait_for


class Standstill(httpx.AsyncBaseTransport):
    """Answers that there is no such payment, but not before it is let go."""

    def __init__(self) -> None:
        self.under_way = 0
        self.open = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        await self.open.wait()
        self.under_way -= 1
        return httpx.Response(
            404, json={"code": "not-found", "sentence": "No such payment."}, request=request
        )


@pytest.mark.parametrize("asked", [1, CONNECTIONS + 1, POOLS * CONNECTIONS + 30])
async def test_calls_wait_for_their_turn(asked: int) -> None:
    """So many calls are under way at a time, in as many pools as they need; the others wait, and all are answered."""
    bank = Standstill()
    sandbox = Sandbox("http://sandbox.test", SECRET, bank)
    asking = [asyncio.create_task(sandbox.find(f"or_{number}")) for number in range(asked)]
    most = min(asked, POOLS * CONNECTIONS)
    await wait_for(lambda: bank.under_way == most, "as many as may are under way")
    assert [pool.under_way for pool in sandbox._pools] == [
        min(CONNECTIONS, most - first) for first in range(0, most, CONNECTIONS)
    ]
    bank.open.set()
    assert await asyncio.gather(*asking) == [None] * asked
    assert {pool.under_way for pool in sandbox._pools} == {0}
    await sandbox.aclose()
