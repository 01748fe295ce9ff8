"""The server dies by SIGKILL in the middle of a burst of buyers, and comes back on the same data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UNITS = 60
BUYERS = 90
HOLD_SECONDS = 10
ACKNOWLEDGED_BEFORE_THE_END = 15
SETTLED_SECONDS = 60.0
FINAL = {200, 201, 202, 402, 409, 410}


@pytest.fixture
def mortal(tmp_path: Path) -> ServerProcess:
    return ServerProcess(tmp_path / "data", settings={"LIVEDROP_PROVIDER_SECONDS": "20"})


@pytest.fixture
async def show(mortal: ServerProcess) -> AsyncIterator[Stage]:
    mortal.start()
    try:
        async with httpx.AsyncClient(base_url=mortal.url, timeout=30) as http:
            stage = Stage(mortal, http)
            await stage.open()
            yield stage
    finally:
        mortal.stop()


class Buyer:
    """Takes a unit and pays it; asks again under the same keys for as long as the answer is unknown."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.token = stage.viewer(f"buyer-{number}")
        self.number = number
        self.order: dict[str, Any] | None = None
        self.outcome = ""

    async def buy(self, drop: str) -> None:
        """Come to an end: an order, or a refusal."""
        held = await self._until_known(
            lambda: self.stage.reserve(self.token, drop, key=f"take-{self.number}")
        )
        if held.status_code != httpx.codes.CREATED:
            self.outcome = held.json()["code"]
            return
        reservation = held.json()["id"]
        paid = await self._until_known(
            lambda: self.stage.pay(self.token, reservation, key=f"pay-{self.number}")
        )
        self.outcome = paid.json().get("code", "paid")
        if "order" in paid.json():
            self.order = await self._until_settled(paid.json()["order"])

    async def _until_settled(self, order: dict[str, Any]) -> dict[str, Any]:
        """Ask what became of an order that a worker goes on with (202), until that is known."""
        path = f"/v1/orders/{order['id']}"
        while order["status"] == "confirming":
            told = await self._until_known(lambda: self.stage.call("GET", path, self.token))
            order = told.json()
            await asyncio.sleep(0.2)
        assert order["status"] == "paid"
        return order

    async def _until_known(self, ask: Any) -> httpx.Response:
        while True:
            try:
                answer: httpx.Response = await ask()
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            fields = answer.json()
            if answer.status_code in FINAL and fields.get("code") != "in-progress":
                return answer
            await asyncio.sleep(0.2)


async def test_nothing_is_oversold_stranded_or_lost(mortal: ServerProcess, show: Stage) -> None:
    """After SIGKILL and a restart every 201 is in the ledger, every unit is sold or can be taken, nobody paid twice."""
    drop = await show.drop(UNITS, hold_seconds=HOLD_SECONDS)
    buyers = [Buyer(show, number) for number in range(BUYERS)]
    async with asyncio.TaskGroup() as tasks:
        for buyer in buyers:
            tasks.create_task(buyer.buy(drop))
        await wait_for(
            lambda: sum(buyer.order is not None for buyer in buyers) >= ACKNOWLEDGED_BEFORE_THE_END,
            "some orders are acknowledged",
        )
        acknowledged = {buyer.order["id"] for buyer in buyers if buyer.order}
        assert len(acknowledged) < UNITS, "the burst was over before the server died"
        assert await asyncio.to_thread(mortal.kill) != 0
        await asyncio.to_thread(mortal.start)
        listed = await show.host("GET", f"/v1/shows/{show.show}/orders?limit=200")
        kept = {order["id"] for order in listed.json()["items"]}
        assert acknowledged <= kept

    orders = [buyer.order["id"] for buyer in buyers if buyer.order]
    assert len(set(orders)) == len(orders)

    async def settled() -> bool:
        available, held, sold = show.numbers(await show.stock(drop))
        return held == 0 and available + sold == UNITS

    await wait_for(settled, "no unit is held any more", SETTLED_SECONDS)
    available, _held, sold = show.numbers(await show.stock(drop))
    listed = await show.host("GET", f"/v1/shows/{show.show}/orders?limit=200")
    items = listed.json()["items"]
    assert sum(line["quantity"] for order in items for line in order["lines"]) == sold
    assert set(orders) <= {order["id"] for order in items}
    assert {buyer.outcome for buyer in buyers} <= {"paid", "out-of-stock", "reservation-expired"}
    for number in range(available):
        late = await show.reserve(show.viewer(f"late-{number}"), drop)
        assert late.status_code == httpx.codes.CREATED, late.text
    await show.audit()
