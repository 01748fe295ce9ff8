"""A store that cannot write to its disk: it takes nothing, its servers say so, and go on by themselves afterwards.

The disk is full for this one process: its files may grow no further, which any process may be told without rights.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from server import metrics
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.store import binary
from server.store.leash import leashed
from server.store.redis import RedisError
from server.workers.audit import audit
from server.workers.watch import DISK_TROUBLE, Watch
from tests.houses import house_at, live_show, open_drop
from tests.server import free_port
from tests.store.cluster.nodes import HOST, Node
from tests.waiting import wait_for, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House

UNITS = 1_000
UNLIMITED = resource.RLIM_INFINITY


class Store(Node):
    """A store with an append-only file, whose disk can be full."""

    def told(self) -> dict[str, Any]:
        """Return what it says of itself; nothing where it does not answer."""
        with suppress(RedisError, OSError):
            return dict(self.ask("INFO"))
        return {}

    def fill_disk(self) -> None:
        """Let none of its files grow beyond what the largest one has."""
        size = int(self.told()["aof_current_size"])
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))

    def free_disk(self) -> None:
        """Let them grow again."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("misconf")
    port = free_port()
    settings = {"bind": HOST, "port": str(port), "dir": str(folder), "save": "", "appendonly": "yes"}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    # The leash ignores the signal that comes with the limit, and so does what it starts: writing fails instead.
    one = Store(port, 0, leashed([str(binary.find()), *words, "--logfile", str(folder / "log")]))
    one.start()
    try:
        wait_until(lambda: bool(one.told()), "it answers")
        yield one
    finally:
        one.end()


@pytest_asyncio.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(store.url, tmp_path) as one:
        yield one
    store.free_disk()


async def test_a_full_disk_stops_the_sale(store: Store, house: House) -> None:
    """Callers hear `unavailable`, the alarm is up and the server not ready; with room again all goes on as it was."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    watch = Watch(house.client, house.scripts, house.ledger)
    await watch.look()
    assert watch.sentence == ""
    held: dict[str, str] = {}
    refusals: list[Problem] = []
    store.fill_disk()

    async def refused() -> bool:
        name = f"buyer-{len(held)}"
        told = await house.holds.reserve(show, name, "op", drop, 1)
        if isinstance(told, Held):
            held[name] = told.reservation["id"]
            return False
        assert isinstance(told, Problem)
        refusals.append(told)
        return True

    await wait_for(refused, "units are refused")
    assert refusals[-1].code is Code.UNAVAILABLE
    await watch.look()
    assert "disk" in watch.sentence
    assert metrics.STORE_TROUBLE.labels(DISK_TROUBLE)._value.get() == 1
    with pytest.raises(Problem):
        await house.shows.pin(show, [])
    store.free_disk()

    async def taken() -> bool:
        return not await refused()

    await wait_for(taken, "units can be taken again")
    await watch.look()
    assert (watch.sentence, metrics.STORE_TROUBLE.labels(DISK_TROUBLE)._value.get()) == ("", 0)
    view = await house.drops.find(show, drop)
    assert (view["available"], view["held"]) == (UNITS - len(held), len(held)), "a refusal took a unit"
    audited = await audit(house.client, house.orders, show)
    assert [line for each in audited for line in each.differences] == []


async def test_a_store_that_always_flushes_ends_instead(store: Store, house: House) -> None:
    """With `appendfsync always` a write that cannot be kept is not acknowledged: the store ends, callers hear so."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    await house.client.config_set("appendfsync", "always")
    store.fill_disk()
    told = await house.holds.reserve(show, "ann", "op", drop, 1)
    assert isinstance(told, Problem)
    assert told.code is Code.UNAVAILABLE
    store.process.wait(30)
    store.start()
    wait_until(lambda: bool(store.told()), "it answers again")

    async def sells() -> bool:
        return isinstance(await house.holds.reserve(show, "bob", "op", drop, 1), Held)

    await wait_for(sells, "units can be taken again")
    view = await house.drops.find(show, drop)
    assert (view["available"], view["held"]) == (UNITS - 1, 1), "what was not acknowledged was kept"
