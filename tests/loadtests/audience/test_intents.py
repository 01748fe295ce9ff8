"""Who is who and what they mean to do: out of the seed and the number alone."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from msgspec.structs import replace

from loadtests.audience.intents import BOT, BUYER, HOARDER, LURKER, intents, kind_of
from loadtests.audience.roll import Roll, users
from loadtests.plan import Cut, Mix, Plan, Sale
from tests.loadtests.audience.scripted import PLAN

MIX = Mix(buyers=700, hoarders=50, bots=10)
BUSY = Plan(
    shape="test",
    seed=3,
    viewers=200,
    seconds=600.0,
    arrival_seconds=20.0,
    mix=MIX,
    sales=(Sale(at=30.0, seconds=9.0, quantity=5, wanting=0.5), Sale(at=60.0, seconds=9.0, quantity=5)),
    cuts=(Cut(at=100.0, share=0.5, back_seconds=4.0),),
    slow=0.1,
)


def test_the_same_seed_means_the_same_twice() -> None:
    """All intents of a plan are the same each time, whatever else was drawn in between; another seed has others."""
    first = [intents(BUSY, number) for number in range(BUSY.viewers)]
    random.seed(1)
    assert [intents(BUSY, number) for number in reversed(range(BUSY.viewers))] == first[::-1]
    other = replace(BUSY, seed=4)
    assert [intents(other, number).wishes for number in range(200)] != [each.wishes for each in first]


def test_a_wish_does_not_depend_on_other_parts_of_the_plan() -> None:
    """More viewers, a longer run and a sale after the others change nothing about the wishes for what was there."""
    longer = replace(BUSY, viewers=5000, seconds=900.0, sales=(*BUSY.sales, BUSY.sales[0]))
    for number in range(50):
        assert intents(longer, number).wishes[:2] == intents(BUSY, number).wishes


def test_shares_are_what_the_plan_says() -> None:
    """About half want the first sale, all the second; about half are cut off, all of them back in time."""
    crowd = [intents(BUSY, number) for number in range(1000)]
    assert 400 < sum(each.wishes[0].wants for each in crowd) < 600
    assert all(each.wishes[1].wants for each in crowd)
    cuts = [away for each in crowd for away in each.away if away.cut]
    assert 400 < len(cuts) < 600
    assert all(away.at == 100.0 and 100.0 <= away.back <= 104.0 for away in cuts)
    assert 50 < sum(each.slow for each in crowd) < 150


def test_nobody_leaves_while_away_or_before_coming() -> None:
    """Times without a connection follow each other, and begin after the arrival."""
    for each in (intents(BUSY, number) for number in range(1000)):
        assert all(away.at > each.arrives for away in each.away)
        assert all(later.at > earlier.back for earlier, later in pairwise(each.away))


def test_any_thousand_in_a_row_has_the_mix() -> None:
    """Of any thousand numbers in a row exactly as many are of each kind as the mix has; the rest only watches."""
    for start in (0, 17, 123_456):
        kinds = Counter(kind_of(MIX, number) for number in range(start, start + 1000))
        assert kinds == {BUYER: 700, HOARDER: 50, BOT: 10, LURKER: 240}


def test_a_small_crowd_has_nearly_the_mix() -> None:
    """Forty viewers have each kind that a fortieth of the mix gives them, give or take one."""
    kinds = Counter(kind_of(Mix(buyers=700, hoarders=100, bots=50), number) for number in range(40))
    assert abs(kinds[BUYER] - 28) <= 1
    assert abs(kinds[HOARDER] - 4) <= 1
    assert abs(kinds[BOT] - 2) <= 1


@pytest.mark.parametrize(("viewers", "audience"), [(1, 500), (500, 500), (1203, 500), (40, 7)])
def test_audiences_cover_the_plan_once(viewers: int, audience: int) -> None:
    """As many audiences as the plan needs get every number of it once; who asks for more gets those after it."""
    plan = replace(PLAN, viewers=viewers, audience=audience)
    roll = Roll(plan)
    blocks = [roll.block() for _ in range(users(plan)["audience"])]
    assert [number for block in blocks for number in block] == list(range(viewers))
    assert roll.block().start >= viewers


def test_single_viewers_are_the_same_people() -> None:
    """Where each viewer is a user of its own, the same numbers are given out, each to a user of its kind."""
    plan = replace(PLAN, viewers=1200, audience=0, mix=MIX)
    roll, given = Roll(plan), Counter[int]()
    for kind, count in users(plan).items():
        for _ in range(count):
            number = roll.of_kind(kind).start
            assert kind_of(MIX, number) == kind
            given[number] += 1
    assert given == Counter(range(1200))
