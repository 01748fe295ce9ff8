"""The common ground of all benchmarks: one private Valkey, one server of ours on it, peers as processes beside it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from loadtests.stagehand import ROOT, clean_environment, free_port, own_server, running
from server import ids
from server.app import House, build
from server.auth import Role
from server.protocol.codec import Codec, pack
from server.settings import Settings
from server.store.embedded import Embedded
from server.store.redis import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.stagehand import Stage

UNLIMITED = "1000000"
HOLD_SECONDS = 3600  # nothing lapses while we measure
QUANTITY = 1_000_000
LIMIT = 10_000
TOKEN_SECONDS = 3600
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.005
PEER_SECONDS = 20.0
SUBPROTOCOL = Codec.MSGPACK.value

OURS = "the server"
REDIS = "Redis"
PEER = "the peer"


class BenchError(Exception):
    """A benchmark did not do what it set out to measure; the sentence says what happened instead."""


@dataclass(slots=True)
class Ground:
    """A running server of ours (`stage`), its rooms for use from this process (`house`), and their Redis."""

    stage: Stage
    house: House
    redis_url: str
    redis_pid: int
    folder: Path

    def address(self, show: str) -> str:
        """Return the live socket of a show."""
        return f"ws{self.stage.url.removeprefix('http')}/v1/shows/{show}/live"

    def hello(self, show: str) -> Callable[[int], bytes]:
        """Return what makes the hello of the n-th of this show's newest group of viewers, in msgpack."""
        group = next(_groups)
        tokens = self.house.tokens

        def made(number: int) -> bytes:
            token, _ = tokens.mint(f"viewer-{group}-{number}", Role.VIEWER, [show], TOKEN_SECONDS)
            return pack({"type": "hello", "token": token})

        return made

    async def show(self) -> str:
        """Make a live show."""
        show = ids.new_show()
        await self.house.shows.create(show, "bench-host", {"title": "A benchmark", "currency": "EUR"})
        await self.house.shows.move(show, "start")
        return show

    async def drop(self, show: str) -> str:
        """Make an open drop with more units than anybody takes."""
        drop = ids.new_drop(show)
        terms = {
            "sku": "MUG",
            "title": "Mug",
            "unit_price": 1250,
            "currency": "EUR",
            "limit_per_viewer": LIMIT,
            "hold_seconds": HOLD_SECONDS,
            "mode": "fifo",
            "waitlist": False,
        }
        await self.house.drops.create(show, drop, terms, QUANTITY)
        await self.house.drops.open(show, drop)
        return drop

    @contextmanager
    def peer(self, module: str, *words: str) -> Iterator[tuple[int, int]]:
        """Run a peer as a process of its own and give (its port, its process id) once it listens."""
        port, log = free_port(), self.folder / f"{module}-{next(_groups)}.log"
        command = [sys.executable, "-m", f"loadtests.bench.{module}", str(port), self.redis_url, *words]
        with running(command, clean_environment(), ROOT, log) as process:
            deadline = time.monotonic() + PEER_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"The peer {module} does not listen:\n{log.read_text()}")
                time.sleep(POLL_SECONDS)
            yield port, process.pid


_groups = itertools.count(1)


@contextmanager
def prepared() -> Iterator[Ground]:
    """Give the ground, and clear everything away afterwards. Raises StageError, EmbeddedError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livedrop-bench-")))
        valkey = stack.enter_context(Embedded.start(folder))
        redis_url = asyncio.run(_tcp(valkey.url))
        stage = stack.enter_context(
            own_server(
                REDIS_URL=redis_url,
                LIVEDROP_MESSAGES_PER_SECOND=UNLIMITED,
                LIVEDROP_MESSAGE_BURST=UNLIMITED,
            )
        )
        told = {
            name: value
            for name, value in stage.environment.items()
            if name.startswith("LIVEDROP_") or name == "REDIS_URL"
        }
        house = build(Settings.load(told))
        yield Ground(stage, house, redis_url, valkey.pid or 0, folder)


async def until(reached: Callable[[], bool], what: str) -> None:
    """Wait until it is so. Raises BenchError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise BenchError(f"Waited {WAIT_SECONDS:.0f} s for {what} in vain.")
        await asyncio.sleep(POLL_SECONDS)


async def _tcp(url: str) -> str:
    """Let the private Valkey listen on loopback too, and return that URL: most servers reach theirs over TCP."""
    client, port = connect(url), free_port()
    try:
        await client.config_set("bind", "127.0.0.1")
        await client.config_set("port", port)
    finally:
        await client.aclose()
    return f"redis://127.0.0.1:{port}/0"


def _listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=1, trust_env=False)
    except httpx.ConnectError:
        return False
    except httpx.TransportError:
        return True  # it listens, and speaks no plain HTTP
    return True
