"""A store under sentinels: its primary is replaced, killed or stands still, while units are taken."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from redis.asyncio.sentinel import Sentinel

from server.errors import Code, Problem
from server.store.redis import RedisError, connect, reaching
from server.store.sentinel import ROLE_SECONDS, GuidedConnection
from tests.eventlog.notes import Notes, listening
from tests.faults.test_cluster_faults import Rush, pinned
from tests.houses import house_at, live_show, open_drop
from tests.store.cluster.nodes import HOST
from tests.store.replicas import NAME, PASSWORD, SENTINELS_PASSWORD, guarded
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House
    from server.store.redis import Redis
    from tests.store.replicas import Guarded

SOCKET_SECONDS = 0.5  # until a house holds an answer for lost
UNITS = 60  # as a rush expects
REPLACED_SECONDS = 30.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("guarded")) as one:
        yield one


@pytest.fixture
def whole(store: Guarded) -> Guarded:
    """Give the store with a primary, and a replica that follows it."""
    store.mend()
    return store


@pytest_asyncio.fixture
async def house(whole: Guarded, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(f"{whole.url}&socket_timeout={SOCKET_SECONDS}", tmp_path) as one:
        yield one


async def a_rush(house: House, store: Guarded) -> Rush:
    """Return buyers in front of an open drop, of which ledger and replica know."""
    show = await live_show(house)
    rush = Rush(house, show, await open_drop(house, show, UNITS))
    await wait_for(lambda: house.recorder().record(show), "the ledger has the log")
    await wait_for(lambda: followed(store), "the replica has it all")
    return rush


def followed(store: Guarded) -> bool:
    """Whether the replica has all that the primary has written."""
    ours, theirs = store.primary.told(), store.replica.told()
    return bool(ours) and ours.get("master_repl_offset") == theirs.get("slave_repl_offset")


async def sell_again(house: House, rush: Rush) -> None:
    """Make the show whole, of which a replica that took over may lack the last moment; then let everybody repeat."""

    async def rebuilt() -> bool:
        with suppress(Problem):
            await house.rebuild().run(rush.show, reopen=True)
            return True
        return False

    await wait_for(rebuilt, "the show is made whole", REPLACED_SECONDS)
    await rush.ask_again()


async def test_a_primary_dies_while_units_are_taken(whole: Guarded, house: House) -> None:
    """SIGKILL: callers hear `unavailable`, the replica takes over, and nobody who repeats their id has two units.

    Who listens hears the show go on.
    """
    rush, notes = await a_rush(house, whole), Notes()
    async with listening(house, notes, rush.show) as ear:
        await wait_for(lambda: ear.hears, "its echo comes back")
        rushing = asyncio.create_task(rush.run())
        await wait_for(rush.has_served, "some have bought")
        former = whole.primary
        former.end()
        await rushing
        assert rush.unknown > 0, "nobody met the failover"
        await wait_for(lambda: whole.replaced(former), "the replica has taken over", REPLACED_SECONDS)
        await sell_again(house, rush)
        assert await rush.complaints() == []
        await wait_for(lambda: pinned(house, rush.show), "the show goes on")
        await wait_for(lambda: ear.hears, "its echo comes back, from the new primary")


async def test_a_failover_that_was_asked_for(whole: Guarded, house: House) -> None:
    """SENTINEL FAILOVER under buyers: all of them come to a known end, each with one unit at most."""
    rush = await a_rush(house, whole)
    former = whole.primary
    rushing = asyncio.create_task(rush.run())
    await wait_for(rush.has_served, "some have bought")
    await wait_for(partial(asked_for, whole), "a sentinel begins the failover")
    await rushing
    await wait_for(lambda: whole.replaced(former), "the replica has taken over", REPLACED_SECONDS)
    await sell_again(house, rush)
    assert await rush.complaints() == []


def asked_for(store: Guarded) -> bool:
    """Ask a sentinel for a failover; it may refuse for a while after the last one."""
    with suppress(RedisError, OSError):
        return store.sentinels[0].ask("SENTINEL", "FAILOVER", NAME) in {True, "OK"}
    return False


async def test_a_primary_that_was_replaced_and_lives_is_left(whole: Guarded) -> None:
    """SIGSTOP until the replica has taken over, then SIGCONT: nobody of ours is connected to the old one any more.

    The control is redis-py's own client, which stays with the old one for as long as that connection lives.
    """
    client: Any = connect(whole.url)
    sentinels = [(HOST, each.port) for each in whole.sentinels]
    asking: Any = Sentinel(sentinels, sentinel_kwargs={"password": SENTINELS_PASSWORD}, password=PASSWORD)  # type: ignore[no-untyped-call]  # the library's own gap
    theirs = asking.master_for(NAME)
    former, other = whole.primary, whole.replica
    await client.set("which", "former")
    await theirs.set("which", "former")
    with former.stopped():
        await wait_for(lambda: whole.replaced(former), "the replica has taken over", REPLACED_SECONDS)
        await wait_for(lambda: client._finder._known == (HOST, other.port), "our client knows")
    assert [connection.port for connection in connected(theirs)] == [former.port], "the control moved as well"
    await wait_for(lambda: not any(each.port == former.port for each in connected(client)), "it is left")
    await wait_for(lambda: told(client, "which", "new"), "it can be written again", REPLACED_SECONDS)
    assert other.ask("GET", "which") == "new"
    await client.aclose()
    await theirs.aclose()
    await asking.aclose()


def connected(client: Any) -> list[Any]:
    """Return the connections of a client that live."""
    pool = client.connection_pool
    return [
        each
        for each in (*pool._available_connections, *pool._in_use_connections)
        if each.is_connected and not each._writer.transport.is_closing()
    ]


async def told(client: Redis, name: str, value: str) -> bool:
    """Write a value; say whether that was acknowledged."""
    with suppress(Problem), reaching("a test"):
        await client.set(name, value)
        return True
    return False


async def test_a_primary_that_becomes_a_replica(whole: Guarded) -> None:
    """READONLY is `unavailable`, ends its connection, and no replica is taken for a primary afterwards."""
    client = connect(whole.url)
    await client.set("k", "v")
    former, other = whole.primary, whole.replica
    try:
        former.ask("REPLICAOF", HOST, other.port)  # behind the sentinels' backs
        with pytest.raises(Problem) as caught, reaching("a test"):
            await client.set("k", "w")
        assert caught.value.code is Code.UNAVAILABLE
        with pytest.raises(Problem), reaching("a test"):
            await client.get("k")
    finally:
        former.ask("REPLICAOF", "NO", "ONE")
    await wait_for(lambda: told(client, "k", "x"), "it is the primary again", REPLACED_SECONDS)
    await client.aclose()


async def test_a_primary_that_falls_silent_as_somebody_connects(
    whole: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gets no answer about its role in time sends nothing to it, and hears `unavailable`."""
    client = connect(whole.url)
    answered = GuidedConnection.read_response

    async def read_response(connection: GuidedConnection, *args: Any, **settings: Any) -> Any:
        told = await answered(connection, *args, **settings)
        return (
            None if settings.get("timeout") == ROLE_SECONDS else told
        )  # what the library says of none in time

    monkeypatch.setattr(GuidedConnection, "read_response", read_response)
    try:
        with pytest.raises(Problem) as caught, reaching("a test"):
            await client.set("k", "v")
        assert caught.value.code is Code.UNAVAILABLE
        monkeypatch.undo()
        await wait_for(lambda: told(client, "k", "w"), "it answers again")
    finally:
        await client.aclose()


async def test_sentinels_that_are_away_cost_nothing(whole: Guarded) -> None:
    """Two of three sentinels are dead: who comes finds the primary. All are: who is there goes on, others hear so."""
    *dead, last = whole.sentinels
    for each in dead:
        each.end()
    client = connect(f"{whole.url}&max_connections=1")
    await client.set("k", "v")
    last.end()
    await client.connection_pool.disconnect()
    await client.set("k", "w")
    late = connect(whole.url)
    with pytest.raises(Problem) as caught, reaching("a test"):
        await late.ping()
    assert caught.value.code is Code.UNAVAILABLE
    await client.aclose()
    await late.aclose()
