"""The whole line with PostgreSQL as the ledger."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.postgres import start_postgres
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def on_postgresql(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = Path(tempfile.mkdtemp(prefix="ld-pg-"))
    try:
        postgres = start_postgres(folder)
        try:
            server = ServerProcess(tmp_path / "data", settings={"DATABASE_URL": postgres.fresh()})
            server.start()
            yield server
            assert server.stop() == 0
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder)


async def test_a_sale_on_postgresql(on_postgresql: ServerProcess) -> None:
    """Feed, show, drop, reservation, order, its cancellation and audit work on PostgreSQL; `serve` made the tables."""
    async with httpx.AsyncClient(base_url=on_postgresql.url, timeout=30) as http:
        stage = Stage(on_postgresql, http)
        await stage.open()
        drop = await stage.drop(2)
        token = stage.viewer()
        held = (await stage.reserve(token, drop)).json()
        paid = await stage.pay(token, held["id"])
        assert paid.status_code == 201, paid.text
        order = await stage.call("GET", f"/v1/orders/{paid.json()['order']['id']}", token)
        assert order.json()["status"] == "paid"
        assert order.json().items() >= paid.json()["order"].items()
        await stage.audit()
        cancelled = await stage.host("POST", f"/v1/orders/{order.json()['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert stage.numbers(await stage.stock(drop)) == (2, 0, 0)
        await stage.audit()
