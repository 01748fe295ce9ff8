"""Shapes: each is a plan that fits into its time, the same for the same arguments."""

from __future__ import annotations

import msgspec
import pytest

from loadtests.plan import Plan
from loadtests.shapes import ARRIVALS_PER_SECOND, SHAPES, ShapeError, shape

EVERY = pytest.mark.parametrize("name", SHAPES)


def least(name: str, viewers: int) -> float:
    """Return the seconds that a shape says it needs, from its refusal."""
    with pytest.raises(ShapeError, match=r"takes at least \d+ s") as refused:
        shape(name, viewers, 10, 1, 1)
    return float(str(refused.value).partition("at least ")[2].split()[0])


@EVERY
@pytest.mark.parametrize("viewers", [1, 40, 5000])
def test_everything_happens_in_its_time(name: str, viewers: int) -> None:
    """Sales begin when all are there and end early enough for the last hold to lapse; cuts and deploys are within."""
    for seconds in (None, least(name, viewers) + 0.5, 300):
        plan = shape(name, viewers, 500, seconds, 7)
        assert plan.seconds == seconds or seconds is None
        assert plan.sales
        for sale in plan.sales:
            assert sale.at > plan.arrival_seconds
            assert sale.seconds > 0
            assert sale.at + sale.seconds + sale.hold_seconds < plan.seconds
            assert sale.spread_ms / 1000 <= sale.seconds or name != "flash"
            assert sale.quantity == 500
        last = max(sale.at + sale.seconds for sale in plan.sales)
        for cut in plan.cuts:
            assert plan.sales[0].at < cut.at < cut.at + cut.back_seconds <= last
        assert all(plan.sales[0].at < moment < last for moment in plan.deploys)


@EVERY
def test_the_same_arguments_give_the_same_plan(name: str) -> None:
    """Nothing is drawn when a plan is made, and a plan survives its file."""
    one, other = (shape(name, 100, 10, None, 3) for _ in range(2))
    assert one == other
    assert msgspec.json.decode(msgspec.json.encode(one), type=Plan) == one
    assert shape(name, 100, 10, None, 4).seed == 4


def test_each_shape_does_what_its_name_says() -> None:
    """Flash: all within 200 ms; waves overlap; a storm cuts off all of them; a deploy replaces; slow ones are there."""
    made = {name: shape(name, 1000, 100, None, 1) for name in SHAPES}
    flash = made["flash"].sales[0]
    assert (flash.spread_ms, flash.wanting, made["flash"].mix.buyers) == (200, 1.0, 1000)
    first, second, *_ = made["waves"].sales
    assert first.at < second.at < first.at + first.seconds
    assert [cut.share for cut in made["storm"].cuts] == [1.0]
    assert made["storm"].sales[0].at < made["storm"].cuts[0].at
    assert len(made["deploy"].deploys) == 1
    assert made["slow"].slow > 0
    assert made["soak"].seconds == pytest.approx(30 * 60, abs=10)
    assert len(made["soak"].sales) > 50
    assert all(made[name].slow == 0 for name in SHAPES if name != "slow")


def test_a_crowd_has_time_to_pay() -> None:
    """A few are served soon; the more there are, the longer what they took is held, and the longer they may take."""
    few, many = shape("flash", 40, 10, None, 1), shape("flash", 5000, 500, None, 1)
    assert (few.sales[0].hold_seconds, many.sales[0].hold_seconds) == (5, 15)
    assert all(plan.sales[0].seconds > 2 * plan.sales[0].hold_seconds for plan in (few, many))


def test_nobody_arrives_faster_than_servers_take_them() -> None:
    """Arrivals are spread: so many viewers take so long, and few take a moment."""
    assert shape("flash", 5000, 500, None, 1).arrival_seconds == 5000 / ARRIVALS_PER_SECOND
    assert shape("flash", 1, 1, None, 1).arrival_seconds == 1.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("flush", 10, 1, None, 1), "There is no shape 'flush'. There are: steady, flash"),
        (("flash", 0, 1, None, 1), "At least one viewer and one unit"),
        (("flash", 10, 0, None, 1), "At least one viewer and one unit"),
        (
            ("flash", 5000, 1, 5, 1),
            "flash with 5,000 viewers takes at least 40 s: 20 s to arrive, 2 s of quiet",
        ),
        (("soak", 5000, 1, 10**6, 1), "6 hours at most"),
    ],
)
def test_a_refusal_says_what_would_do(
    arguments: tuple[str, int, int, float | None, int], sentence: str
) -> None:
    """What cannot be made is refused with the numbers that could be."""
    with pytest.raises(ShapeError, match=sentence):
        shape(*arguments)
