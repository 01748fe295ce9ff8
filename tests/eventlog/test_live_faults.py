"""Following shows over a subscription that loses messages: nothing is missed, repeated, or silently gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from server import metrics
from server.clock import monotonic
from server.errors import unavailable
from server.eventlog import live, stream
from server.store.embedded import Embedded
from server.store.keys import key
from server.store.subscription import Subscription
from tests.eventlog.notes import Notes, flicker, listening
from tests.houses import house_at, live_show, open_drop
from tests.store.proxy import Proxy
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.errors import Problem
    from server.eventlog.live import Live
    from server.eventlog.stream import Entry, Place
    from server.house import House
    from server.store.redis import Redis
    from server.store.subscription import Push


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give a Valkey whose subscribers nobody else minds: they are cut off here, all of them."""
    with Embedded.start(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture
async def house(own_valkey: Embedded, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(own_valkey.url, tmp_path, log_length=20) as one:
        yield one


@asynccontextmanager
async def away(house: House, ear: Live, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Cut the subscription, and keep the log from being read, while the block runs."""
    with monkeypatch.context() as shut:
        shut.setattr(stream, "tops", unavailable_tops)
        await house.client.client_kill_filter(_type="pubsub")
        await wait_for(lambda: ear._subscription is None, "the subscription is gone")
        yield


async def unavailable_tops(_client: Redis, _shows: list[str]) -> list[Place | Problem | None]:
    """Stand for a store that does not answer."""
    raise unavailable("a test")


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
        await unannounced(house, show, 4)
        await wait_for(lambda: notes.offsets == [4], "the event is found")


async def test_what_the_log_no_longer_holds_is_told_as_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for longer than the log reaches back: the loss is told once, then following begins anew at the top."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 1.0)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show) as ear:
        async with away(house, ear, monkeypatch):
            await flicker(house, show, drop, 15)
        await wait_for(lambda: len(notes.places) == 2, "following begins anew")
        assert notes.losses == 1
        assert notes.places[1].offset == 33
        assert [entry.offset for entry in notes.tails[1]] == list(range(14, 34))
        await flicker(house, show, drop, 1)
        await wait_for(lambda: notes.offsets[-2:] == [34, 35], "it goes on")
        assert notes.losses == 1


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
        first = ear._subscription
        assert first is not None
        await first.leave(ear._echo)  # the subscription goes deaf without anybody saying so
        await wait_for(lambda: not ear.hears or ear._subscription is not first, "deafness is noticed")
        await wait_for(lambda: ear.hears and ear._subscription not in {None, first}, "it hears again")
        await open_drop(house, show)
        await wait_for(lambda: len(notes.offsets) == 2, "events arrive")


async def test_a_killed_subscription_in_a_stream_of_events(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed again and again while events are written: no gap, no repeat, and each time it is told that it is new."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.01)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    ends = metrics.EARS_LOST._value.get()
    async with listening(house, notes, show) as ear:
        for round_ in range(1, 7):
            writing = asyncio.create_task(flicker(house, show, drop, 8))
            await asyncio.sleep(0)
            await house.client.client_kill_filter(_type="pubsub")
            await writing
            await wait_for(partial(stands, notes, show, 3 + 16 * round_, anew=round_), "the top is told")
        await wait_for(lambda: ear.hears, "it hears")
    assert notes.offsets == list(range(4, 100))
    assert notes.losses == 0
    assert metrics.EARS_LOST._value.get() == ends + 6


async def test_messages_lost_on_their_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is published every third message never arrives: all events are told all the same."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.2)
    arrived = 0

    async def lossy(subscription: Subscription) -> Push:
        nonlocal arrived
        while True:
            push = await hear(subscription)
            arrived += push[0] == b"smessage"
            if push[0] != b"smessage" or arrived % 3:
                return push

    hear = Subscription.read
    monkeypatch.setattr(Subscription, "read", lossy)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show):
        await flicker(house, show, drop, 50)
        await wait_for(lambda: notes.tops == {show: 103}, "the top is told")
    assert notes.offsets == list(range(4, 104))


async def test_an_ear_that_hears_keeps_its_subscription(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the echo comes back, patience begins anew."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(live, "DEAF_SECONDS", 1.0)
    async with listening(house, Notes(), await live_show(house)) as ear:
        first, began = ear._subscription, monotonic()
        await wait_for(lambda: monotonic() > began + 1.5, "patience would be at its end")
        assert ear._subscription is first is not None


async def test_nobody_waits_for_the_next_check(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The echo goes out as soon as it can be heard, and a log that could not be read is read again soon."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 60.0)
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.05)
    show = await live_show(house)
    tops, failures = stream.tops, [unavailable_tops, unavailable_tops]

    async def failing_at_first(client: Redis, shows: list[str]) -> list[Place | Problem | None]:
        return await (failures.pop() if failures else tops)(client, shows)

    monkeypatch.setattr(stream, "tops", failing_at_first)
    async with listening(house, Notes(), show) as ear:
        await wait_for(lambda: ear.hears, "it hears")
    assert failures == []


async def test_who_left_while_the_log_was_read_is_told_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The show is left with an answer under way: nothing of it is told any more, and following it anew is whole."""
    reading, answer = asyncio.Event(), asyncio.Event()
    after = stream.after

    async def slow(client: Redis, show: str, offset: int) -> list[Entry]:
        entries = await after(client, show, offset)
        reading.set()
        await answer.wait()
        return entries

    monkeypatch.setattr(stream, "after", slow)
    notes = Notes()
    show = await live_show(house)
    async with listening(house, notes, show) as ear:
        await unannounced(house, show, 2)
        await reading.wait()
        await ear.leave(show)
        again = asyncio.create_task(ear.follow(show))
        notes.tops.clear()
        answer.set()
        await again
        assert (notes.offsets, notes.losses) == ([], 0)
        assert [place.offset for place in notes.places] == [1, 2]


async def test_a_connection_that_only_went_silent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half open, nothing comes any more and nobody says so: the echo stays away, and another connection is made."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(live, "DEAF_SECONDS", 0.5)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with Proxy(house.settings.redis_url) as proxy, listening(house, notes, show, url=proxy.url) as ear:
        await wait_for(lambda: ear.hears, "it hears")
        proxy.mode = "swallow"
        await flicker(house, show, drop, 2)
        await wait_for(lambda: not ear.hears, "deafness is noticed")
        await wait_for(lambda: len(notes.offsets) == 4, "the log is read meanwhile")
        proxy.mode = "pass"
        await wait_for(lambda: ear.hears and notes.anew == 1, "it hears again")
        await flicker(house, show, drop, 1)
        await wait_for(lambda: len(notes.offsets) == 6, "events arrive")


async def test_a_store_that_pauses(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis stands still for longer than the ear has patience: it goes on where it was."""
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(live, "DEAF_SECONDS", 0.4)
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.05)
    notes = Notes()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show) as ear:
        await wait_for(lambda: ear.hears, "it hears")
        await house.client.client_pause(1200, all=True)
        await flicker(house, show, drop, 5)
        await wait_for(lambda: ear.hears and len(notes.offsets) == 10, "it hears again")
    assert notes.losses == 0


async def test_one_look_at_many_shows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are checked many at a time; one that cannot be read costs the others nothing."""
    monkeypatch.setattr(live, "CHECK_SHOWS", 3)
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.2)
    notes = Notes()
    shows = [await live_show(house) for _ in range(8)]
    async with listening(house, notes, *shows):
        broken, *others = shows
        await house.client.rename(key("show", show=broken), f"{broken}-away")
        await house.client.set(key("show", show=broken), "no hash")
        for show in others:
            await unannounced(house, show, 2)
        await wait_for(lambda: [notes.tops[show] for show in others] == [2] * 7, "all holes are found")
        await house.client.rename(f"{broken}-away", key("show", show=broken))
        await unannounced(house, broken, 2)
        await wait_for(lambda: notes.tops[broken] == 2, "it can be read again")
    assert notes.losses == 0


async def test_a_log_that_cannot_be_read_costs_the_others_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign write broke one show's log: whoever follows it waits in vain, the others go on."""
    notes = Notes()
    sound, broken = await live_show(house), await live_show(house)
    await house.client.set(key("log", show=broken), "no stream")
    async with listening(house, notes, sound) as ear:
        with monkeypatch.context() as short:
            short.setattr(live, "CONFIRM_SECONDS", 0.2)
            with pytest.raises(TimeoutError):
                await ear.follow(broken)
        await open_drop(house, sound)
        await wait_for(lambda: notes.tops == {sound: 3}, "the other show's events arrive")
        third = await live_show(house)
        await ear.follow(third)
    await house.client.delete(key("log", show=broken))


async def test_a_listener_that_fails_costs_the_others_nothing(house: House) -> None:
    """A bug with one show's event: its viewers start over, and the other shows notice nothing."""
    notes = Stumbling()
    shows = [await live_show(house), await live_show(house)]
    notes.fails_with = (shows[0], 2)
    async with listening(house, notes, *shows):
        for show in shows:
            await open_drop(house, show)
        await wait_for(lambda: notes.tops == dict.fromkeys(shows, 3), "both are at the top")
    assert (notes.losses, len(notes.places)) == (1, 3)


async def test_live_numbers_that_fail_or_are_no_messages(house: House) -> None:
    """What a listener cannot take, and what somebody else publishes, costs nothing but itself."""
    notes = Stumbling()
    show = await live_show(house)
    drop = await open_drop(house, show)
    async with listening(house, notes, show):
        for strange in (b"", b"e", b"eleven\n", b"z\xff\n", b"e99"):
            await house.client.spublish(key("live", show=show), strange)
        await house.holds.reserve(show, "viewer", "op", drop, 1)
        await flicker(house, show, drop, 1)
        await wait_for(lambda: notes.offsets == [4, 5], "events arrive")
        assert set(notes.stumbled) == {("s", drop)}


class Stumbling(Notes):
    """A listener that fails with every live number, and with one event."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_with: tuple[str, int] | None = None
        self.stumbled: list[tuple[str, str]] = []

    def event(self, show: str, entry: Entry) -> None:
        """Fail with that event, or take it."""
        if (show, entry.offset) == self.fails_with:
            raise RuntimeError("a bug")
        super().event(show, entry)

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Fail."""
        del show, packed
        self.stumbled.append((kind, name))
        raise RuntimeError("a bug")


def stands(notes: Notes, show: str, top: int, *, anew: int) -> bool:
    """Whether a show's events are told up to an offset, and its subscription was made anew so often."""
    return notes.tops.get(show) == top and notes.anew == anew


async def unannounced(house: House, show: str, offset: int) -> None:
    """Write an event that is not published."""
    await house.client.xadd(key("log", show=show), {"e": b"\x80"}, id=f"{offset}-0")
    await house.client.hset(key("show", show=show), "offset", str(offset))
