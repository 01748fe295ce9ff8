"""A server and its store in two networks with one wire between them: `python -m tests.faults.parted FOLDER`.

To be run as root of a network of one's own (`WORLD`). The store stays in the network in which this begins; server and
viewers are in another. While the wire is cut packets vanish in both directions and nobody is told so: no reset, no
error, connections that seem whole. Rooms of our own reach the store by its socket file, as a server does that is not
cut off.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from server.eventlog import stream
from server.inventory.outcomes import Held
from server.store.embedded import Embedded
from server.workers.audit import audit
from tests.faults.conftest import picture
from tests.faults.witness import crowd
from tests.houses import house_at
from tests.keys import assert_no_leaks
from tests.server import ServerProcess, is_ready
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.house import House

WORLD = ("unshare", "--user", "--map-root-user", "--net")
WIRE = ("link", "add", "name", "server", "type", "veth", "peer", "name", "store")
CLONE_NEWNET = 0x40000000  # unshare(2)
SERVER, STORE, PORT = "10.66.0.1", "10.66.0.2", 6379
STORES_ADDRESS = "02:00:00:00:00:02"
VANISH_SECONDS = 0.3
EVENTS = 5  # before, during and after
UNITS, TAKEN = 10, 2


def ip(*words: str, of: int = 0) -> None:
    """Change our own network, or that of a process."""
    entered = ["nsenter", "--target", str(of), "--net"] if of else []
    subprocess.run([*entered, "ip", *words], check=True)


def move_away() -> None:
    """Leave the network for a new and empty one; what was started before stays in it. To be done before any thread."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET) failed")
    ip("link", "set", "lo", "up")


def lay_wire(store: int) -> None:
    """Connect our network with that of the store's process."""
    ip(*WIRE, "address", STORES_ADDRESS, "netns", str(store))
    ip("addr", "add", f"{SERVER}/24", "dev", "server")
    ip("link", "set", "server", "up")
    ip("addr", "add", f"{STORE}/24", "dev", "store", of=store)
    ip("link", "set", "store", "up", of=store)
    # Who has to ask where the store is would hear of nobody after three seconds, and that is an error.
    ip("neigh", "replace", STORE, "lladdr", STORES_ADDRESS, "nud", "permanent", "dev", "server")


@contextmanager
def cut(store: int) -> Iterator[None]:
    """Let every packet between server and store vanish until the block ends."""
    ip("link", "set", "store", "down", of=store)
    try:
        yield
    finally:
        ip("link", "set", "store", "up", of=store)


def vanishes() -> bool:
    """Whether nobody answers who asks for the store, not even that it is away."""
    with socket.socket() as asking:
        asking.settimeout(VANISH_SECONDS)
        try:
            asking.connect((STORE, PORT))
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[ServerProcess]:
    """Give a server that has its store at the other end of the wire."""
    server = ServerProcess(folder / "data", module="tests.faults.hasty")
    server.settings = {"REDIS_URL": f"redis://{STORE}:{PORT}/0"}
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()


async def pin(house: House, show: str) -> None:
    """Write events past the server."""
    for number in range(EVENTS):
        await house.shows.pin(show, picture(number))


async def play(store: Embedded, folder: Path) -> None:
    """Cut the wire under a server with viewers, mend it, and assert that nobody has lost anything."""
    async with house_at(store.url, folder / "data") as house:
        await house.client.config_set("protected-mode", "no")
        await house.client.config_set("port", PORT)
        async with serving(folder) as server, httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            await part(store, house, stage)
            audited = await audit(house.client, house.orders, stage.show)
            assert [line for drop in audited for line in drop.differences] == []
    await assert_no_leaks(store.url)


async def part(store: Embedded, house: House, stage: Stage) -> None:
    """Cut the wire until the server's echo is missed, while one viewer taps and others buy elsewhere."""
    drop = await stage.drop(UNITS, limit_per_viewer=TAKEN)
    async with crowd(stage, staying=6, restless=0) as viewers, stage.watching() as buyer:

        def everybody_stayed() -> bool:
            return buyer.closed is None and all(
                (each.client is not None, each.starts, each.codes) == (True, 1, [])
                for each in viewers.staying
            )

        await pin(house, stage.show)
        before = len(stage.server.log.read_text())
        assert store.pid is not None
        with cut(store.pid):
            assert vanishes()
            tap = asyncio.create_task(buyer.reserve(drop, operation="once"))
            assert isinstance(await house.holds.reserve(stage.show, "elsewhere", "once", drop, TAKEN), Held)
            await pin(house, stage.show)

            def ears() -> list[str]:
                return re.findall(r"subscription\.\w+", stage.server.log.read_text()[before:])

            await wait_for(lambda: bool(ears()), "it has found out")
            assert ears()[0] == "subscription.deaf", "somebody told it"
            assert not await asyncio.to_thread(is_ready, stage.server.port)
            assert everybody_stayed()
        await wait_for(lambda: asyncio.to_thread(is_ready, stage.server.port), "it is ready by itself")
        assert (await tap)["type"] in {"reservation", "error"}  # late, or of an unknown outcome

        async def taken() -> bool:
            return bool((await buyer.reserve(drop, operation="once"))["type"] == "reservation")

        await wait_for(taken, "the repeat is answered")
        await pin(house, stage.show)
        top = await stream.top(house.client, stage.show)
        assert top is not None
        await viewers.settle(top.epoch, top.offset)
        assert viewers.complaints() == []
        assert everybody_stayed()
        numbers = (UNITS - TAKEN - 1, TAKEN + 1, 0)
        for each in viewers.staying:
            assert each.client is not None
            await each.client.until(lambda viewer: stage.numbers(viewer.stock[drop]) == numbers, 10)
        assert stage.numbers(await stage.stock(drop)) == numbers


def main(folder: Path) -> None:
    """Lay the wire and play."""
    with Embedded.start(folder / "store") as store:
        assert store.pid is not None
        move_away()
        lay_wire(store.pid)
        asyncio.run(play(store, folder))


if __name__ == "__main__":
    assert os.getuid() == 0, f"run it as {' '.join(WORLD)} python -m tests.faults.parted FOLDER"
    main(Path(sys.argv[1]))
