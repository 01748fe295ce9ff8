"""A replica that is promoted while it is still cut off: what its primary acknowledged meanwhile must not be sold again.

Real processes throughout: primary, replica, a server, a worker, and `livedrop rebuild`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from redis.exceptions import RedisError

from server.store import binary
from server.store.leash import leashed
from server.workers.audit import audit
from tests.houses import house_at
from tests.server import ServerProcess, free_port
from tests.stage import Stage
from tests.store.cluster.nodes import HOST, Node
from tests.store.relay import Relay
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House

UNITS = 4
LEAVE_SECONDS = 30.0


class Store(Node):
    """A primary or a replica, alone."""

    def told(self) -> dict[str, Any]:
        """Return what it says of its part; nothing where it does not answer."""
        with suppress(RedisError):
            return dict(self.ask("INFO", "replication"))
        return {}


@dataclass(slots=True)
class Scene:
    """Two stores, the relay between them, the one in front of them, and a server that follows the latter."""

    primary: Store
    replica: Store
    between: Relay
    front: Relay
    server: ServerProcess
    house: House  # rooms of our own, behind the same relay

    def has_it_all(self) -> bool:
        """Whether the replica has what its primary has."""
        ours, theirs = self.primary.told(), self.replica.told()
        return theirs.get("master_link_status") == "up" and ours.get("master_repl_offset") == theirs.get(
            "slave_repl_offset"
        )

    async def promote(self) -> None:
        """Make the replica the primary, while it is cut off, and lead everybody there."""
        await asyncio.to_thread(self.replica.ask, "REPLICAOF", "NO", "ONE")
        self.front.lead(self.replica.port)


def a_store(folder: Path, name: str) -> Store:
    """Return a server that is not started yet."""
    port = free_port()
    (folder / name).mkdir()
    settings = {
        "bind": HOST,
        "port": str(port),
        "dir": str(folder / name),
        "logfile": str(folder / name / "log"),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "repl-diskless-sync-delay": "0",
    }
    words = [word for option, value in settings.items() for word in (f"--{option}", value)]
    return Store(port, 0, leashed([str(binary.find()), *words]))


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    """Give a scene in which the replica follows."""
    async with AsyncExitStack() as stack:
        stores = [a_store(folder, name) for name in ("primary", "replica")]
        for each in stores:
            each.start()
            stack.callback(each.end)
        await wait_for(lambda: all(each.told() for each in stores), "both answer")
        between = await stack.enter_async_context(Relay(stores[0].port))
        front = await stack.enter_async_context(Relay(stores[0].port))
        await asyncio.to_thread(stores[1].ask, "REPLICAOF", HOST, between.port)
        url = f"redis://{HOST}:{front.port}/0"
        house = await stack.enter_async_context(house_at(url, folder / "data"))
        server = ServerProcess(folder / "data", settings={"REDIS_URL": url}, options=("--no-work",))
        await asyncio.to_thread(server.start)
        try:
            yield Scene(stores[0], stores[1], between, front, server, house)
        finally:
            assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()


@contextmanager
def working(server: ServerProcess) -> Iterator[None]:
    """Let a worker process work."""
    with (server.data / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "server", "work"]
        process = subprocess.Popen(command, env=server.environment(), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LEAVE_SECONDS)


async def bought(stage: Stage, drop: str, viewer: str, quantity: int = 1) -> str:
    """Buy through the server and return the order, which was acknowledged with 201."""
    token = stage.viewer(viewer)
    taken = await stage.reserve(token, drop, quantity)
    assert taken.status_code == httpx.codes.CREATED, taken.text
    paid = await stage.pay(token, taken.json()["id"])
    assert paid.status_code == httpx.codes.CREATED, paid.text
    order: str = paid.json()["order"]["id"]
    return order


async def test_a_replica_that_is_promoted_while_it_is_cut_off(tmp_path: Path) -> None:
    """The sale is frozen, counted anew from the ledger and opened; the order that cannot be served is named.

    The control is what the promoted store offers before that: units that are sold.
    """
    async with (
        a_scene(tmp_path) as scene,
        httpx.AsyncClient(base_url=scene.server.url, timeout=30) as http,
    ):
        stage = Stage(scene.server, http)
        await stage.open()
        drop = await stage.drop(UNITS, limit_per_viewer=2)
        orders = [await bought(stage, drop, "ann")]
        await wait_for(lambda: scene.house.recorder().record(stage.show), "the ledger has the log")
        await wait_for(scene.has_it_all, "the replica follows")
        scene.between.cut()
        orders += [await bought(stage, drop, "bob"), await bought(stage, drop, "cleo")]
        await scene.promote()

        async def answers() -> bool:
            return (await http.get("/readyz")).status_code == httpx.codes.OK

        await wait_for(answers, "the server has found the promoted one", 30)
        assert stage.numbers(await stage.stock(drop)) == (UNITS - 1, 0, 1), "it would sell two units again"
        orders.append(await bought(stage, drop, "dan", 2))
        with working(scene.server):

            async def frozen() -> bool:
                late = await stage.reserve(stage.viewer("eve"), drop)
                return "frozen" in late.json().get("detail", "")

            await wait_for(frozen, "the worker has found what is missing", 30)
            done = await asyncio.to_thread(scene.server.command, "rebuild", stage.show, "--open", "--json")
            assert done.returncode == 1, done.stdout + done.stderr
            report = json.loads(done.stdout)
            assert report["shortfall"] == [{"order": orders[-1], "missing": 1}]
            assert report["status"] == "live"
            late = await stage.reserve(stage.viewer("late"), drop)
            assert late.json()["code"] == "out-of-stock", "a unit is sold that is not there"
            for order in orders:
                kept = await stage.host("GET", f"/v1/orders/{order}")
                assert (kept.json()["status"], kept.json()["payment"]["status"]) == ("paid", "captured")
            more = await stage.host(
                "POST", f"/v1/shows/{stage.show}/drops/{drop}/restock", json={"quantity": 2}
            )
            assert more.status_code == httpx.codes.OK, more.text
            assert stage.numbers(await stage.stock(drop)) == (1, 0, UNITS + 1)
            books = await audit(scene.house.client, scene.house.orders, stage.show)
            assert [line for each in books for line in each.differences] == []
