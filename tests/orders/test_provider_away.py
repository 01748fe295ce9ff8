"""A whole server whose payment provider goes away while an order is paid back: what the host is told, and the end."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import update

from server.ledger.tables import refunds
from tests.houses import house_at
from tests.problems import assert_problem
from tests.server import ServerProcess, free_port, own_server
from tests.stage import MUG_PRICE, Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 20.0


class Bank:
    """The sandbox in a process of its own, which can go and come back."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._books = folder / "bank"
        self._environment = ServerProcess(folder / "nothing").environment()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers while it is there."""
        return f"http://127.0.0.1:{self._port}"

    async def come(self) -> None:
        """Start it and wait until it answers."""
        self._process = self._start()
        await wait_for(self._answers, "the sandbox answers", START_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        port, books = str(self._port), str(self._books)
        return subprocess.Popen(
            [sys.executable, "-m", "server", "sandbox", "--port", port, "--data", books],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient() as http:
                await http.get(f"{self.url}/payments/none")
        except httpx.TransportError:
            return False
        return True

    def go(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


async def test_the_provider_goes_away(tmp_path: Path) -> None:
    """202, and the refund is asked: nothing else starts meanwhile; once the provider is back it is paid once."""
    bank = Bank(tmp_path)
    await bank.come()
    try:
        with own_server(tmp_path, {"LIVEDROP_SANDBOX_URL": bank.url}) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                await paid_back(Stage(server, http), bank)
    finally:
        bank.go()


async def paid_back(stage: Stage, bank: Bank) -> None:
    """Cancel an order while the bank is away, and wait until it is done."""
    await stage.open()
    drop, buyer = await stage.drop(2), stage.viewer()
    held = (await stage.reserve(buyer, drop)).json()["id"]
    order = (await stage.pay(buyer, held)).json()["order"]["id"]
    path = f"/v1/orders/{order}"
    bank.go()
    waits = await stage.host("POST", f"{path}/cancel", key="once")
    assert waits.status_code == 202, waits.text
    assert waits.json()["status"] == "paid"
    assert [(each["status"], each["amount"]) for each in waits.json()["refunds"]] == [("asked", MUG_PRICE)]
    for verb in ("cancel", "refund", "fulfil"):
        assert_problem(await stage.host("POST", f"{path}/{verb}"), 409, "in-progress", "is being cancelled")
    again = await stage.host("POST", f"{path}/cancel", key="once")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 1)
    await bank.come()
    async with house_at(stage.server.store_url, stage.server.data) as house:
        # Instead of waiting for the end of the lease.
        await house.ledger.write(lambda connection: connection.execute(update(refunds).values(next_at=0)))
    seen: dict[str, Any] = {}

    async def cancelled() -> bool:
        seen.update((await stage.host("GET", path)).json())
        return bool(seen["status"] == "cancelled")

    await wait_for(cancelled, "the order is cancelled", 20)
    assert [each["status"] for each in seen["refunds"]] == ["paid"]
    await stage.until_stock(drop, (2, 0, 0))
    await stage.audit()
