"""A meter lets through what its limit allows, whenever it comes, and tells of all but its process' own share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.limits.meter import SHARE, Limit, Meter, Meters

NOW = 1000.0
TICK = 1 / 1024  # of the times below: with rates that are powers of two all sums are exact
GAPS = st.lists(st.integers(0, 2048), min_size=1, max_size=120)


class Bucket:
    """The slow model: tokens that drip in, one for each take."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.now = rate, burst, burst, NOW

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.now) * self.rate)
        self.now = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def meter(limit: Limit) -> tuple[Meter, list[Meter]]:
    """Return a meter, and the list of what it tells."""
    told: list[Meter] = []
    return Meter(limit, "limits0", "ann", told.append), told


@given(gaps=GAPS, rate=st.sampled_from([0.5, 1, 4, 16, 64]), burst=st.integers(1, 40))
@settings(deadline=None)
def test_a_meter_is_a_bucket_that_drips(gaps: list[int], rate: float, burst: int) -> None:
    """Take by take it decides as the model does, and whoever waits as told is let through, not a tick earlier."""
    one, _ = meter(Limit("test", rate, burst))
    model, now = Bucket(rate, burst), NOW
    for gap in gaps:
        now += gap * TICK
        left, wait = one.left(now), one.wait(now)
        assert (wait == 0) is model.take(now)
        assert left == wait
        if wait > TICK:
            assert one.left(now + wait - TICK) > 0
            assert one.left(now + wait) == 0


@given(gaps=GAPS, rate=st.sampled_from([4, 16, 64]), burst=st.sampled_from([1, 2, 4, 8, 64]))
@settings(deadline=None)
def test_what_is_not_told_is_a_share(gaps: list[int], rate: float, burst: int) -> None:
    """Of what passes, a process keeps to itself what a bucket of a quarter of the rate and burst lets through."""
    one, told = meter(Limit("test", rate, burst))
    own, now, expected = Bucket(rate * SHARE, burst * SHARE), NOW, 0
    for gap in gaps:
        now += gap * TICK
        if one.wait(now) == 0 and not own.take(now):
            expected += 1
    assert len(told) == expected


def test_without_a_share_everything_is_told() -> None:
    """A limit that shares nothing out tells of each take; what is refused is no take."""
    one, told = meter(Limit("test", 1, 4, share=0))
    assert [one.wait(NOW) > 0 for _ in range(6)] == [False] * 4 + [True] * 2
    assert told == [one] * 4


def test_what_all_have_used_up_is_refused_here_too() -> None:
    """Told that the limit is used up, a meter lets nothing through for so long, whatever it has seen itself."""
    one, told = meter(Limit("test", 1, 4, share=0))
    one.hear(2.5, NOW)
    one.hear(0.5, NOW)  # an older answer that comes late opens nothing
    assert one.left(NOW + 1) == one.wait(NOW + 1) == 1.5
    assert told == []
    assert one.wait(NOW + 2.5) == 0


@pytest.mark.parametrize(("rate", "interval"), [(1, 1_000_000), (5 / 60, 12_000_000), (5_000_000, 1)])
def test_the_store_counts_in_microseconds(rate: float, interval: int) -> None:
    """The interval is whole microseconds, one or more."""
    assert Limit("test", rate, 1).interval_us == interval


def test_who_was_here_longest_ago_is_forgotten() -> None:
    """So many are remembered; asking about somebody remembers nobody."""
    meters = Meters(Limit("test", 1, 1), lambda limit, who: Meter(limit, "limits0", who, lambda _: None), 2)
    ann = meters.of("ann")
    meters.of("bob")
    assert meters.of("ann") is ann
    meters.of("cleo")
    assert len(meters) == 2
    assert meters.known("bob") is None
    assert meters.known("ann") is ann
    assert meters.known("dora") is None
    assert len(meters) == 2
