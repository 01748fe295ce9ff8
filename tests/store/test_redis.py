"""Clients send once, failures mean `unavailable`, bugs stay visible, unfit servers are refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from server.errors import Code, Problem
from server.store.embedded import Embedded
from server.store.redis import (
    UnsupportedServerError,
    connect,
    connect_subscriber,
    reaching,
    require_supported,
    unfit,
)
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

    from tests.store.proxy import Proxy


async def raw(client: Redis, *command: str | float) -> Any:
    """Send any command and return its answer."""
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # the library's own gap


async def refused(client: Redis, *command: str | int) -> Problem:
    """Run a command that must end in a Problem, and return that."""
    with pytest.raises(Problem) as caught, reaching("a test"):
        await raw(client, *command)
    return caught.value


async def test_answers_are_bytes_from_the_fast_parser(client: Redis) -> None:
    """Answers come as bytes, read by hiredis."""
    await client.set("k", "v")
    assert await client.get("k") == b"v"
    (connection,) = client.connection_pool._available_connections
    assert "Hiredis" in type(connection._parser).__name__


async def test_a_cut_answer_is_applied_once_and_unavailable(
    client: Redis, proxied: Redis, proxy: Proxy
) -> None:
    """A mutation whose answer is cut off is applied exactly once, and its caller hears `unavailable`."""
    proxy.mode = "cut"
    problem = await refused(proxied, "INCR", "n")
    assert (problem.code, problem.status) == (Code.UNAVAILABLE, 503)
    assert "unknown" in problem.detail
    assert await client.get("n") == b"1"
    assert await proxied.incr("n") == 2


async def test_a_missing_answer_is_applied_once_and_unavailable(
    client: Redis, proxied: Redis, proxy: Proxy
) -> None:
    """A mutation without an answer in time is applied exactly once, and its caller hears "unknown"."""
    proxy.mode = "swallow"
    problem = await refused(proxied, "INCR", "n")
    assert problem.code is Code.UNAVAILABLE
    assert "no answer in time; whether it was applied is unknown" in problem.detail
    assert await client.get("n") == b"1"


async def test_a_repeating_client_would_apply_twice(client: Redis, proxied: Redis, proxy: Proxy) -> None:
    """Negative control: with one retry allowed, the very same cut applies the mutation twice."""
    for connection in proxied.connection_pool._available_connections:
        connection.retry._retries = 1
    proxy.mode = "cut"
    assert await proxied.incr("n") == 2
    assert await client.get("n") == b"2"


@pytest.mark.parametrize(
    "option", ["retry_on_timeout=yes", "retry_on_error=x", "decode_responses=1", "retry=3"]
)
def test_a_url_cannot_bring_retries_back(option: str) -> None:
    """Options in the URL that would repeat commands or change answers are refused by name."""
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        connect(f"redis://localhost:6379/0?{option}")


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://h:1/2", "unix:///tmp/x?db=2"])
def test_clients_are_bounded_and_never_retry(url: str) -> None:
    """For every kind of URL: no retries, 64 connections at most, limits for connecting and answering."""
    pool: Any = connect(url).connection_pool
    connection = pool.make_connection()
    assert connection.retry.get_retries() == 0
    assert (pool.max_connections, pool.timeout) == (64, 2.0)
    assert (connection.socket_timeout, connection.socket_connect_timeout, connection.db) == (5.0, 3.0, 2)


def test_a_bad_url_is_a_value_error() -> None:
    """A URL of no known kind is refused when the client is made."""
    with pytest.raises(ValueError, match="scheme"):
        connect("http://localhost")


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    """Where nothing listens, callers hear `unavailable` and when to try again, not a network error."""
    client = connect(f"unix://{tmp_path}/none?db=0")
    problem = await refused(client, "PING")
    assert (problem.code, problem.extras) == (Code.UNAVAILABLE, {"retry_after_ms": 500})
    assert str(tmp_path) not in problem.detail
    await client.aclose()


async def test_a_full_pool_is_unavailable(valkey: Embedded) -> None:
    """Who finds every connection busy waits for a bounded time and then hears `unavailable`."""
    client = connect(f"{valkey.url}&max_connections=1&timeout=0.1")
    holding = asyncio.create_task(raw(client, "BLPOP", "never", 0.5))
    await wait_for(lambda: _busy(client), "the only connection is taken")
    assert (await refused(client, "PING")).code is Code.UNAVAILABLE
    assert await holding is None
    await client.aclose()


def _busy(client: Redis) -> bool:
    return len(client.connection_pool._in_use_connections) == 1


async def test_a_server_that_may_not_write_is_unavailable(client: Redis) -> None:
    """A replica (READONLY) and a full memory (OOM) are `unavailable`: the server is there but cannot."""
    await raw(client, "REPLICAOF", "127.0.0.1", 1)
    assert (await refused(client, "SET", "k", "v")).code is Code.UNAVAILABLE
    await raw(client, "REPLICAOF", "NO", "ONE")
    await client.config_set("maxmemory", 1)
    assert (await refused(client, "SET", "k", "v")).code is Code.UNAVAILABLE


async def test_a_server_busy_with_a_script_is_unavailable(valkey: Embedded, client: Redis) -> None:
    """BUSY, which the library has no class for, is `unavailable` too."""
    await client.config_set("busy-reply-threshold", 20)
    stuck = connect(valkey.url)
    running = asyncio.create_task(raw(stuck, "EVAL", "while true do end", 0))

    async def busy() -> bool:
        try:
            await client.get("k")
        except ResponseError:
            return True
        return False

    await wait_for(busy, "the server answers BUSY")
    assert "cannot do this at the moment" in (await refused(client, "GET", "k")).detail
    await client.script_kill()
    with pytest.raises(ResponseError):
        await running
    await stuck.aclose()


async def test_bugs_stay_visible(client: Redis) -> None:
    """A wrong type or a broken script is our bug and passes through untranslated."""
    await client.set("k", "v")
    for command in (("HGET", "k", "f"), ("EVAL", "return nothing.here", 0)):
        with pytest.raises(ResponseError), reaching("a test"):
            await raw(client, *command)


async def test_a_cancelled_command_leaves_no_answer_behind(client: Redis) -> None:
    """After a command was cancelled in flight, the next one gets its own answer, not the older one's."""
    waiting = asyncio.create_task(raw(client, "BLPOP", "list", 5))

    async def blocked() -> bool:
        return bool((await client.info("clients"))["blocked_clients"] == 1)

    await wait_for(blocked, "the command has reached the server")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await client.rpush("list", "late")
    assert [await client.echo(str(number)) for number in range(3)] == [b"0", b"1", b"2"]


async def test_idle_connections_survive_a_restart(tmp_path: Path) -> None:
    """When the server was restarted, the pool's idle connections are renewed without an error for anybody."""
    with Embedded.start(tmp_path) as server:
        client = connect(server.url)
        await client.set("k", "v")
    idle: Any = client.connection_pool._available_connections[0]
    await wait_for(lambda: bool(idle._reader.at_eof()), "the loop has seen the server go")
    with Embedded.start(tmp_path):
        assert await client.get("k") == b"v"
    await client.aclose()


async def test_a_subscriber_hears_and_notices_its_loss(client: Redis, proxy: Proxy) -> None:
    """A subscriber waits without limit, receives, and is told when its connection is gone."""
    subscriber = connect_subscriber(proxy.url)
    assert subscriber.connection_pool.connection_kwargs["socket_timeout"] is None
    channel = subscriber.pubsub(ignore_subscribe_messages=True)
    await channel.subscribe("c")
    assert await channel.get_message(timeout=1) is None
    await client.publish("c", "hello")
    message = await channel.get_message(timeout=5)
    assert message is not None
    assert message["data"] == b"hello"
    proxy.mode = "cut"
    await client.publish("c", "lost")
    with pytest.raises(RedisConnectionError):
        await channel.get_message(timeout=5)
    await channel.aclose()  # type: ignore[no-untyped-call]  # the library's own gap
    await subscriber.aclose()


async def test_the_private_server_is_supported(client: Redis) -> None:
    """The server that we start ourselves fulfils what we ask of others."""
    await require_supported(client)


async def test_a_server_that_evicts_is_refused(client: Redis) -> None:
    """A server that may throw keys away is refused with the command that mends it."""
    await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(UnsupportedServerError, match=r"allkeys-lru.*CONFIG SET maxmemory-policy noeviction"):
        await require_supported(client)


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"redis_version": "7.0.0"}, None),
        ({"redis_version": "7.2-rc1"}, None),
        ({"redis_version": "6.2.14"}, "Redis 6.2.14 is too old: Redis 7.0 or newer is needed"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, None),
        (
            {"redis_version": "7.2.4", "valkey_version": "7.1.9"},
            "Valkey 7.1.9 is too old: Valkey 7.2 or newer is needed",
        ),
        ({}, "Redis 0 is too old: Redis 7.0 or newer is needed"),
    ],
)
def test_versions_are_judged(told: dict[str, str], refusal: str | None) -> None:
    """Redis counts from 7.0 and Valkey, which also names an old Redis version, from 7.2."""
    assert unfit(told) == refusal


async def test_no_cancellation_is_lost(valkey: Embedded) -> None:
    """At whatever moment a task is cancelled while it asks Redis, it ends: also where redis-py forgets about it."""
    for turns in range(1, 60):
        client = connect(valkey.url)

        async def ask(client: Redis = client) -> None:
            while True:
                with reaching("asking"):
                    await client.get("nothing")

        asking = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        done, _still_running = await asyncio.wait({asking}, timeout=5)
        assert done == {asking}, f"cancelled after {turns} turns of the loop, it runs on"
        assert asking.cancelled()
        await client.aclose()
