"""The Redis clock as a process knows it, on a store and a monotonic clock that are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from server.store import redis_clock
from server.store.redis_clock import RedisClock

if TYPE_CHECKING:
    from server.store.redis import Redis

EPOCH = 1_800_000_000.0  # what the made-up Redis says when the monotonic clock begins


class Store:
    """Answers TIME after `there` seconds on the way and `back` on the way home; `set_by` is by how much it was set."""

    def __init__(self) -> None:
        self.now = 0.0  # the monotonic clock
        self.there = self.back = 0.001
        self.set_by = 0.0

    async def time(self) -> tuple[int, int]:
        self.now += self.there
        told = EPOCH + self.now + self.set_by
        self.now += self.back
        return int(told), round(told % 1 * 1e6)

    @property
    def truth_ms(self) -> float:
        return (EPOCH + self.now + self.set_by) * 1000


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give a store whose time is also this process's monotonic clock."""
    made = Store()
    monkeypatch.setattr(redis_clock, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def clock(store: Store) -> RedisClock:
    """Give a clock that looks at it."""
    return RedisClock(cast("Redis", store))


async def test_a_late_answer_does_not_set_the_clock_back(store: Store, clock: RedisClock) -> None:
    """A process that reads an answer 200 ms late knows no better than before; it goes on with what it knew."""
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=2)
    store.now += 1.0
    store.back = 0.2
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=2)


async def test_whoever_knew_nothing_takes_what_there_is(store: Store, clock: RedisClock) -> None:
    """The first look counts, however long it took; the first better one takes its place."""
    store.back = 0.2
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=101)
    store.back = 0.001
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=2)


@pytest.mark.parametrize("seconds", [-600.0, -0.5, 0.5, 600.0])
async def test_a_clock_that_was_set_is_followed(store: Store, clock: RedisClock, seconds: float) -> None:
    """What cannot be explained by a long way is believed at once: another Redis, or a clock that was set."""
    await clock.sync()
    store.set_by, store.back = seconds, 0.2
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=101)
    store.back = 0.001
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=2)


async def test_what_was_known_grows_old(store: Store, clock: RedisClock) -> None:
    """After hours a slower look counts again: clocks drift apart."""
    await clock.sync()
    store.now += 4 * 3600
    store.set_by, store.back = 0.5, 0.9  # the drift of these hours; a way on which it could be hidden
    await clock.sync()
    assert clock.now_ms() == pytest.approx(store.truth_ms, abs=451)
    assert abs(clock.now_ms() - store.truth_ms) < 500
