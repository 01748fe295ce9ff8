"""The common ground of all benchmarks: one private Valkey, servers of ours on it, peers as processes beside them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from loadtests.stagehand import ROOT, await_ready, clean_environment, free_port, mug_terms, running
from server import ids
from server.auth import Role
from server.eventlog.stream import top
from server.house import House, build
from server.protocol.codec import Codec, pack
from server.settings import Settings
from server.store.embedded import Embedded
from server.store.keys import key
from server.store.redis import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

UNLIMITED = "1000000"
HOLD_SECONDS = 3600  # nothing lapses while we measure
QUANTITY = 1_000_000
LIMIT = 10_000
TOKEN_SECONDS = 3600
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.005
PEER_SECONDS = 20.0
SUBPROTOCOL = Codec.MSGPACK.value
# Limits that would stop a load generator, not a viewer.
LIFTED = ("MESSAGES_PER_SECOND", "MESSAGE_BURST", "ACCEPTS_PER_SECOND")

# The append-only file is made anew between blocks, never within one; what the store does meanwhile, by its own names.
FILE_BYTES = 64 << 20
CLEARING = ("lazyfree_pending_objects", "aof_rewrite_in_progress", "aof_rewrite_scheduled")

OURS = "the server"
REDIS = "Redis"
PEER = "the peer"


class BenchError(Exception):
    """A benchmark did not do what it set out to measure; the sentence says what happened instead."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of ours: the port on loopback, and the process."""

    port: int
    pid: int

    def live(self, show: str) -> str:
        """Return the address of a show's live socket."""
        return f"ws://127.0.0.1:{self.port}/v1/shows/{show}/live"


@dataclass(slots=True)
class Ground:
    """Rooms of ours for use from this process (`house`), their Redis, and what it takes to start servers on it."""

    house: House
    redis_url: str
    redis_pid: int
    folder: Path
    settings: dict[str, str]
    say: Callable[[str], None]  # what is being done now, for whoever watches

    @contextmanager
    def server(self) -> Iterator[Server]:
        """Run a server of ours, fresh from its start, as beside `livedrop work`. Raises StageError."""
        number, port = next(_groups), free_port()
        data, log = self.folder / f"server-{number}", self.folder / f"server-{number}.log"
        environment = {**clean_environment(), **self.settings, "LIVEDROP_DATA": str(data)}
        command = [sys.executable, "-m", "server", "serve", "--no-work", "--port", str(port)]
        with running(command, environment, self.folder, log) as process:
            await_ready(process, f"http://127.0.0.1:{port}/readyz", log)
            yield Server(port, process.pid)

    def hellos(self, show: str, count: int) -> list[bytes]:
        """Return the hellos of that many viewers who were never seen before, in msgpack."""
        return [pack({"type": "hello", "token": token}) for token in self.tokens(show, count)]

    def tokens(self, show: str, count: int) -> list[str]:
        """Return the tokens of that many viewers who were never seen before."""
        group, mint = next(_groups), self.house.tokens.mint
        return [
            mint(f"viewer-{group}-{number}", Role.VIEWER, [show], TOKEN_SECONDS)[0] for number in range(count)
        ]

    async def show(self) -> str:
        """Make a live show."""
        show = ids.new_show()
        await self.house.shows.create(show, "bench-host", {"title": "A benchmark", "currency": "EUR"})
        await self.house.shows.move(show, "start")
        return show

    async def place(self, show: str) -> dict[str, Any]:
        """Return where a show's log stands, as a viewer names it who comes back."""
        place = await top(self.house.client, show)
        if place is None:
            raise BenchError("The show is gone.")
        return {"epoch": place.epoch, "offset": place.offset}

    async def scheduled_drop(self, show: str, units: int | None = None) -> str:
        """Plan a drop of so many units (None: more than anybody takes)."""
        drop = ids.new_drop(show)
        await self.house.drops.create(show, drop, mug_terms(LIMIT, HOLD_SECONDS), units or QUANTITY)
        return drop

    async def drop(self, show: str, units: int | None = None) -> str:
        """Make an open drop of so many units (None: more than anybody takes)."""
        drop = await self.scheduled_drop(show, units)
        await self.house.drops.open(show, drop)
        return drop

    @asynccontextmanager
    async def shelf(self, units: int | None = None) -> AsyncIterator[tuple[str, str]]:
        """Give a fresh live show and an open drop of it (None: more units than anybody takes); then forget both."""
        show = await self.show()
        try:
            yield show, await self.drop(show, units)
        finally:
            await self.forget(show)

    async def forget(self, show: str) -> None:
        """Take a show away, and wait until memory and file are free of it: nobody else shall pay for that."""
        client = self.house.client
        async for place in client.scan_iter(f"*{show}*", count=1000):
            await client.unlink(place)
        await client.zrem(key("shows"), show)
        await client.srem(key("active"), show)
        if (await client.info("persistence"))["aof_current_size"] > FILE_BYTES:
            await client.bgrewriteaof()
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            told = {**await client.info("memory"), **await client.info("persistence")}
            if not any(told[name] for name in CLEARING):
                return
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"The store had not cleared a show away after {WAIT_SECONDS:.0f} s.")

    async def script_calls(self) -> int:
        """Return how many script calls the store has answered so far."""
        commands: dict[str, dict[str, int]] = await self.house.client.info("commandstats")
        return commands.get("cmdstat_evalsha", {}).get("calls", 0)

    @contextmanager
    def peer(self, module: str, *words: str) -> Iterator[tuple[int, int]]:
        """Run a peer as a process of its own and give (its port, its process id) once it listens."""
        port = free_port()
        command = [sys.executable, "-m", f"loadtests.bench.{module}", str(port), self.redis_url, *words]
        with self.listening(module, command, port) as pid:
            yield port, pid

    @contextmanager
    def listening(self, name: str, command: Sequence[str], port: int) -> Iterator[int]:
        """Run a program that will listen on a port and give its process id once it does. Raises BenchError."""
        log = self.folder / f"{name}-{next(_groups)}.log"
        with running(list(command), clean_environment(), ROOT, log) as process:
            deadline = time.monotonic() + PEER_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"The peer {name} does not listen:\n{log.read_text()}")
                time.sleep(POLL_SECONDS)
            yield process.pid


_groups = itertools.count(1)


@contextmanager
def prepared(say: Callable[[str], None]) -> Iterator[Ground]:
    """Give the ground, and clear everything away afterwards. Raises EmbeddedError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livedrop-bench-")))
        valkey = stack.enter_context(Embedded.start(folder))
        redis_url = asyncio.run(_tcp(valkey.url))
        settings = {
            "REDIS_URL": redis_url,
            "LIVEDROP_SECRET": secrets.token_urlsafe(32),
            "LIVEDROP_LOG_LEVEL": "warning",
            **{f"LIVEDROP_{name}": UNLIMITED for name in LIFTED},
        }
        house = build(Settings.load({**settings, "LIVEDROP_DATA": str(folder / "house")}))
        yield Ground(house, redis_url, valkey.pid or 0, folder, settings, say)


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
        await client.config_set("auto-aof-rewrite-percentage", 0)
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
