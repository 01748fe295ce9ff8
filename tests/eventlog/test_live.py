"""Following shows over a subscription that loses messages: nothing is missed, repeated, or silently gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from server.eventlog import live
from server.eventlog.live import Live
from server.store.keys import key
from server.store.redis import connect_subscriber
from server.store.redis_clock import RedisClock
from tests.houses import house_at, live_show, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.app import House
    from server.eventlog.stream import Entry
    from server.store.embedded import Embedded


class Notes:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.numbers = 0
        self.losses = 0

    def event(self, show: str, entry: Entry) -> None:
        del show
        self.offsets.append(entry.offset)

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        del show, kind, name, packed
        self.numbers += 1

    def lost(self, show: str) -> None:
        del show
        self.losses += 1


@pytest.fixture
async def house(private_valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(private_valkey.url, tmp_path, log_length=20) as one:
        yield one


@asynccontextmanager
async def listening(house: House, notes: Notes, *shows: str) -> AsyncIterator[Live]:
    """Give an ear that follows shows."""
    subscriber = connect_subscriber(house.settings.redis_url)
    ear = Live(house.client, subscriber, notes, RedisClock(house.client))
    running = asyncio.create_task(ear.run())
    try:
        for show in shows:
            await ear.follow(show)
        yield ear
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await subscriber.aclose()


async def flicker(house: House, show: str, drop: str, times: int) -> None:
    """Write `times` pairs of events into a show's log."""
    for _ in range(times):
        await house.drops.pause(show, drop)
        await house.drops.resume(show, drop)


async def test_events_arrive_in_order_and_once(house: House) -> None:
    """Everything after `follow` is told, with gapless offsets; live numbers come beside them."""
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show):
        await flicker(house, show, drop, 5)
        await house.holds.reserve(show, "viewer", "op", drop, 1)
        await wait_for(lambda: len(notes.offsets) == 10, "all events are told")
        await wait_for(lambda: notes.numbers == 1, "the stock is told")
    assert notes.offsets == list(range(4, 14))


async def test_a_cut_subscription_misses_nothing(house: House) -> None:
    """The connection is killed in the middle of a burst: it is made anew and the hole is filled from the log."""
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show):
        for _ in range(3):
            await flicker(house, show, drop, 1)
            await house.client.client_kill_filter(_type="pubsub")
            await flicker(house, show, drop, 1)
        await wait_for(lambda: len(notes.offsets) >= 12, "the hole is filled")
    assert notes.offsets == list(range(4, 16))
    assert notes.losses == 0


async def test_a_silent_hole_is_found_by_looking(house: House) -> None:
    """An event that was never published (lost on its way) is found by the position check."""
    notes = Notes()
    show = await live_show(house)
    await open_drop(house, show)
    async with listening(house, notes, show):
        await house.client.xadd(key("log", show=show), {"e": b"\x80"}, id="4-0")
        await house.client.hincrby(key("show", show=show), "offset", 1)
        await wait_for(lambda: notes.offsets == [4], "the event is found")


async def test_what_the_log_no_longer_holds_is_told_as_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for longer than the log reaches back: the listener is told once, and goes on from the top."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 1.0)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show) as ear:
        await house.client.client_kill_filter(_type="pubsub")
        await wait_for(lambda: ear._pubsub is None, "the subscription is gone")
        await ear._feeds[show].lock.acquire()  # nor does the position check look while the log runs away
        await flicker(house, show, drop, 15)
        ear._feeds[show].lock.release()
        await wait_for(lambda: notes.losses == 1, "the loss is told")
        await wait_for(lambda: ear._feeds[show].place.offset == 33, "the feed is at the top")  # type: ignore[union-attr]  # followed
        before = len(notes.offsets)
        await flicker(house, show, drop, 1)
        await wait_for(lambda: len(notes.offsets) == before + 2, "it goes on")
    assert notes.offsets[-2:] == [34, 35]


async def test_a_new_epoch_is_a_loss(house: House) -> None:
    """Where the log began a new life, offsets mean something else: who followed starts over."""
    notes = Notes()
    show = await live_show(house)
    await open_drop(house, show)
    async with listening(house, notes, show):
        await house.client.hset(key("show", show=show), "epoch", "another")
        await wait_for(lambda: notes.losses == 1, "the loss is told")


async def test_an_ear_that_does_not_hear_itself_subscribes_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its own echo the process is not ready; a new subscription makes it ready again."""
    monkeypatch.setattr(live, "DEAF_SECONDS", 0.5)
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    notes = Notes()
    show = await live_show(house)
    async with listening(house, notes, show) as ear:
        await wait_for(lambda: ear.hears, "it hears")
        first = ear._pubsub
        assert first is not None
        await first.sunsubscribe(ear._echo)  # the subscription goes deaf without anybody saying so
        await wait_for(lambda: not ear.hears or ear._pubsub is not first, "deafness is noticed")
        await wait_for(lambda: ear.hears and ear._pubsub not in {None, first}, "it hears again")
        await open_drop(house, show)
        await wait_for(lambda: len(notes.offsets) == 2, "events arrive")


async def test_shows_that_nobody_watches_are_left(house: House) -> None:
    """After `leave` nothing of the show is told any more; others go on."""
    notes = Notes()
    watched, left = await live_show(house), await live_show(house)
    async with listening(house, notes, watched, left) as ear:
        await ear.leave(left)
        await open_drop(house, left)
        await open_drop(house, watched)
        await wait_for(lambda: len(notes.offsets) == 2, "the watched show's events arrive")

        async def unsubscribed() -> bool:
            channels = await house.client.pubsub_shardchannels("ld:*live")
            return key("live", show=left).encode() not in channels

        await wait_for(unsubscribed, "the other show is unsubscribed")
    assert notes.offsets == [2, 3]
