"""A store that fails over under buyers: sales halt, and go on with what is left."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import TYPE_CHECKING

from server.checkout.saga import Paid
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.store.embedded import Embedded
from server.store.keys import key
from tests.houses import house_at, live_show, numbers, open_drop
from tests.waiting import wait_for
from tests.workers.lossy import Lossy, lossy

if TYPE_CHECKING:
    from pathlib import Path

    from server.store.redis import Redis

UNITS = 8


async def follows(primary: Redis, replica: Redis) -> None:
    """Wait until a replica has all that its primary has."""

    async def caught_up() -> bool:
        theirs, ours = await replica.info("replication"), await primary.info("replication")
        same = theirs.get("slave_repl_offset") == ours["master_repl_offset"]
        return theirs.get("master_link_status") == "up" and same

    await wait_for(caught_up, "the replica has it all")


async def test_a_promoted_replica_that_lacks_the_last_writes(tmp_path: Path) -> None:
    """Cut off while orders are acknowledged, then promoted: it would sell them again, and after a rebuild it does not.

    Whoever held a unit there keeps it where it fits; the control is what the promoted store says before the rebuild.
    """
    async with lossy(tmp_path) as store:
        show = await live_show(store.house)
        drop = await open_drop(store.house, show, UNITS)
        await store.bought(show, drop, "ann")
        await store.recorded(show)
        with Embedded.start(tmp_path / "replica") as other:
            await store.house.client.config_set("repl-diskless-sync-delay", 0)
            async with house_at(other.url, tmp_path / "data") as promoted:
                port = await _listening(store.house.client)
                await promoted.client.replicaof("127.0.0.1", port)
                await follows(store.house.client, promoted.client)
                await promoted.client.replicaof("NO", "ONE")
                await store.bought(show, drop, "bob", 2)
                await store.bought(show, drop, "cleo")
                store.house, lost = promoted, store.house
                try:
                    assert await numbers(promoted, show, drop) == (UNITS - 1, 0, 1), (
                        "it would sell three again"
                    )
                    kept = await store.held(show, drop, "dan")
                    report = await store.rebuilt(show)
                    assert [sale.viewer for sale in report.drops[0].plan.sales] == ["bob", "cleo"]
                    assert await numbers(promoted, show, drop) == (UNITS - 5, 1, 4)
                    paid = await promoted.checkout.pay(store.request(show, "dan", kept))
                    assert isinstance(paid, Paid)
                    assert await store.sell_out(show, drop) == UNITS - 5
                    assert await store.sold_units(drop, show) == UNITS
                    assert await store.differences(show) == []
                    await store.all_there()
                finally:
                    store.house = lost


async def _listening(client: Redis) -> int:
    """Let a server that listens on a socket alone take replicas as well; return its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    await client.config_set("port", port)
    return port


async def test_buyers_do_not_notice_more_than_a_pause(tmp_path: Path) -> None:
    """Many buy while the show is frozen, rebuilt and opened, twice: no unit twice, none stranded, no order lost."""
    async with lossy(tmp_path) as store:
        show = await live_show(store.house)
        drop = await open_drop(store.house, show, UNITS)
        outcomes: Counter[str] = Counter()
        over = asyncio.Event()

        async def buyer(name: str) -> None:
            turn = 0
            while not over.is_set():
                turn += 1
                held = await store.house.holds.reserve(show, name, f"op-{turn}", drop, 1)
                if isinstance(held, Held):
                    request = store.request(show, name, held.reservation["id"])
                    outcome = await store.house.checkout.pay(request)
                    outcomes[type(outcome).__name__] += 1
                    if isinstance(outcome, Paid):
                        store.paid.append(request.order)
                elif isinstance(held, Problem):
                    outcomes[held.code] += 1
                await asyncio.sleep(0)

        buyers = [asyncio.create_task(buyer(f"buyer-{number}")) for number in range(6)]
        for _ in range(2):
            await wait_for(lambda: len(store.paid) >= 2, "somebody has bought")
            report = await store.rebuilt(show)
            assert (report.short, report.notes) == ({}, [])
        await wait_for(lambda: outcomes[Code.OUT_OF_STOCK] > 0, "all is sold")
        over.set()
        await asyncio.gather(*buyers)
        await wait_for(lambda: _settled(store, show), "what waited is settled")
        assert await numbers(store.house, show, drop) == (0, 0, UNITS)
        assert await store.sold_units(drop, show) == UNITS
        assert await store.differences(show) == []
        await store.all_there()


async def _settled(store: Lossy, show: str) -> bool:
    await store.house.client.zunionstore(key("pending", show=show), {key("pending", show=show): 0})
    await store.house.checkout.resume(show)
    return await store.house.client.hlen(key("orders", show=show)) == 0
