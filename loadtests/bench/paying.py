"""Checkouts: buyers who pay at once, by the server's own way, on either database; beside it, a commit for each write.

Each buyer has a reservation, taken before the clock starts, and pays it through `Checkout.pay`: Redis, ledger and
the steps between are real, flushes to the disk too. The provider stands in this process and takes nothing, or as long
as one across a network. The peer differs in one thing: its ledger's writer takes one piece of work per transaction.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.bench import postgres
from loadtests.bench.ground import REDIS, BenchError
from loadtests.bench.latency import percentiles
from loadtests.bench.meter import Figure, Way
from loadtests.bench.taking import CALLER, numbers
from loadtests.bench.till import Till
from loadtests.bench.turns import Turn, take_turns
from server import ids
from server.checkout.saga import Paid, Request
from server.house import House, build
from server.inventory.outcomes import Held
from server.ledger.migrate import migrate
from server.ledger.writer import Writer
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes
    from tests.postgres import Postgres

SQLITE, POSTGRESQL = "SQLite", postgres.STORE
TOGETHER, ALONE = "group commit", "each write alone"
MS = 1000.0


@dataclass(slots=True)
class Paying:
    """A way to pay and what it was measured with; `waits` are the seconds of every checkout, block by block."""

    way: Way
    database: str
    delay: float
    commits: str
    waits: list[list[float]] = field(default_factory=list)

    def at(self, percentile: float) -> Figure:
        """Return a percentile of the waits, ms: the median of the blocks and their spread."""
        return Figure.of([MS * percentiles(waits)[percentile] for waits in self.waits])


@dataclass(frozen=True, slots=True)
class Checkouts:
    """All ways, and whether PostgreSQL was there."""

    ways: list[Paying]
    postgres: bool

    def pairs(self) -> list[tuple[Paying, Paying]]:
        """Return ours with the peer of the same database and delay."""
        return list(zip(self.ways[::2], self.ways[1::2], strict=True))


async def measure(ground: Ground, sizes: Sizes) -> Checkouts:
    """Return the ways; their blocks take turns. Raises BenchError."""
    with postgres.started(flushes=True) as server:
        async with AsyncExitStack() as stack:
            ways, turns = [], []
            for name, processes in _databases(ground, server).items():
                for delay, commits in itertools.product(sizes.delays, (TOGETHER, ALONE)):
                    url = server.fresh() if server is not None and name == POSTGRESQL else ""
                    till = Till(delay)
                    house = await stack.enter_async_context(
                        shop(ground, till, url, together=commits == TOGETHER)
                    )
                    title = f"{name}, {delay * MS:.0f} ms, {commits}"
                    paying = Paying(
                        Way(title, processes, families=frozenset({POSTGRESQL})), name, delay, commits
                    )
                    ways.append(paying)
                    turns.append(_turn(ground, sizes, paying, house, till))
            await take_turns(turns, sizes.blocks, sizes.seconds, ground.say)
    for paying in ways:
        del paying.waits[0]  # of the block that warmed up
    return Checkouts(ways, server is not None)


@asynccontextmanager
async def shop(
    ground: Ground, till: Till, database_url: str = "", *, together: bool = True
) -> AsyncIterator[House]:
    """Give a house of ours with a ledger of its own (no URL: SQLite) that pays at the till.

    Not `together`: it commits every write alone.
    """
    folder = ground.folder / f"shop-{next(numbers)}"
    settings = {**ground.settings, "LIVEDROP_DATA": str(folder), "DATABASE_URL": database_url}
    migrate(database_url or folder)
    house = build(Settings.load(settings))
    house.methods._providers[till.name] = till  # noqa: SLF001  no setting has it
    if not together:
        ledger = house.ledger
        ledger._writer.close()  # noqa: SLF001  the peer has another one
        ledger._writer = Writer(ledger.write_engine, batch_limit=1)  # noqa: SLF001  and differs in nothing else
    try:
        yield house
    finally:
        await house.aclose()


async def basket(house: House, show: str, drop: str) -> Request:
    """Let a viewer who was never seen before reserve a unit, and return what they ask to pay. Raises BenchError."""
    viewer = f"v{next(numbers)}"
    held = await house.holds.reserve(show, viewer, "op", drop, 1)
    if not isinstance(held, Held):
        raise BenchError(f"A reservation was refused: {held}")
    return Request(
        order=ids.order(show, viewer, "pay"),
        show=show,
        viewer=viewer,
        reservations=[held.reservation["id"]],
        details={"provider": Till.name, "method": "card", "token": "tok_ok"},
        expected_total=None,
    )


async def pay(house: House, request: Request) -> float:
    """Pay, and return the seconds that it took. Raises BenchError."""
    began = time.perf_counter()
    outcome = await house.checkout.pay(request)
    if not isinstance(outcome, Paid):
        raise BenchError(f"A checkout came to {outcome}")
    return time.perf_counter() - began


async def all_paid(house: House, requests: Iterable[Request], payers: int) -> list[float]:
    """Let so many pay at once until all requests are paid; return the seconds that each took. Raises BenchError."""
    waits, left = [], iter(requests)

    async def payer() -> None:
        for request in left:
            waits.append(await pay(house, request))  # noqa: PERF401  several add to it

    async with asyncio.TaskGroup() as group:
        for _ in range(payers):
            group.create_task(payer())
    return waits


def _databases(ground: Ground, server: Postgres | None) -> dict[str, Mapping[str, int]]:
    """Return the databases with the processes whose CPU counts; SQLite is no process, its work is the caller's."""
    mine = {CALLER: os.getpid(), REDIS: ground.redis_pid}
    found: dict[str, Mapping[str, int]] = {SQLITE: mine}
    if server is not None:
        found[POSTGRESQL] = {**mine, POSTGRESQL: server.process.pid}
    return found


def _turn(ground: Ground, sizes: Sizes, paying: Paying, house: House, till: Till) -> Turn:
    async def block(way: Way, seconds: float) -> None:
        count = max(sizes.payers, round(sizes.checkouts * min(1.0, seconds / sizes.seconds)))
        till.forget()
        async with ground.shelf() as (show, drop):
            requests = await asyncio.gather(*(basket(house, show, drop) for _ in range(count)))
            with way.measured() as measured:
                waits = await all_paid(house, requests, sizes.payers)
                measured.units = len(waits)
        paying.waits.append(waits)

    return Turn(paying.way, block)
