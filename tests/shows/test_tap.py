"""A process' ear for recordings: deaf while nothing is recorded, bounded while something is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.errors import Problem, unavailable
from server.shows import tap as tap_module
from server.shows.recordings import Batch, Recordings
from server.shows.tap import Kind, Taps
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis_clock import RedisClock
from tests.deadlines import packed, redis_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House
    from server.shows.tap import Tap

SECRET = "the recorder's"


@pytest.fixture
async def recordings(house: House) -> AsyncIterator[Recordings]:
    """Give the room, and leave no lease behind."""
    yield Recordings(house.client, house.scripts)
    await house.client.delete(key("recordings"))


@pytest.fixture
async def taps(house: House, recordings: Recordings) -> Taps:
    """Give a process in which ann has two connections and ben has one."""
    clock = RedisClock(house.client)
    await clock.sync()
    one = Taps(recordings, clock)
    one.people = lambda _show: ["ann", "ann", "ben"]
    return one


@pytest.fixture
def show() -> str:
    return ids.new_show()


async def look(taps: Taps) -> Tap | None:
    """Let the process look at once which shows are recorded."""
    taps._look_at = 0.0
    await taps.look()
    return taps.tap


async def fetched(recordings: Recordings, show: str, place: str = "") -> list[Batch]:
    batches, _ = await recordings.fetch(show, place)
    return batches


async def test_without_a_lease_nothing_is_noted(taps: Taps, recordings: Recordings, show: str) -> None:
    """There is nobody to be told anything, and nothing is handed over."""
    told: list[Tap | None] = []
    taps.told = told.append
    assert await look(taps) is None
    await taps.hand_over()
    assert told == []
    assert await fetched(recordings, show) == []


async def test_a_recorded_show(taps: Taps, recordings: Recordings, show: str) -> None:
    """First who is there, then what happens, by times of the store's clock; of other shows nothing."""
    now, _ = await recordings.lease(show, SECRET)
    tap = await look(taps)
    assert tap is not None
    assert tap.records(show)
    tap.came(show, "cat", returns=True)
    tap.came("sh_other", "cat", returns=True)
    tap.asked(show, "cat", "reserve", [("own", "dr_1", 2)], at=tap.now_ms() - 4, code="held")
    tap.paid(show, "cat", ["rs_x_own"], [], seconds=0.5, code="paid")
    tap.cheered(show, 5)
    tap.cheered(show, 2)
    tap.left(show, "cat", 1001)
    await taps.hand_over()
    (batch,) = await fetched(recordings, show)
    assert (batch.life, batch.turn, batch.lost) == (1, 1, 0)
    cheered, here, came, asked, paid, left = batch.entries
    ann, ben, cat = here[2][0], here[2][2], came[2]
    assert here == [Kind.HERE, here[1], [ann, ann, ben], False]
    assert came == [Kind.CAME, came[1], cat, True]
    assert asked[0] == Kind.ASKED
    own = asked[4][0][0]
    assert asked[2:-1] == [cat, "reserve", [[own, "dr_1", 2]], "held"]
    assert 4 <= asked[-1] < 1_000  # ms since it was asked, by a clock that runs on
    assert paid[2:] == [cat, [own], [], "paid", 500]
    assert left == [Kind.LEFT, left[1], cat, 1001]
    assert cheered == [Kind.CHEERED, cheered[1], 2, 7]
    assert came[1] <= cheered[1] <= left[1]
    assert len({ann, ben, cat, own}) == 4
    assert abs(here[1] - now) < 1_000
    assert await fetched(recordings, show) == []


async def test_no_name_leaves_the_process(
    house: House, taps: Taps, recordings: Recordings, show: str
) -> None:
    """On the tape stands no name of a viewer, a reservation or an order; under another secret all hashes differ."""
    seen = []
    for secret in ("one secret", "another"):
        await recordings.lease(show, secret)
        tap = await look(taps)
        assert tap is not None
        tap.came(show, "dorothea", returns=False)
        tap.asked(show, "dorothea", "reserve", [("ownpart12345", "dr_1", 1)], at=0, code="held")
        tap.paid(show, "dorothea", ["rs_show_ownpart12345"], [], seconds=0.1, code="paid")
        await taps.hand_over()
        raw: Any = await house.client.xrange(key("tape", show=show))
        assert raw
        for name in (b"dorothea", b"ann", b"ben", b"ownpart12345"):
            assert name not in raw[-1][1][b"b"]
        seen.append({entry[2] for entry in unpacked(raw[-1][1][b"b"])[5] if entry[0] == Kind.CAME})
        await recordings.end(show, secret)
    assert seen[0].isdisjoint(seen[1])


async def test_what_finds_no_room_is_counted(
    taps: Taps, recordings: Recordings, show: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound entries are lost, which the batches say."""
    monkeypatch.setattr(tap_module, "MOST_KEPT", 10)
    monkeypatch.setattr(tap_module, "BATCH", 4)
    await recordings.lease(show, SECRET)
    tap = await look(taps)
    assert tap is not None
    for number in range(15):
        tap.came(show, f"viewer {number}", returns=False)
    await taps.hand_over()  # whole batches now, the rest in the next round
    await taps.hand_over()
    batches = await fetched(recordings, show)
    assert [(batch.turn, len(batch.entries), batch.lost) for batch in batches] == [
        (1, 4, 6),
        (2, 4, 6),
        (3, 2, 6),
    ]


class Deaf(Recordings):
    """Keeps what it is handed, and then says that it does not know."""

    deaf = True

    async def hand_over(self, show: str, batch: bytes) -> None:
        await super().hand_over(show, batch)
        if self.deaf:
            raise unavailable("the answer was lost")


async def test_a_batch_goes_out_until_it_is_known_to_be_there(house: House, taps: Taps, show: str) -> None:
    """The same turn with the same entries, and what happened meanwhile in the next one."""
    recordings = taps._recordings = Deaf(house.client, house.scripts)
    await recordings.lease(show, SECRET)
    tap = await look(taps)
    assert tap is not None
    for _ in range(2):
        await taps.hand_over()
        tap.came(show, "cat", returns=False)
    recordings.deaf = False
    await taps.hand_over()
    await taps.hand_over()
    batches = await fetched(recordings, show)
    assert [batch.turn for batch in batches] == [1, 1, 1, 2]
    assert batches[0] == batches[1] == batches[2]
    assert [entry[0] for entry in batches[3].entries] == [Kind.CAME, Kind.CAME]


async def test_when_the_lease_is_over_nothing_is_noted_any_more(
    house: House, taps: Taps, recordings: Recordings, show: str
) -> None:
    """A recorder that does not come back is forgotten with what waited for it; if it does, a new life begins."""
    told: list[Tap | None] = []
    taps.told = told.append
    await recordings.lease(show, SECRET)
    assert await look(taps) is not None
    over = packed([await redis_now(house.client) - 1, SECRET])
    await house.client.hset(key("recordings"), show, over)
    assert await look(taps) is None
    assert told[-1] is None
    await taps.hand_over()
    assert await fetched(recordings, show) == []
    _, unbroken = await recordings.lease(show, SECRET)
    assert not unbroken
    await look(taps)
    await taps.hand_over()
    (batch,) = await fetched(recordings, show)
    assert (batch.life, batch.turn, batch.entries[0][0]) == (2, 1, Kind.HERE)


async def test_while_the_store_is_silent_the_known_leases_count(
    taps: Taps, recordings: Recordings, show: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes are taken until the lease's own end, and then no longer, though nobody can say that it ended."""
    now, _ = await recordings.lease(show, SECRET)

    async def away() -> Any:
        raise unavailable("nobody answers")

    assert await look(taps) is not None
    monkeypatch.setattr(recordings, "leases", away)
    assert await look(taps) is not None
    monkeypatch.setattr(taps._clock, "now_ms", lambda: now + 60_000)
    assert await look(taps) is None


async def test_one_recorder_has_a_show(recordings: Recordings, show: str) -> None:
    """The second is told so, until the first has given the show up."""
    await recordings.lease(show, SECRET)
    with pytest.raises(Problem, match=r"^This show is being recorded by somebody else\.$"):
        await recordings.lease(show, "another's")
    assert not await recordings.end(show, "another's")
    assert await recordings.end(show, SECRET)
    await recordings.lease(show, "another's")


async def test_so_many_shows_at_a_time(recordings: Recordings) -> None:
    """One more is refused with the number."""
    for _ in range(16):
        await recordings.lease(ids.new_show(), SECRET)
    with pytest.raises(Problem, match=r"^16 shows are being recorded; no more are taken\.$"):
        await recordings.lease(ids.new_show(), SECRET)


async def test_at_its_end_a_process_hands_over_what_is_left(house: House, taps: Taps, show: str) -> None:
    """A batch whose answer was lost and what came after it; a store that says nothing holds nobody up."""
    recordings = taps._recordings = Deaf(house.client, house.scripts)
    await recordings.lease(show, SECRET)
    tap = await look(taps)
    assert tap is not None
    await taps.hand_over()
    tap.left(show, "ann", 3001)
    recordings.deaf = False
    await taps.leave()
    assert [entry[0] for batch in await fetched(recordings, show) for entry in batch.entries] == [
        Kind.HERE,
        Kind.HERE,
        Kind.LEFT,
    ]
    recordings.deaf = True
    await taps.leave()
