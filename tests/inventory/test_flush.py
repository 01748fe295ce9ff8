"""The last word of a burst: the newest numbers are told, by this process or by a worker after it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.clock import monotonic
from server.inventory.outcomes import Held
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import redis_now
from tests.inventory.lines import BROKEN_LINE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.inventory.lines import Shop

SPACING_MS = 100  # between two tellings of a drop
LAST_SECONDS = 0.25  # from the last change of a burst to its number; the machine may pause beyond
UNITS = 100  # of a drop

Told = list[tuple[str, int, int]]  # drop, available, revision


@asynccontextmanager
async def listening(shop: Shop) -> AsyncIterator[Told]:
    """Give what a show's channel tells of stock, growing as it is told."""
    told: Told = []
    async with shop.house.client.pubsub() as pubsub:
        await pubsub.ssubscribe(key("live", show=shop.show))
        assert await pubsub.get_message(timeout=5)  # the confirmation

        async def listen() -> None:
            while True:
                message = await pubsub.get_message(timeout=1)
                if message and message["type"] == "smessage" and message["data"][:1] == b"s":
                    head, _, packed = message["data"].partition(b"\n")
                    body = unpacked(packed)
                    told.append((head[1:].decode(), body["available"], body["revision"]))

        listener = asyncio.create_task(listen())
        yield told
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def owed(shop: Shop) -> list[str]:
    """Return the drops whose numbers the due index says are still to be told."""
    far = await redis_now(shop.house.client) + 3_600_000
    moves = await reads.due(shop.house.client, key("due", show=shop.show), far, 100, "due")
    return [drop for verb, _, drop in (move.partition(" ") for move in moves) if verb == "flush"]


async def burst(shop: Shop, drop: str, size: int = 30) -> None:
    """Take units one call at a time, so that each changes the numbers."""
    for number in range(size):
        assert isinstance((await shop.submit(shop.reserve(f"{drop} {number}", drop)).all())[0], Held)


async def in_debt(shop: Shop, drop: str) -> int:
    """Take units until a number is owed, however slow the store is, and return it: it is told within the spacing."""
    left = UNITS
    while not shop.flusher._owed.get(shop.show):
        left -= 1
        assert isinstance((await shop.submit(shop.reserve(f"{drop} {left}", drop)).all())[0], Held)
    return left


async def test_the_last_number_of_a_burst_is_told(shop: Shop) -> None:
    """However fast a drop's numbers change: few are told, and the last is told within a quarter of a second."""
    drop = await shop.drop(UNITS)
    async with listening(shop) as told:
        began = monotonic()
        await burst(shop, drop)
        lasted_ms = (monotonic() - began) * 1000
        await wait_for(lambda: (drop, 70) in [each[:2] for each in told], "the last number", LAST_SECONDS + 1)
        await wait_for(lambda: not shop.flusher._tasks, "nothing more to tell")
    assert len(told) <= lasted_ms / SPACING_MS + 2
    assert told == sorted(told, key=lambda each: each[2])
    assert told[-1][1] == 70
    assert await owed(shop) == []


async def test_many_drops_and_bursts_share_a_flush(shop: Shop) -> None:
    """Every drop's last number is told; one call of the script tells what is owed of all of a show's drops."""
    drops = [await shop.drop(UNITS) for _ in range(8)]
    async with listening(shop) as told:
        for _ in range(2):
            await shop.submit(*(shop.bundle(f"{number} {_}", *drops) for number in range(5))).all()
        await wait_for(lambda: {each[0] for each in told if each[1] == 90} == set(drops), "all last numbers")
        await wait_for(lambda: not shop.flusher._tasks, "nothing more to tell")
    flushes = [call for call in shop.valve.calls if call.name == "stock_flush"]
    assert max(len(call.args["drops"]) for call in flushes) == 8
    assert len(flushes) <= 3


async def test_what_is_owed_while_a_flush_is_under_way_is_told_after_it(shop: Shop) -> None:
    """A change in the very moment of the flush is owed anew, and told by the next one."""
    drop = await shop.drop(UNITS)
    async with listening(shop) as told:
        left = await in_debt(shop, drop)
        shop.valve.close(shop.show)
        await wait_for(
            lambda: any(call.name == "stock_flush" for call in shop.valve.calls), "a flush under way"
        )
        late = shop.submit(shop.reserve("late", drop))
        shop.flusher.owe(shop.show, [drop])
        await shop.go_on()
        await late.all()
        await wait_for(lambda: bool(told) and told[-1][1] == left - 1, "the last number")
        await wait_for(lambda: not shop.flusher._tasks, "nothing more to tell")
    assert await owed(shop) == []


async def test_a_flush_that_fails_is_left_to_the_worker(shop: Shop) -> None:
    """The due index knows what is owed; a worker tells it a moment later, once."""
    drop = await shop.drop(UNITS)
    async with listening(shop) as told:
        left = await in_debt(shop, drop)
        shop.valve.before = BROKEN_LINE
        await wait_for(lambda: not shop.flusher._tasks, "the flush has failed")
        shop.valve.before = None
        assert await owed(shop) == [drop]
        assert (drop, left) not in [each[:2] for each in told]
        await worker(shop)
        await wait_for(lambda: bool(told) and told[-1][1] == left, "the last number")
        await worker(shop)
        assert await owed(shop) == []
    assert [each[1] for each in told].count(left) == 1


async def test_a_worker_tells_what_a_dead_process_owed(shop: Shop) -> None:
    """With the process that ran the script gone, its last numbers are told all the same."""
    drop = await shop.drop(UNITS)
    async with listening(shop) as told:
        left = await in_debt(shop, drop)
        shop.valve.close(shop.show)  # nothing more leaves this process
        await shop.batches.aclose()
        assert shop.flusher._tasks == set()
        assert await owed(shop) == [drop]
        await wait_for(lambda: due(shop), "it is due")
        await worker(shop)
        await wait_for(lambda: bool(told) and told[-1][1] == left, "the last number")
    assert await owed(shop) == []


async def test_what_was_told_meanwhile_is_not_told_again(shop: Shop) -> None:
    """A flush of what nobody owes tells nothing, and neither does one of a drop that is not there."""
    drop = await shop.drop(UNITS)
    async with listening(shop) as told:
        await burst(shop, drop, 1)
        await wait_for(lambda: bool(told) and told[-1][1] == 99, "the number")
        await wait_for(lambda: not shop.flusher._tasks, "nothing more to tell")
        known = len(told)
        shop.flusher.owe(shop.show, [drop, "dr_nothing"])
        await wait_for(lambda: not shop.flusher._tasks, "the flush is over")
        await shop.submit(shop.reserve("last", drop)).all()
        await wait_for(lambda: bool(told) and told[-1][1] == 98, "the next number")
    assert len(told) == known + 1


async def due(shop: Shop) -> bool:
    """Whether a worker would find that something is owed."""
    now = await redis_now(shop.house.client)
    return bool(await reads.due(shop.house.client, key("due", show=shop.show), now, 100, "due"))


async def worker(shop: Shop) -> None:
    """Let a worker come by a little later."""
    await wait_for(lambda: due_or_nothing(shop), "the time of what is owed")
    await shop.house.drops.due(shop.show, await redis_now(shop.house.client))


async def due_or_nothing(shop: Shop) -> bool:
    """Whether nothing is owed, or its time has come."""
    return await due(shop) or not await owed(shop)
