"""The private store dies, or its owner leaves, while servers sell from it; and processes that are told to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAVE_SECONDS = 30.0


@pytest.fixture
def server_of_its_own(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data", settings={"LIVEDROP_APPENDFSYNC": "always"})
    server.start()
    yield server
    assert server.stop() == 0, server.log.read_text()


def store_pid(server: ServerProcess) -> int:
    """Return the process id of a server's private store."""
    return int((server.data / "valkey" / "valkey.pid").read_text())


def store_url(server: ServerProcess) -> str:
    """Return where a server's private store listens."""
    return (server.data / "valkey" / "url").read_text().strip()


async def ready(server: ServerProcess) -> bool:
    """Whether a server can sell."""
    async with httpx.AsyncClient(base_url=server.url, timeout=5) as http:
        return (await http.get("/readyz")).status_code == httpx.codes.OK


async def test_a_store_that_dies_is_started_again(server_of_its_own: ServerProcess) -> None:
    """SIGKILL to the private store: the server starts it anew with all that was written, and goes on selling."""
    async with httpx.AsyncClient(base_url=server_of_its_own.url, timeout=30) as http:
        stage = Stage(server_of_its_own, http)
        await stage.open()
        drop = await stage.drop(2)
        async with stage.watching() as viewer:
            assert (await viewer.reserve(drop))["type"] == "reservation"
            killed = store_pid(server_of_its_own)
            os.kill(killed, signal.SIGKILL)

            async def sells() -> bool:
                taken = await stage.reserve(stage.viewer("second"), drop, key="same")
                return taken.status_code == httpx.codes.CREATED

            await wait_for(sells, "units can be taken again", 30)
            assert store_pid(server_of_its_own) != killed
            await stage.move(drop, "close")
            await viewer.event("drop.closed")
        assert stage.numbers(await stage.stock(drop)) == (0, 2, 0)
        await stage.audit()


async def test_a_second_server_takes_the_store_over(tmp_path: Path) -> None:
    """Two servers on one data folder: the one that owns the store leaves, the other keeps it there and goes on."""
    first = ServerProcess(tmp_path / "data").start()
    second = ServerProcess(tmp_path / "data")
    try:
        second.start()
        owned = store_pid(first)
        assert first.stop() == 0
        await wait_for(lambda: ready(second), "the second server is ready", 30)
        assert store_pid(second) != owned
    finally:
        first.stop()
        assert second.stop() == 0


def living(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("started", [1, 3])
def test_workers_that_are_still_starting_end_with_their_parent(
    server: ServerProcess, tmp_path: Path, started: int
) -> None:
    """SIGTERM in the middle of starting six workers: exit 0, and none of them runs on."""
    several = ServerProcess(tmp_path / "data", settings={"REDIS_URL": store_url(server)})
    several.data.mkdir()
    command = [sys.executable, "-m", "server", "serve", "--port", str(several.port), "--workers", "6"]
    with several.log.open("ab") as log:
        parent = subprocess.Popen(command, env=several.environment(), stdout=log, stderr=log)
    try:
        wait_until(lambda: len(children(parent.pid)) >= started, "some workers are starting")
        born = children(parent.pid)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(LEAVE_SECONDS) == 0, several.log.read_text()
        wait_until(lambda: not any(living(pid) for pid in born), "no worker runs on")
    finally:
        if parent.poll() is None:
            parent.kill()
            parent.wait()


def test_work_leaves_in_order_however_busy(tmp_path: Path, server: ServerProcess) -> None:
    """`livedrop work` ends with 0 on SIGTERM, whatever it is doing at that moment."""
    settings = {"REDIS_URL": store_url(server), "LIVEDROP_SWEEP_MS": "10"}
    alone = ServerProcess(tmp_path / "data", settings=settings)
    alone.data.mkdir()
    assert alone.command("migrate").returncode == 0
    for _ in range(4):
        with alone.log.open("wb") as log:
            command = [sys.executable, "-m", "server", "work"]
            process = subprocess.Popen(command, env=alone.environment(), stdout=log, stderr=log)
        try:
            wait_until(lambda: "work.began" in alone.log.read_text(), "it works")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(LEAVE_SECONDS) == 0, alone.log.read_text()
