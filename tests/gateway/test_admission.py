"""Who may connect is counted exactly, and who may not is told when to come back."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, Problem
from server.gateway.admission import Admission
from server.ids import household_of
from server.settings import Settings

NOW = 1000.0
ADDRESSES = ["203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", ""]


def admission(connections: int = 100, per_address: int = 0, per_second: int = 128) -> Admission:
    """Return an admission with small limits; rates are powers of two, so that sums of intervals are exact."""
    return Admission(
        Settings(connections=connections, connections_per_address=per_address, accepts_per_second=per_second)
    )


def refused(door: Admission, address: str = "203.0.113.9", now: float = NOW) -> Problem:
    """Ask to be admitted and return the refusal."""
    with pytest.raises(Problem) as caught:
        door.admit(address, now)
    return caught.value


def test_a_full_process_says_so() -> None:
    """The connection beyond the process' limit is `unavailable` with the number; one that ends makes room for one."""
    door = admission(connections=2)
    door.admit("203.0.113.1", NOW)
    door.admit("203.0.113.2", NOW)
    problem = refused(door)
    assert (problem.code, problem.status) == (Code.UNAVAILABLE, 503)
    assert problem.detail == "This process has 2 connections open, its limit."
    assert problem.extras["retry_after_ms"] >= 1000
    door.release("203.0.113.1")
    door.admit("203.0.113.9", NOW)
    assert door.open == 2


def test_an_address_has_its_limit() -> None:
    """The connection beyond an address' limit is `rate-limited` with the number; other addresses are let in."""
    door = admission(per_address=3)
    for _ in range(3):
        door.admit("203.0.113.9", NOW)
    problem = refused(door)
    assert (problem.code, problem.status) == (Code.RATE_LIMITED, 429)
    assert problem.detail == "203.0.113.9 has 3 connections open, the limit for one address."
    assert problem.extras["retry_after_ms"] >= 1000
    door.admit("203.0.113.10", NOW)
    assert door.open == 4


def test_no_limit_per_address_is_no_limit() -> None:
    """With 0, one address may have as many connections as the process takes."""
    door = admission(connections=50)
    for _ in range(50):
        door.admit("203.0.113.9", NOW)
    assert refused(door).code is Code.UNAVAILABLE


def test_new_connections_have_a_rate() -> None:
    """A burst of one second's worth is taken, then one each 64th of a second; the sentence has the rate."""
    door = admission(per_second=64)
    for _ in range(64):
        door.admit("203.0.113.9", NOW)
    problem = refused(door)
    assert (problem.code, problem.detail) == (
        Code.RATE_LIMITED,
        "This process takes 64 new connections per second.",
    )
    assert problem.extras["retry_after_ms"] == 16
    door.release("203.0.113.9")
    assert refused(door, now=NOW + 0.015).code is Code.RATE_LIMITED
    door.admit("203.0.113.9", NOW + 0.016)


def test_who_is_refused_for_another_reason_uses_up_no_rate() -> None:
    """An address at its limit that keeps trying takes nothing from the others' rate."""
    door = admission(per_address=1, per_second=8)
    door.admit("203.0.113.9", NOW)
    for _ in range(1000):
        refused(door)
    for number in range(7):
        door.admit(f"203.0.113.{number}", NOW)
    assert door.open == 8


def test_a_storm_comes_back_spread_out() -> None:
    """10,000 viewers refused at once are told 10,000 moments at the accept rate, none beyond 30 s."""
    door = admission(connections=20_000, per_second=2048)
    for _ in range(2048):
        door.admit("203.0.113.9", NOW)
    told = Counter(refused(door).extras["retry_after_ms"] for _ in range(10_000))
    assert max(told.values()) <= 3
    assert 4800 <= max(told) <= 5000
    more = Counter(refused(door).extras["retry_after_ms"] for _ in range(100_000))
    assert max(more) <= 30_000
    assert max(more.values()) <= 6


def test_a_storm_that_comes_back_as_told_is_let_in() -> None:
    """Who returns at the moment told finds the rate free, in whatever order they were refused."""
    door = admission(connections=20_000, per_second=64)
    for _ in range(64):
        door.admit("203.0.113.9", NOW)
    told = [refused(door).extras["retry_after_ms"] for _ in range(1000)]
    for wait in told:
        door.admit("203.0.113.9", NOW + wait / 1000)
    assert door.open == 1064


def test_each_line_is_its_own() -> None:
    """An address that keeps trying beyond its limit moves nobody else's moment to return."""
    door = admission(per_address=1, per_second=8)
    door.admit("203.0.113.9", NOW)
    waits = [refused(door).extras["retry_after_ms"] for _ in range(50)]
    assert all(later > sooner for sooner, later in pairwise(waits))
    for number in range(7):
        door.admit(f"203.0.113.{number}", NOW)
    assert refused(door, "203.0.113.99").extras["retry_after_ms"] == 125


@pytest.mark.parametrize(
    ("address", "household"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one(address: str, household: str) -> None:
    """Whoever has one IPv6 address has the 2**64 of its network: they count together; IPv4 counts as it is."""
    assert household_of(address) == household


@given(
    steps=st.lists(
        st.tuples(
            st.booleans(), st.sampled_from(ADDRESSES), st.floats(0, 3, allow_nan=False, allow_infinity=False)
        ),
        max_size=120,
    ),
    connections=st.integers(1, 12),
    per_address=st.integers(0, 5),
    per_second=st.integers(1, 40),
)
def test_counts_hold(
    steps: list[tuple[bool, str, float]], connections: int, per_address: int, per_second: int
) -> None:
    """Whatever comes and goes, also what never came: counts are exact, within the limits, and nothing is kept."""
    door = admission(connections, per_address, per_second)
    here: Counter[str] = Counter()
    now = NOW
    for comes, address, pause in steps:
        now += pause
        household = household_of(address)
        if comes:
            with suppress(Problem):
                door.admit(address, now)
                here[household] += 1
        else:
            door.release(address)
            here[household] = max(0, here[household] - 1)
        assert door.open == here.total() <= connections
        assert max(here.values(), default=0) <= (per_address or connections)
        assert door._by_household == +here
