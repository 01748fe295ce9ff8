"""Sharded channels of three nodes, heard as one; what moves or fails is heard again, and the rest meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from server.store.keys import key
from server.store.redis import connect_subscriber
from server.store.slots import slot_of
from server.store.subscription import Subscription
from server.store.subscriptions import Subscriptions, listening
from tests.eventlog.notes import Notes, flicker
from tests.eventlog.notes import listening as ear
from tests.houses import house_at, open_drop
from tests.store.cluster.lives import held, live_show_on
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.store.redis import Redis
    from tests.store.cluster.nodes import Nodes

SECONDS = 5.0
PROTOCOLS = ["", "&protocol=3"]  # a sign of life looks different in each
CONFIRMED, MESSAGE = b"ssubscribe", b"smessage"


@pytest.fixture
async def subscriber(nodes: Nodes, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """Give a subscriber, with an option of the URL where a test asks for one."""
    subscriber = connect_subscriber(nodes.url + getattr(request, "param", ""))
    yield subscriber
    await subscriber.aclose()


@asynccontextmanager
async def opened(subscriber: Redis) -> AsyncIterator[Subscriptions]:
    """Give subscriptions on all nodes."""
    subscriptions = listening(subscriber)
    assert isinstance(subscriptions, Subscriptions)
    async with subscriptions:
        yield subscriptions


async def heard(subscriptions: Subscriptions, count: int) -> set[tuple[bytes, bytes]]:
    """Return the next pushes in any order: kind and channel, or data where it is a message."""
    async with asyncio.timeout(SECONDS):
        pushes = [await subscriptions.read() for _ in range(count)]
    return {(kind, data if kind == MESSAGE else channel) for kind, channel, data in pushes}


async def test_channels_of_all_nodes_are_heard(nodes: Nodes, client: Redis, subscriber: Redis) -> None:
    """Each channel is confirmed by the node that owns it, its messages come, and none once it is left."""
    channels = [nodes.key_on(node).encode() for node in nodes.primaries * 2]
    async with opened(subscriber) as subscriptions:
        await subscriptions.hear(*channels)
        assert await heard(subscriptions, 6) == {(CONFIRMED, channel) for channel in channels}
        for channel in channels:
            await client.spublish(channel, b"to " + channel)
        assert await heard(subscriptions, 6) == {(MESSAGE, b"to " + channel) for channel in channels}
        gone, *rest = channels
        await subscriptions.leave(gone)
        assert await heard(subscriptions, 1) == {(b"sunsubscribe", gone)}
        for channel in (gone, *rest):
            await client.spublish(channel, channel)
        assert await heard(subscriptions, 5) == {(MESSAGE, channel) for channel in rest}


async def test_one_connection_hears_one_node_only(nodes: Nodes) -> None:
    """Negative control: a plain subscription cannot have channels of two nodes, nor of two slots in one breath."""
    here, there = (nodes.key_on(node).encode() for node in nodes.primaries[:2])
    subscriber = connect_subscriber(nodes.primaries[0].url)
    for channels in ([there], [here, there]):
        async with Subscription(subscriber) as subscription:
            await subscription.hear(*channels)
            with pytest.raises(ResponseError, match=r"MOVED|same slot|\d+ 127"):
                await subscription.read()
    await subscriber.aclose()


async def test_a_channel_whose_slot_moves_is_heard_where_it_went(
    nodes: Nodes, client: Redis, subscriber: Redis
) -> None:
    """A channel is confirmed again by its slot's new owner, and what the others say comes meanwhile."""
    source, target, _ = nodes.primaries
    moving, staying = (nodes.key_on(node).encode() for node in (source, target))
    async with opened(subscriber) as subscriptions:
        await subscriptions.hear(moving, staying)
        await heard(subscriptions, 2)
        for here, there in ((source, target), (target, source)):
            nodes.move(slot_of(moving), here, there)
            await client.spublish(staying, b"here")
            assert await heard(subscriptions, 2) == {(CONFIRMED, moving), (MESSAGE, b"here")}
            await client.spublish(moving, b"there")
            assert await heard(subscriptions, 1) == {(MESSAGE, b"there")}


async def test_a_cut_connection_costs_the_other_nodes_nothing(
    nodes: Nodes, client: Redis, subscriber: Redis
) -> None:
    """Where one node cuts its listeners off, its channels are confirmed anew; nothing of the others' is missed."""
    cutting, other, _ = nodes.primaries
    cut, whole = (nodes.key_on(node).encode() for node in (cutting, other))
    async with opened(subscriber) as subscriptions:
        await subscriptions.hear(cut, whole)
        await heard(subscriptions, 2)
        cutting.ask("CLIENT", "KILL", "TYPE", "pubsub")
        for number in range(10):
            await client.spublish(whole, b"%d" % number)
        told = {(MESSAGE, b"%d" % number) for number in range(10)}
        assert await heard(subscriptions, 11) == {(CONFIRMED, cut), *told}
        await client.spublish(cut, b"again")
        assert await heard(subscriptions, 1) == {(MESSAGE, b"again")}


@pytest.mark.parametrize("subscriber", PROTOCOLS, ids=["usual", "RESP3"], indirect=True)
async def test_a_deaf_node_is_found(
    nodes: Nodes, client: Redis, subscriber: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that gives no sign of life is asked anew, and one that does is left alone."""
    monkeypatch.setattr("server.store.subscriptions.SIGN_SECONDS", 0.1)
    monkeypatch.setattr("server.store.subscriptions.DEAF_SECONDS", 0.6)
    monkeypatch.setattr("server.store.subscriptions.RETRY_SECONDS", 0.1)
    still, other, _ = nodes.primaries
    quiet, whole = (nodes.key_on(node).encode() for node in (still, other))
    async with opened(subscriber) as subscriptions:
        await subscriptions.hear(quiet, whole)
        await heard(subscriptions, 2)
        with still.stopped():
            await wait_for(lambda: is_lost(subscriptions, quiet), "it is held for deaf")
            await client.spublish(whole, b"here")
            assert await heard(subscriptions, 1) == {(MESSAGE, b"here")}
        assert await heard(subscriptions, 1) == {(CONFIRMED, quiet)}


def is_lost(subscriptions: Subscriptions, channel: bytes) -> bool:
    """Whether there is no connection on which a channel could be heard."""
    return not any(ear._subscription for ear in subscriptions._ears.values() if channel in ear.channels)


async def test_the_ear_of_a_process_hears_shows_of_all_nodes(nodes: Nodes, tmp_path: Path) -> None:
    """Events and numbers of shows on three nodes come through one ear; one whose slot moves goes on without a gap."""
    notes = Notes()
    async with house_at(nodes.url, tmp_path) as house:
        shows = [await live_show_on(house, nodes, node) for node in nodes.primaries]
        drops = [await open_drop(house, show, 10) for show in shows]
        async with ear(house, notes, *shows) as live:
            await wait_for(lambda: live.hears, "its echo comes back")
            before = dict(notes.tops)
            for show, drop in zip(shows, drops, strict=True):
                await flicker(house, show, drop, 3)
                await held(house, show, drop)
            told = {show: top + 6 for show, top in before.items()}
            await wait_for(lambda: notes.tops == told, "all events have come")
            await wait_for(
                lambda: {("s", drop) for drop in drops} <= set(notes.numbers), "all stock has come"
            )
            source, target, _ = nodes.primaries
            slot = slot_of(key("show", show=shows[0]))
            nodes.move(slot, source, target)
            notes.numbers.clear()
            await flicker(house, shows[0], drops[0], 3)
            await wait_for(
                lambda: notes.tops[shows[0]] == told[shows[0]] + 6, "all events have come from the new owner"
            )
            await wait_for(lambda: notes.anew > 0, "it is heard anew")
            await held(house, shows[0], drops[0])
            await wait_for(lambda: ("s", drops[0]) in notes.numbers, "so has the stock")
            nodes.move(slot, target, source)
    assert notes.losses == 0
