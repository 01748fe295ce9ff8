"""All processes of a soak, and rooms of our own on the same store and ledger."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from tests.houses import house_at
from tests.postgres import start_postgres
from tests.sandbox import private_sandbox
from tests.server import ServerProcess, free_port
from tests.store.relay import HOST, Relay
from tests.store.replicas import guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House
    from tests.postgres import Postgres
    from tests.store.replicas import Guarded

GATEWAYS = 2
PROVIDER_SECONDS = 4
DOWN_AFTER_MS = 1_000  # until the sentinels hold a silent primary for dead
LEAVE_SECONDS = 30.0
LETTERS = 1_500  # of a logged exception: its end
SETTINGS = {
    "LIVEDROP_PROVIDER_SECONDS": str(PROVIDER_SECONDS),
    "LIVEDROP_MESSAGES_PER_SECOND": "1000",
    "LIVEDROP_MESSAGE_BURST": "1000",
    "LIVEDROP_DRAIN_SECONDS": "2",
    "LIVEDROP_LOG_LEVEL": "warning",
}


@dataclass(slots=True)
class Worker:
    """A `livedrop work` process, which can be killed and comes back."""

    data: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.data.parent / f"{self.data.name}.log"

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server", "work"], env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def keep(self) -> None:
        """Start it again where it has ended, as whatever runs services does: it does not start without its store."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    def stop(self) -> int:
        """Ask it to leave and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LEAVE_SECONDS)


@dataclass(slots=True)
class Ground:
    """What a sale stands on. `ledger_way` is the network between everybody and PostgreSQL."""

    house: House
    gateways: list[ServerProcess]
    worker: Worker
    store: Guarded
    postgres: Postgres
    ledger_way: Relay

    def pids(self) -> dict[str, int]:
        """Return the processes that must not grow, by name."""
        named = {f"gateway {number}": each.process for number, each in enumerate(self.gateways)}
        found = {name: process.pid for name, process in named.items() if process is not None}
        if self.worker.process is not None and self.worker.process.poll() is None:
            found["worker"] = self.worker.process.pid
        return found

    def database_pids(self) -> list[int]:
        """Return all processes of PostgreSQL: it works on in each of them."""
        first = self.postgres.process.pid
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def troubles(self) -> list[str]:
        """Return what was logged that no fault explains: bugs."""
        logs = [*(gateway.log for gateway in self.gateways), self.worker.log]
        lines = (line for log in logs for line in log.read_text(errors="replace").splitlines())
        return sorted({line[-LETTERS:] for line in lines if "Traceback" in line or '"exception"' in line})


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Start everything, and end it again."""
    async with AsyncExitStack() as stack:
        store = stack.enter_context(guarded(folder / "store", down_after_ms=DOWN_AFTER_MS))
        database = Path(tempfile.mkdtemp(prefix="ld-soak-"))
        stack.callback(shutil.rmtree, database, ignore_errors=True)
        port = free_port()
        postgres = start_postgres(database, port=port)
        stack.callback(postgres.stop)
        way = await stack.enter_async_context(Relay(port))
        there = make_url(postgres.migrated()).set(host=HOST, port=way.port)
        data = folder / "ledger"
        bank = stack.enter_context(private_sandbox(data))
        settings = {
            **SETTINGS,
            "REDIS_URL": f"{store.url}&socket_timeout=2",
            "DATABASE_URL": there.render_as_string(hide_password=False),
            "LIVEDROP_SANDBOX_URL": bank,
        }
        house = await stack.enter_async_context(
            house_at(
                settings["REDIS_URL"],
                data,
                database_url=settings["DATABASE_URL"],
                provider_seconds=PROVIDER_SECONDS,
            )
        )
        gateways = [
            ServerProcess(folder / f"gateway-{number}", settings=settings, options=("--no-work",))
            for number in range(GATEWAYS)
        ]
        worker = Worker(folder / "worker", ServerProcess(folder / "worker", settings=settings).environment())
        worker.data.mkdir()
        worker.start()
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in gateways))
        try:
            yield Ground(house, gateways, worker, store, postgres, way)
        finally:
            for gateway in gateways:
                await asyncio.to_thread(gateway.stop)
            await asyncio.to_thread(worker.stop)
