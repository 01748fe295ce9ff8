"""A store whose memory is full, or that may throw keys away: nothing new is taken, and all that gives back goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from server import metrics
from server.checkout.saga import Pending
from server.errors import Code, Problem
from server.inventory import batcher
from server.inventory.outcomes import Held, Waiting
from server.store.redis import connect
from server.store.scripts import FullError, Scripts
from server.workers.watch import EMPTY_TROUBLE, MEMORY_TROUBLE, POLICY_TROUBLE, Watch
from tests.deadlines import end_lease, let_lapse
from tests.faulty_scripts import faulty_folder
from tests.houses import house_at, live_show, numbers, open_drop
from tests.server import own_server
from tests.stage import Stage
from tests.store.cluster.lives import held, to_pay
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House
    from server.store.embedded import Embedded

UNITS = 10
FULL = 1  # bytes of memory, which every server has long had
SHEBANG = "#!lua flags=allow-oom\n"


@pytest_asyncio.fixture
async def house(valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(valkey.url, tmp_path / "house") as one:
        yield one


@pytest_asyncio.fixture
async def valkey(private_valkey: Embedded) -> AsyncIterator[Embedded]:
    """Give a store of many tests, which afterwards is as it was."""
    yield private_valkey
    client = connect(private_valkey.url)
    await client.config_set("maxmemory", 0)
    await client.config_set("maxmemory-policy", "noeviction")
    await client.aclose()


async def fill(house: House) -> None:
    """Let the store's memory be full."""
    await house.client.config_set("maxmemory", FULL)


async def empty(house: House) -> None:
    """Let it be as large as it wants again."""
    await house.client.config_set("maxmemory", 0)


def watch_of(house: House) -> Watch:
    """Return who watches the store of a house."""
    return Watch(house.client, house.scripts, house.ledger)


def trouble(name: str) -> float:
    """Return what the gauge says."""
    return float(metrics.STORE_TROUBLE.labels(name)._value.get())


async def refused(house: House, show: str, drop: str, viewer: str) -> Problem:
    """Reserve a unit, which must be refused."""
    told = await house.holds.reserve(show, viewer, "op", drop, 1)
    assert isinstance(told, Problem), told
    return told


async def test_what_gives_back_goes_on_where_the_memory_is_full(house: House) -> None:
    """Reserving is `unavailable`; releasing, lapsing, closing and an order under way come to their end."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    given, lapsing = await held(house, show, drop, "ann"), await held(house, show, drop, "bob")
    left = to_pay(show, await held(house, show, drop, "cleo"), "tok_timeout_then_ok", "cleo")
    assert isinstance(await house.checkout.pay(left), Pending)
    await let_lapse(house.client, show, lapsing)
    await end_lease(house.client, show, left.order)
    await fill(house)
    problem = await refused(house, show, drop, "dan")
    assert (problem.code, "nothing was done" in problem.detail) == (Code.UNAVAILABLE, True)
    assert (await house.holds.sweep(show)).lapsed == 1
    assert isinstance(await house.holds.release(given, "ann"), Held)
    assert await house.checkout.resume(show) == 1
    assert await numbers(house, show, drop) == (UNITS - 1, 0, 1)
    found = await house.orders.find(left.order)
    assert found is not None
    assert found[0]["status"] == "paid"
    await house.drops.close(show, drop)
    await house.shows.move(show, "end")
    await empty(house)
    assert await house.recorder().record(show)
    assert await house.shows.retire(show)


async def test_one_step_with_both_gives_back_and_takes_nothing(house: House) -> None:
    """Operations that came together are told apart: who gives back is served, who takes or queues is refused."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    given = await held(house, show, drop, "ann")
    await fill(house)
    taken, released, joined, left = await asyncio.gather(
        house.holds.reserve(show, "bob", "op", drop, 1),
        house.holds.release(given, "ann"),
        house.waitlist.join(show, "cleo", "op", drop, 1),
        house.waitlist.leave(show, "dan", drop),
    )
    for told in (taken, joined):
        assert isinstance(told, Problem)
        assert told.code is Code.UNAVAILABLE
    assert isinstance(released, Held)
    assert isinstance(left, Waiting)
    assert await numbers(house, show, drop) == (UNITS, 0, 0)
    await empty(house)
    assert isinstance(await house.holds.reserve(show, "bob", "op", drop, 1), Held)


async def test_a_step_that_is_not_told_apart_gives_nothing_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: where all of a refused step is refused, the unit stays with who does not want it."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    given = await held(house, show, drop, "ann")
    await fill(house)
    monkeypatch.setattr(batcher, "GIVES_BACK", frozenset[str]())
    assert isinstance(await house.holds.release(given, "ann"), Problem)
    assert await numbers(house, show, drop) == (UNITS - 1, 1, 0)


async def test_a_sweep_without_its_flag_gives_nothing_back(house: House, tmp_path: Path) -> None:
    """Negative control: the same script without its first line is refused by a store that is full."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    await let_lapse(house.client, show, await held(house, show, drop))
    plain = Scripts(house.client, faulty_folder(tmp_path, [("hold_sweep.lua", SHEBANG, "")]))
    await fill(house)
    with pytest.raises(FullError):
        await plain.run("hold_sweep", {"show": show}, limit=10, skip=0)
    assert (await house.holds.sweep(show)).lapsed == 1


async def test_a_full_memory_is_told_and_no_reason_to_leave(house: House) -> None:
    """The gauge says so; a server that can still take units back stays ready."""
    watch = watch_of(house)
    await watch.look()
    assert (trouble(MEMORY_TROUBLE), watch.sentence) == (0, "")
    await fill(house)
    await watch.look()
    assert (trouble(MEMORY_TROUBLE), watch.sentence) == (1, "")
    await empty(house)
    await watch.look()
    assert trouble(MEMORY_TROUBLE) == 0


async def test_a_policy_that_is_changed_stops_the_sale(house: House) -> None:
    """Nothing is taken or paid while keys may be thrown away; what is held can be given back; then it goes on."""
    show = await live_show(house)
    drop = await open_drop(house, show, UNITS)
    given, kept = await held(house, show, drop, "ann"), await held(house, show, drop, "bob")
    watch = watch_of(house)
    await house.client.config_set("maxmemory-policy", "allkeys-lru")
    await watch.look()
    assert (trouble(POLICY_TROUBLE), "maxmemory-policy" in watch.sentence) == (1, True)
    problem = await refused(house, show, drop, "cleo")
    assert (problem.code, "maxmemory-policy" in problem.detail) == (Code.UNAVAILABLE, True)
    with pytest.raises(Problem, match="maxmemory-policy"):
        await house.checkout.pay(to_pay(show, kept, viewer="bob"))
    assert isinstance(await house.holds.release(given, "ann"), Held)
    await house.client.config_set("maxmemory-policy", "noeviction")
    await watch.look()
    assert (trouble(POLICY_TROUBLE), watch.sentence) == (0, "")
    assert isinstance(await house.holds.reserve(show, "cleo", "op", drop, 1), Held)


async def test_an_empty_store_is_told(house: House) -> None:
    """The ledger knows of shows that go on, and the store has none: a sentence says so until one is rebuilt."""
    show = await live_show(house)
    await open_drop(house, show, UNITS)
    await wait_for(lambda: house.recorder().record(show), "the ledger has the log")
    watch = watch_of(house)
    await watch.look()
    assert watch.sentence == ""
    await house.client.flushall()
    late = watch_of(house)
    await late.look()
    assert f"livedrop rebuild {show}" in late.sentence
    assert trouble(EMPTY_TROUBLE) == 1
    await house.rebuild().run(show)
    again = watch_of(house)
    await again.look()
    assert (again.sentence, trouble(EMPTY_TROUBLE)) == ("", 0)


async def test_a_server_says_why_it_cannot_sell(tmp_path: Path) -> None:
    """`/readyz` answers 503 with the sentence and `/metrics` has the alarm, and both end with their cause."""
    with own_server(tmp_path, private=True) as server:
        client = connect(server.store_url)
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            drop = await stage.drop(2)

            async def ready() -> bool:
                return (await http.get("/readyz")).status_code == httpx.codes.OK

            async def refuses() -> bool:
                return not await ready()

            await client.config_set("maxmemory-policy", "volatile-ttl")
            await wait_for(refuses, "it is not ready")
            assert "maxmemory-policy" in (await http.get("/readyz")).json()["detail"]
            assert 'livedrop_store_trouble{trouble="policy"} 1.0' in (await http.get("/metrics")).text
            assert (await stage.reserve(stage.viewer(), drop)).status_code == 503
            await client.config_set("maxmemory-policy", "noeviction")
            await wait_for(ready, "it is ready again")
            assert (await stage.reserve(stage.viewer(), drop)).status_code == 201
        await client.aclose()
