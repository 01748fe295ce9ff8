"""The fast reader of sharded channels: it hears what it asked for, and a lost connection stays lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from server.errors import Problem
from server.store.redis import Redis, RedisError, connect_subscriber
from server.store.subscription import Subscription
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.embedded import Embedded
    from tests.store.proxy import Proxy

SECONDS = 5.0


@pytest.fixture(params=["", "&protocol=3"], ids=["usual", "RESP3"])
async def subscriber(valkey: Embedded, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    subscriber = connect_subscriber(valkey.url + request.param)
    yield subscriber
    await subscriber.aclose()


async def heard(subscription: Subscription, count: int) -> list[tuple[bytes, bytes]]:
    """Return the next pushes: kind and channel, or data where it is a message."""
    async with asyncio.timeout(SECONDS):
        pushes = [await subscription.read() for _ in range(count)]
    return [(kind, data if kind == b"smessage" else channel) for kind, channel, data in pushes]


async def test_what_is_asked_for_is_heard(client: Redis, subscriber: Redis) -> None:
    """From a channel's confirmation on its messages come, in order, bytes and all; what was not asked for does not."""
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"a", b"b")
        assert await heard(subscription, 2) == [(b"ssubscribe", b"a"), (b"ssubscribe", b"b")]
        for channel, data in (("a", b"1"), ("other", b"no"), ("b", b""), ("a", b"\r\n\x00\xff")):
            await client.spublish(channel, data)
        assert await heard(subscription, 3) == [
            (b"smessage", b"1"),
            (b"smessage", b""),
            (b"smessage", b"\r\n\x00\xff"),
        ]
        await subscription.leave(b"a")
        assert await heard(subscription, 1) == [(b"sunsubscribe", b"a")]
        await client.spublish("a", b"no")
        await client.spublish("b", b"2")
        assert await heard(subscription, 1) == [(b"smessage", b"2")]


async def test_asking_again_is_confirmed_again(client: Redis, subscriber: Redis) -> None:
    """A channel that is heard already is confirmed once more, and its messages still come once."""
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"a")
        await subscription.hear(b"a")
        assert await heard(subscription, 2) == [(b"ssubscribe", b"a")] * 2
        await client.spublish("a", b"1")
        await client.spublish("a", b"2")
        assert await heard(subscription, 2) == [(b"smessage", b"1"), (b"smessage", b"2")]


async def test_asking_for_nothing_asks_for_nothing(client: Redis, subscriber: Redis) -> None:
    """To leave no channel is not, as for Redis, to leave all."""
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"a")
        await subscription.hear()
        await subscription.leave()
        await client.spublish("a", b"1")
        assert await heard(subscription, 2) == [(b"ssubscribe", b"a"), (b"smessage", b"1")]


async def test_a_lost_connection_stays_lost(client: Redis, subscriber: Redis) -> None:
    """Reading ends with an error, asking is refused, and no new connection is made behind the reader's back."""
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"a")
        await heard(subscription, 1)
        await client.client_kill_filter(_type="pubsub")
        with pytest.raises(RedisError):
            await heard(subscription, 1)
        with pytest.raises(Problem, match="listening"):
            await asking_until_refused(subscription)
        with pytest.raises(Problem, match="lost"):
            await subscription.hear(b"b")
        assert await client.pubsub_shardchannels() == []
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"a")
        assert await heard(subscription, 1) == [(b"ssubscribe", b"a")]


async def asking_until_refused(subscription: Subscription) -> None:
    """Ask, and ask again: the first write to a closed socket may pass unnoticed."""
    for _ in range(10):
        await subscription.hear(b"b")
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_a_silent_reading(proxy: Proxy) -> None:
    """A connection that says nothing and is not closed ends with the reader's own deadline."""
    subscriber = connect_subscriber(proxy.url)
    async with Subscription(subscriber) as subscription:
        proxy.mode = "swallow"
        await subscription.hear(b"a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(subscription.read(), 0.2)
    await subscriber.aclose()


async def test_an_opening_that_is_cancelled_leaves_nothing(client: Redis, subscriber: Redis) -> None:
    """Cancelled at any moment of its opening, it keeps no connection."""
    for turns in range(12):
        opening = asyncio.create_task(opened(subscriber))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    assert not subscriber.connection_pool._in_use_connections

    async def alone() -> bool:
        return len(await client.client_list()) == 1

    await wait_for(alone, "the connections are closed")


async def test_an_opening_that_swallows_its_cancellation(
    subscriber: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the library forget that it was cancelled, the opening is cancelled all the same, and keeps nothing."""
    pool = subscriber.connection_pool
    get_connection = pool.get_connection
    begun = asyncio.Event()

    async def forgetful() -> Any:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(SECONDS)
        return await get_connection()  # type: ignore[no-untyped-call]  # the library's own gap

    monkeypatch.setattr(pool, "get_connection", forgetful)
    opening = asyncio.create_task(opened(subscriber))
    await begun.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not pool._in_use_connections


async def opened(subscriber: Redis) -> None:
    async with Subscription(subscriber):
        pass
