"""Following shows: where they stand, what happens from then on, and nothing after they are left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgpack
import pytest

from server import ids, metrics
from server.eventlog import live, stream
from server.eventlog.live import Live
from server.store.keys import key
from server.store.redis_clock import RedisClock
from tests.eventlog.notes import Notes, flicker, listening
from tests.houses import house_at, live_show, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House
    from server.store.embedded import Embedded


SECONDS = 15.0


@pytest.fixture
async def house(private_valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(private_valkey.url, tmp_path, log_length=20) as one:
        yield one


async def test_following_begins_with_the_recent_past(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """`follow` returns after `began`: where the log stands, and its newest events as far as the bytes reach."""
    notes = Notes()
    show = await live_show(house)
    await open_drop(house, show)
    log = await stream.after(house.client, show, 0)
    async with listening(house, notes, show):
        assert notes.tails == [log]
        assert notes.places == [await stream.top(house.client, show)]
        await open_drop(house, show)
        await wait_for(lambda: notes.offsets == [4, 5], "it goes on behind the tail")
    monkeypatch.setattr(live, "HISTORY_BYTES", len(log[-1].packed))
    async with listening(house, short := Notes(), show):
        assert [entry.offset for entry in short.tails[0]] == [5]


async def test_following_a_log_without_events(house: House) -> None:
    """A show that was only made stands at 0 and has no past."""
    notes = Notes()
    show = ids.new_show()
    await house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    async with listening(house, notes, show):
        assert ([place.offset for place in notes.places], notes.tails) == ([0], [[]])
        await house.shows.move(show, "start")
        await wait_for(lambda: notes.offsets == [1], "the first event is told")


async def test_a_show_that_is_not_there_begins_when_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Following it returns without a beginning; should it appear (a restore), following begins by itself."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    notes = Notes()
    show = ids.new_show()
    async with listening(house, notes, show):
        assert notes.places == []
        await house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
        await wait_for(lambda: len(notes.places) == 1, "following begins")
        await house.shows.move(show, "start")
        await wait_for(lambda: notes.tops == {show: 1}, "it goes on")


async def test_following_a_show_twice_begins_once(house: House) -> None:
    """Whoever follows what is followed already gets no second beginning; after `leave` they do, even at once."""
    notes = Notes()
    show = await live_show(house)
    async with listening(house, notes, show) as ear:
        await asyncio.gather(ear.follow(show), ear.follow(show))
        assert len(notes.places) == 1
        for _ in range(3):
            await ear.leave(show)
            notes.tops.clear()
            await ear.follow(show)
        assert len(notes.places) == 4
        await open_drop(house, show)
        await wait_for(lambda: notes.offsets == [2, 3], "events arrive, once")


async def test_coming_and_going_in_a_stream_of_events(house: House) -> None:
    """Followed and left again and again while events are written: each time an unbroken line from its beginning."""
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes) as ear:
        writing = asyncio.create_task(flicker(house, show, drop, 100))
        rounds = 0
        while not writing.done():
            rounds += 1
            await ear.follow(show)
            await asyncio.sleep(0.002 * (rounds % 4))
            await ear.leave(show)
            notes.tops.clear()
        await ear.follow(show)
        await writing
        await wait_for(lambda: notes.tops == {show: 203}, "the top is told")
    assert rounds > 3
    assert notes.losses == 0


async def test_without_a_confirmation_following_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: whoever follows is told in bounded time."""
    monkeypatch.setattr(live, "CONFIRM_SECONDS", 0.05)
    ear = Live(house.client, house.client, Notes(), RedisClock(house.client))
    with pytest.raises(TimeoutError):
        await ear.follow(await live_show(house))


async def test_events_arrive_in_order_and_once(house: House) -> None:
    """Everything after `follow` is told, with gapless offsets; live numbers come beside them."""
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show):
        await flicker(house, show, drop, 5)
        await house.holds.reserve(show, "viewer", "op", drop, 1)
        await wait_for(lambda: len(notes.offsets) == 10, "all events are told")
        await wait_for(lambda: len(notes.numbers) == 1, "the stock is told")
    assert notes.offsets == list(range(4, 14))


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


async def test_what_is_measured(house: House) -> None:
    """How many shows are followed, and how long each event was under way, by the clock of Redis."""
    notes = Notes()
    shows = [await live_show(house), await live_show(house)]
    clock = RedisClock(house.client)
    await clock.sync()
    async with listening(house, notes, *shows) as ear:
        assert metrics.FOLLOWED_SHOWS._value.get() == 2
        await ear.leave(shows[0])
        assert metrics.FOLLOWED_SHOWS._value.get() == 1
        before = lags()
        await open_drop(house, shows[1])
        await wait_for(lambda: len(notes.offsets) == 2, "the events arrive")
        assert lags()["count"] == before["count"] + 2
        assert lags()["sum"] - before["sum"] < 2 * SECONDS
        late = msgpack.packb({"at": clock.now_ms() - 100_000})
        await house.client.spublish(key("live", show=shows[1]), b"e4\n" + late)
        await wait_for(lambda: len(notes.offsets) == 3, "a late event arrives")
        assert 100 <= lags()["sum"] - before["sum"] < 100 + 3 * SECONDS


def lags() -> dict[str, float]:
    """Return how many lags were measured, and their sum in seconds."""
    samples = [sample for metric in metrics.LOG_LAG_SECONDS.collect() for sample in metric.samples]
    return {
        sample.name.rpartition("_")[2]: sample.value
        for sample in samples
        if sample.name.endswith(("count", "sum"))
    }
