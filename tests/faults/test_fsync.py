"""The store's disk takes what is written and cannot flush it: nothing more is sold, and no order that was paid is lost.

Valkey goes on refusing when its disk is well again, for it takes nothing that it could flush: it has to be told to
write its file anew, or to be started again. If its machine fails as well, the end of the file was never on the disk.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from server.errors import Problem
from server.store import binary
from server.store.leash import leashed
from server.store.redis import RedisError
from server.workers.audit import audit
from server.workers.watch import DISK_TROUBLE
from tests.faults.flushes import failing, hindrance
from tests.gateway.test_limits import figure
from tests.houses import house_at
from tests.server import ServerProcess, free_port
from tests.stage import Stage
from tests.store.cluster.nodes import HOST, Node
from tests.waiting import wait_for, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNITS = 1_000
ALARM = f'livedrop_store_trouble{{trouble="{DISK_TROUBLE}"}}'


class Store(Node):
    """A store with an append-only file that it flushes once a second."""

    def answers(self) -> bool:
        """Whether it is there and can be asked."""
        with suppress(RedisError, OSError):
            return bool(self.ask("INFO"))
        return False

    def begin(self) -> None:
        """Start it, and return when it answers."""
        self.start()
        wait_until(self.answers, "it answers")


@dataclass(slots=True)
class Scene:
    """A store, a server on it, and rooms of our own on the same store and ledger."""

    store: Store
    folder: Path
    server: ServerProcess
    house: House

    @property
    def file(self) -> Path:
        """The file that the store appends to."""
        return max(self.folder.rglob("*.incr.aof"))

    @asynccontextmanager
    async def selling(self) -> AsyncIterator[Sale]:
        """Give a live show that sells; at the end its books balance, and each order that was paid is in them."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=30) as http:
            stage = Stage(self.server, http)
            await stage.open()
            sale = Sale(stage, await stage.drop(UNITS))
            await sale.buy()
            yield sale
            await wait_for(sale.goes_on, "it sells again")
            await wait_for(self.ready, "it is ready")
            for order in sale.paid:
                found = await self.house.orders.find(order)
                assert found is not None
                assert (found[0]["status"], found[0]["payment"]["status"]) == ("paid", "captured")
            audited = await audit(self.house.client, self.house.orders, stage.show)
            assert [line for drop in audited for line in drop.differences] == []

    async def ready(self) -> bool:
        """Whether the server says that it can sell."""
        return (await self._asked("/readyz")).status_code == httpx.codes.OK

    async def warned(self) -> bool:
        """Whether the server says that it cannot, because of the store's disk."""
        told = await self._asked("/readyz")
        return told.status_code == httpx.codes.SERVICE_UNAVAILABLE and "its disk" in told.json()["detail"]

    async def _asked(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=10) as http:
            return await http.get(path)


@dataclass(slots=True)
class Sale:
    """One drop, and the orders that were acknowledged as paid."""

    stage: Stage
    drop: str
    paid: list[str] = field(default_factory=list)
    refusals: list[httpx.Response] = field(default_factory=list)

    async def buy(self) -> bool:
        """Let somebody buy a unit; return whether the order was acknowledged."""
        token = self.stage.viewer()
        answer = await self.stage.reserve(token, self.drop)
        if answer.status_code == httpx.codes.CREATED:
            answer = await self.stage.pay(token, answer.json()["id"])
        if answer.status_code == httpx.codes.CREATED:
            self.paid.append(answer.json()["order"]["id"])
            return True
        self.refusals.append(answer)
        return False

    async def refused(self) -> bool:
        """Whether the store takes no reservation any more."""
        await self.buy()
        answer = await self.stage.reserve(self.stage.viewer(), self.drop)
        return unavailable(answer)

    async def goes_on(self) -> bool:
        """Whether somebody can buy a unit again."""
        return await self.buy()


def unavailable(answer: httpx.Response) -> bool:
    """Whether somebody was told that it cannot be done at the moment."""
    told: dict[str, Any] = answer.json()
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and told["code"] == "unavailable"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give the module's scene."""
    if hindrance():
        pytest.skip(f"no flush can fail here: {hindrance()}")
    folder = tmp_path_factory.mktemp("fsync")
    port = free_port()
    settings = {"bind": HOST, "port": str(port), "dir": str(folder), "save": "", "appendonly": "yes"}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    store = Store(port, 0, leashed([str(binary.find()), *words, "--logfile", str(folder / "log")]))
    store.begin()
    server = ServerProcess(folder / "data", settings={"REDIS_URL": store.url})
    try:
        server.start()
        async with house_at(store.url, folder / "data") as house:
            yield Scene(store, folder, server, house)
        assert server.stop() == 0, server.log.read_text()
    finally:
        server.kill()
        store.end()


async def test_a_flush_that_fails_stops_the_sale(scene: Scene) -> None:
    """Once a second: buyers hear `unavailable`, the alarm is up and the server not ready, until it is written anew."""
    async with scene.selling() as sale:
        with failing(scene.store.process.pid):
            await wait_for(sale.refused, "units are refused")
            await wait_for(scene.warned, "it is not ready")
            assert await figure(sale.stage, ALARM) == 1
            assert not await sale.buy()
            assert unavailable(sale.refusals[-1])
        scene.store.ask("BGREWRITEAOF")
        await wait_for(scene.ready, "it is ready")
        assert await figure(sale.stage, ALARM) == 0


async def test_what_was_never_flushed_is_lost_and_no_order_is(scene: Scene) -> None:
    """The machine dies with it: the store lacks its last orders, its show is frozen and made whole from the ledger."""
    async with scene.selling() as sale:
        kept = scene.file.stat().st_size
        assert await sale.buy()
        await sale.stage.host(
            "POST", f"/v1/shows/{sale.stage.show}/drops/{sale.drop}/restock", json={"quantity": 1}
        )
        with failing(scene.store.process.pid):
            await wait_for(sale.refused, "units are refused")
            await scene.house.recorder().record(sale.stage.show)
            scene.store.end()
        with scene.file.open("r+b") as file:
            file.truncate(kept)
        scene.store.begin()

        async def frozen() -> bool:
            with suppress(Problem):  # the store has just begun
                return await scene.house.shows.frozen(sale.stage.show)
            return False

        await wait_for(frozen, "the show is frozen")
        sold = (await scene.house.drops.find(sale.stage.show, sale.drop))["sold"]
        assert sold < len(sale.paid), "nothing was lost"
        assert not await sale.buy()
        await scene.house.rebuild().run(sale.stage.show, reopen=True)


async def test_a_store_that_always_flushes_acknowledges_nothing(scene: Scene) -> None:
    """Always: the store ends instead of acknowledging what it cannot keep; who repeats the id has it once."""
    async with scene.selling() as sale, sale.stage.watching() as viewer:
        scene.store.ask("CONFIG", "SET", "appendfsync", "always")
        with failing(scene.store.process.pid):
            refused = await viewer.reserve(sale.drop, operation="once")
            assert (refused["type"], refused["code"]) == ("error", "unavailable")
            assert scene.store.process.wait(30) != 0
        assert not await scene.ready()
        scene.store.begin()

        async def taken() -> bool:
            answer = await viewer.reserve(sale.drop, operation="once")
            return bool(answer["type"] == "reservation")

        await wait_for(taken, "the repeat is answered")
        numbers = sale.stage.numbers(await sale.stage.stock(sale.drop))
        assert numbers == (UNITS - 1 - len(sale.paid), 1, len(sale.paid))
