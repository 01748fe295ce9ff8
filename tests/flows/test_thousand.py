"""Many viewers, few units: who gets one, what everybody sees, and what becomes of units that nobody pays."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from server.client import LiveClient
from server.protocol.codec import Codec
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

HOLD_SECONDS = 12
AT_ONCE = 100  # handshakes under way


class Crowd:
    """Viewers of one stage, half of them on each subprotocol."""

    def __init__(self, stage: Stage, stack: AsyncExitStack) -> None:
        self.stage = stage
        self.stack = stack
        self.tokens: list[str] = []
        self.clients: list[LiveClient] = []

    async def arrive(self, size: int) -> None:
        """Connect everybody."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def arrive(number: int) -> None:
            codec = Codec.MSGPACK if number % 2 else Codec.JSON
            async with gate:
                watching = self.stage.watching(self.tokens[number], codec=codec)
                self.clients[number] = await self.stack.enter_async_context(watching)

        self.tokens = [self.stage.viewer(f"crowd-{number}") for number in range(size)]
        self.clients = [LiveClient.__new__(LiveClient)] * size
        await asyncio.gather(*(arrive(number) for number in range(size)))

    async def take(self, drop: str, *numbers: int) -> dict[int, str]:
        """Let viewers reserve at once; return the reservations of those who got one, and assert what others heard."""
        answers = await asyncio.gather(*(self.clients[number].reserve(drop) for number in numbers))
        taken = {
            number: answer["reservation"]["id"]
            for number, answer in zip(numbers, answers, strict=True)
            if answer["type"] == "reservation"
        }
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} <= {"out-of-stock"}
        assert all(answer["available"] == 0 for answer in refused)
        return taken


async def scenario(server: ServerProcess, viewers: int, units: int) -> None:
    """Sell `units` to a crowd that all want one: half of the takers pay, half let theirs lapse to others."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http, AsyncExitStack() as stack:
        stage = Stage(server, http)
        await stage.open()
        drop = await stage.drop(units, opened=False, hold_seconds=HOLD_SECONDS)
        crowd = Crowd(stage, stack)
        await crowd.arrive(viewers)
        await stage.move(drop, "open")
        await asyncio.gather(*(client.event("drop.opened") for client in crowd.clients))

        taken = await crowd.take(drop, *range(viewers))
        assert len(taken) == units, f"{len(taken)} viewers have one of {units} units"
        payers = sorted(taken)[: units // 2]
        paid = await asyncio.gather(*(stage.pay(crowd.tokens[number], taken[number]) for number in payers))
        assert [answer.status_code for answer in paid] == [201] * len(payers)

        lapsing = units - len(payers)
        await stage.until_stock(drop, (lapsing, 0, len(payers)), HOLD_SECONDS + 10)
        others = [number for number in range(viewers) if number not in taken]
        second = await crowd.take(drop, *others)
        assert len(second) == lapsing, f"{len(second)} viewers have one of {lapsing} units"
        assert stage.numbers(await stage.stock(drop)) == (0, lapsing, len(payers))

        await stage.move(drop, "close")
        await asyncio.gather(*(client.event("drop.closed") for client in crowd.clients))
        seen = {tuple(client.offsets) for client in crowd.clients}
        assert len(seen) == 1
        offsets = list(seen.pop())
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        for client in crowd.clients:
            numbers = client.stock[drop]
            assert numbers["available"] + numbers["held"] + numbers["sold"] == numbers["quantity"] == units
        await stage.audit()


async def test_a_thousand_viewers_share_a_hundred_units(server: ServerProcess) -> None:
    """1,000 viewers, 100 units, limit 1: 100 get one, 900 hear `out-of-stock`, all see the same; lapsed units go on."""
    await scenario(server, 1000, 100)


async def test_without_the_atomic_step_it_oversells(tmp_path: Path) -> None:
    """The same scenario on a server that looks first and takes later does not come out even."""
    server = ServerProcess(tmp_path / "data", module="tests.flows.apart")
    server.start()
    try:
        with pytest.raises(AssertionError, match="viewers have one of"):
            await scenario(server, 200, 20)
    finally:
        server.stop()
