"""The search for the knee, on systems whose knee is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtests.capacity.goals import Goals, figures, missed
from loadtests.capacity.search import UNKNOWN, Bounds, Step, search
from loadtests.capacity.shares import GATEWAY, LEDGER, NETWORK, REDIS, SATURATED, shares
from loadtests.capacity.tables import knee as told_knee
from tests.loadtests.capacity.made_up import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.run import Run

GOALS = Goals()
BOUNDS = Bounds(start=100, most=50_000, runs=40, tries=2)
LINK = 1e6  # bytes per second of the made-up network
FAR = 10**9


def step(run: Run, foreign: float = 0.0) -> Step:
    """Return a run as a step."""
    seen = figures(run, 1)
    return Step(
        viewers=run.plan.viewers,
        figures=seen,
        broken=missed(run, seen, GOALS),
        shares=shares(run, 1, link=LINK),
        foreign=foreign,
    )


def measured(shop: Shop) -> Callable[[int], Step]:
    """Return what measures the made-up shop."""
    return lambda viewers: step(shop.run(viewers))


@pytest.mark.parametrize(
    ("part", "named"), [("server", GATEWAY), ("redis", REDIS), ("network", NETWORK)], ids=str
)
@pytest.mark.parametrize("knee", [150, 3333, 20_000])
def test_a_known_knee_is_found_and_its_part_named(part: str, named: str, knee: int) -> None:
    """The knee lies between the two loads, a fifth apart at most, and the part that was full is the bottleneck."""
    # A gateway's CPU has a goal of its own, which breaks at 90 % of it.
    true = knee * GOALS.cpu if part == "server" else knee
    steps, found = search(measured(Shop({part: knee})), BOUNDS)
    assert found.carried <= true < found.failed
    assert found.failed <= found.carried * 1.2 + 1
    assert found.bottleneck == named
    assert not found.at_least
    assert len(steps) < 30


def test_of_two_full_parts_the_one_that_was_full_first_is_named() -> None:
    """Redis is full at 900 viewers, the gateway at 1,000, and replies are late beyond: Redis is the bottleneck."""
    shop = Shop({"redis": 1000, "server": 1150})
    _, found = search(measured(shop), BOUNDS)
    assert found.bottleneck == REDIS


def test_a_slow_ledger_shows_where_only_paying_is_late() -> None:
    """Nobody's CPU is full, reservations are quick, checkouts are not: it is the ledger."""
    _, found = search(measured(Shop({"disk": 700}, slow="checkout")), BOUNDS)
    assert found.carried <= 700 < found.failed
    assert found.bottleneck == LEDGER


def test_what_nobody_can_name_is_called_unknown() -> None:
    """Late replies with nothing full have a knee, and no made-up reason."""
    _, found = search(measured(Shop({"lock": 700, "server": 1200})), BOUNDS)
    assert found.carried <= 700 < found.failed
    assert found.bottleneck == UNKNOWN
    part, share = found.nearest
    assert part == GATEWAY
    assert 0.5 < share < SATURATED
    assert f"Nearest to its end was {GATEWAY}, with {share:.0%}" in told_knee(found)


def test_a_generator_at_its_end_gives_at_least() -> None:
    """Replies are late because who loads is full: there is no knee, only what was carried."""
    steps, found = search(measured(Shop({"generator": 1000, "server": 9000})), BOUNDS)
    assert found.at_least
    assert found.carried == 800
    assert found.failed == 0
    assert not found.bottleneck
    assert "generator" in found.because
    assert steps[-1].limited


def test_a_blind_search_would_take_it_for_the_knee() -> None:
    """Negative control: without the generator's figures the same loads look like the server's knee."""
    shop = Shop({"generator": 1000, "server": 9000})

    def blind(viewers: int) -> Step:
        run = shop.run(viewers)
        run.processes = [each for each in run.processes if each.name != "generator"]
        return step(run)

    _, found = search(blind, BOUNDS)
    assert found.failed
    assert found.carried <= 1000 < found.failed


def test_a_machine_that_others_use_says_nothing() -> None:
    """Late replies while other programs took half of the machine, and no part was full, are no knee."""
    shop = Shop({"lock": 700})
    steps, found = search(lambda viewers: step(shop.run(viewers), foreign=0.5), BOUNDS)
    assert found.at_least
    assert [each.viewers for each in steps[-2:]] == [800, 800]  # they may be gone at the next try
    assert "other programs took 50%" in found.because


def test_among_other_programs_only_a_part_that_had_its_core_is_full() -> None:
    """At 90 % of a core a process may have waited for others to let it; at all of it, it is the reason."""
    run = Shop({"redis": 1000}).run(1001)
    assert not step(run, foreign=0.5).limited
    for curve in run.curves:
        curve.values = [0.9 * value for value in curve.values]
    assert "other programs" in step(run, foreign=0.5).limited
    assert not step(run, foreign=0.05).limited


def test_a_single_miss_is_tried_again() -> None:
    """One miss of noise does not end the search: the load is measured again, and counts as carried."""
    shop, sick = Shop({"server": 10_000}), [400]

    def noisy(viewers: int) -> Step:
        if viewers in sick:
            sick.remove(viewers)
            return step(Shop({"lock": 1}).run(viewers))
        return step(shop.run(viewers))

    _, found = search(noisy, BOUNDS)
    assert found.carried > 8000 * GOALS.cpu
    assert found.bottleneck == GATEWAY


def test_it_goes_down_where_the_first_load_is_too_much() -> None:
    """A start beyond the knee is no reason to find none."""
    _, found = search(measured(Shop({"server": 60})), BOUNDS)
    assert 0 < found.carried <= 54 < found.failed


@pytest.mark.parametrize("runs", [1, 4, 6])
def test_the_number_of_runs_is_bounded(runs: int) -> None:
    """No more runs than were asked for; what is left open is said."""
    shop = Shop({"server": 3000})
    steps, found = search(measured(shop), Bounds(start=100, runs=runs))
    assert len(steps) == len(shop.asked) == runs
    assert "used up" in found.because


def test_the_end_of_the_time_ends_the_search() -> None:
    """When there is no time for a run, what was carried so far is the result."""
    shop = Shop({"server": 3000})
    left = [3]

    def short(viewers: int) -> Step | str:
        left[0] -= 1
        return step(shop.run(viewers)) if left[0] >= 0 else "its time was used up"

    _, found = search(short, BOUNDS)
    assert found.at_least
    assert (found.carried, found.because) == (400, "its time was used up")


def test_the_most_that_was_asked_for_is_the_end() -> None:
    """A server that carries all of it is said to carry at least that."""
    _, found = search(measured(Shop({"server": FAR})), Bounds(start=100, most=1000))
    assert (found.carried, found.failed) == (1000, 0)
    assert "1,000 viewers are the most" in found.because
