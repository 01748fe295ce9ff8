"""token_revoke: tokens that were issued up to a moment count no longer, and every process hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import connect_subscriber
from server.store.subscriptions import listening
from tests.deadlines import redis_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.answers import Answer
    from server.store.embedded import Embedded
    from tests.lua.scene import Scene

LIFE_MS = 60_000
LIST, CHANNEL = key("revoked"), key("revocations").encode()
ANN, BEN = "g sh_1 ann", "a * ben of all"


@pytest.fixture(autouse=True)
async def nothing_revoked(scene: Scene) -> AsyncIterator[None]:
    """Begin and end with an empty list."""
    await scene.client.delete(LIST)
    yield
    await scene.client.delete(LIST)


async def revoke(scene: Scene, *members: str, before: int = 0, **args: Any) -> Answer:
    usual = {"life_ms": LIFE_MS, "most": 100}
    return await scene.run("token_revoke", members=list(members), before=before, **{**usual, **args})


async def listed(scene: Scene) -> dict[str, int]:
    return dict(await reads.newest(scene.client, LIST, None, 1000, "the list"))


async def test_revoked(scene: Scene) -> None:
    """Without a moment it is now; the list has every member with it, and goes when their tokens have ended."""
    first = await redis_now(scene.client)
    answer = await revoke(scene, ANN, BEN)
    assert answer["outcome"] == "revoked"
    assert first <= answer["before"] <= await redis_now(scene.client)
    assert await listed(scene) == {ANN: answer["before"], BEN: answer["before"]}
    assert 0 < await scene.client.pttl(LIST) <= LIFE_MS


async def test_a_moment_that_is_named(scene: Scene) -> None:
    """A moment up to now is taken as it is; a later one wins over an earlier one, whichever came first."""
    now = await redis_now(scene.client)
    assert (await revoke(scene, ANN, before=now - 10))["before"] == now - 10
    await revoke(scene, ANN, before=now - 20)
    assert await listed(scene) == {ANN: now - 10}
    await revoke(scene, ANN, before=now - 5)
    assert await listed(scene) == {ANN: now - 5}


async def test_early(scene: Scene) -> None:
    """Nobody refuses tokens that are not issued yet: nothing is written, and the clock is told."""
    soon = await redis_now(scene.client) + 600_000
    answer = await revoke(scene, ANN, before=soon)
    assert answer["outcome"] == "early"
    assert answer["now"] < soon
    assert await listed(scene) == {}


async def test_limit_reached(scene: Scene) -> None:
    """The list is bounded: all members fit, or none is written; known ones always fit."""
    await revoke(scene, ANN, BEN, most=2)
    before = await listed(scene)
    assert await revoke(scene, "g sh_2 ann", ANN, most=2) == {"outcome": "limit-reached", "limit": 2}
    assert await listed(scene) == before
    assert (await revoke(scene, ANN, BEN, most=2))["outcome"] == "revoked"


async def test_what_has_ended_makes_room(scene: Scene) -> None:
    """A revocation that is older than any token may be goes, and counts no more, also where it comes again."""
    now = await redis_now(scene.client)
    await scene.client.zadd(LIST, {ANN: now - LIFE_MS - 1000, BEN: now - LIFE_MS - 1000})
    answer = await revoke(scene, ANN, most=1)
    assert await listed(scene) == {ANN: answer["before"]}


async def test_everybody_hears_of_it(scene: Scene, valkey: Embedded) -> None:
    """Moment and members are told on the channel, once; what is refused tells nothing."""
    subscriber = connect_subscriber(valkey.url)
    async with listening(subscriber) as ear:
        await ear.hear(CHANNEL)
        assert (await ear.read())[1] == CHANNEL
        await revoke(scene, ANN, most=0)
        answer = await revoke(scene, ANN, BEN)
        _kind, _channel, told = await ear.read()
        assert unpacked(told) == [answer["before"], [ANN, BEN]]
    await subscriber.aclose()
