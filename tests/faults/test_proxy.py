"""The relay fails as it says: each failure is seen by a client of the store behind it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from server.errors import Problem
from server.store.redis import connect, reaching
from tests.faults.proxy import Proxy
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.store.embedded import Embedded
    from server.store.redis import Redis

VALUE = b"x" * 2_000


@pytest.fixture
async def proxy(private_valkey: Embedded) -> AsyncIterator[Proxy]:
    async with Proxy(private_valkey.url) as relay:
        yield relay


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Redis]:
    one = connect(proxy.url)
    await one.ping()
    yield one
    await one.delete("relayed")
    await one.aclose()


def _are(count: Callable[[], int], expected: int) -> bool:
    return count() == expected


async def test_bytes_in_small_pieces_are_the_same_bytes(proxy: Proxy, client: Redis) -> None:
    """Cut into pieces of seven bytes, commands and answers arrive whole."""
    with proxy.slicing(7):
        await client.set("relayed", VALUE)
        assert await client.get("relayed") == VALUE


async def test_a_reset_is_a_lost_answer(proxy: Proxy, client: Redis) -> None:
    """A connection that is reset while an answer is awaited: carried out once, `unavailable`; the next one works."""
    with proxy.holding(b"INCR"):
        asked = asyncio.ensure_future(client.incr("relayed"))
        direct = connect(proxy.url)

        async def applied() -> bool:
            return await direct.get("relayed") == b"1"

        await wait_for(applied, "it is carried out")
        proxy.reset()
        with pytest.raises(Problem), reaching("a test"):
            await asked
    await direct.aclose()
    assert await client.incr("relayed") == 2


async def test_answers_of_several_connections_come_in_another_order(proxy: Proxy, client: Redis) -> None:
    """Who asked last is answered first; everybody gets their own answer."""
    heard: list[int] = []

    async def ask(number: int) -> None:
        assert await client.echo(str(number)) == str(number).encode()
        heard.append(number)

    await asyncio.gather(*(ask(number) for number in range(3)))  # a connection for each
    heard.clear()
    with proxy.reversing() as waiting:
        asking = []
        for number in range(3):
            asking.append(asyncio.create_task(ask(number)))
            await wait_for(partial(_are, waiting, number + 1), "it waits")
    await asyncio.gather(*asking)
    assert heard == [2, 1, 0]


async def test_answers_that_are_held_come_at_the_end(proxy: Proxy, client: Redis) -> None:
    """A delay has no length of its own: what is held comes when the block ends, and not before."""
    with proxy.holding(b"ECHO"):
        asked = asyncio.ensure_future(client.echo("a"))
        assert await client.ping()
        assert not asked.done()
    assert await asked == b"a"
