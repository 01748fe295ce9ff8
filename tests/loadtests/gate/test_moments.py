"""What the judges make of single moments, of curves, of long evidence and of a large crowd."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from loadtests.gate import judge
from loadtests.gate.finding import MOST_LINES, clock, finding
from loadtests.gate.inspection import samples_of
from loadtests.gate.units import Running, Span, Steps, peak
from loadtests.run import Curve
from loadtests.seen import Account, Refused, Take
from tests.loadtests.gate.world import BEGAN, Play, Terms, Wish

if TYPE_CHECKING:
    from loadtests.gate import Case

SPANS = st.lists(
    st.builds(
        lambda start, length, units: Span(start, start + length, units),
        st.integers(0, 20),
        st.integers(1, 6),
        st.integers(1, 3),
    ),
    max_size=15,
)
TAKE = Take(
    reservation="",
    drop="dr_0",
    operation="",
    quantity=1,
    unit_price=100,
    asked_at=0.0,
    held_at=0.0,
    expires_at=0.0,
    end="expired",
)
MANY = 10_000
SECONDS = 5.0


@settings(deadline=None, database=None)
@given(spans=SPANS, offers=st.lists(st.integers(0, 8), min_size=1, max_size=3))
def test_the_sweep_line_finds_the_highest_excess(spans: list[Span], offers: list[int]) -> None:
    """It is what adding up at every moment finds, and None exactly where no moment has more than is allowed."""
    allowed = Steps([7.0 * place for place in range(len(offers))], sorted(offers))

    def excess(at: float) -> int:
        return sum(span.units for span in spans if span.start <= at < span.end) - allowed.value(at)

    most = max((excess(at) for at in range(30)), default=0)
    worst = peak(spans, allowed)
    assert (worst.units - worst.allowed if worst else 0) == max(0, most)
    assert worst is None or excess(worst.at) == most


@settings(deadline=None, database=None)
@given(spans=SPANS, first=st.integers(0, 25), length=st.integers(0, 5))
def test_spans_that_touch_a_time_are_counted(spans: list[Span], first: int, length: int) -> None:
    """Units of all spans with a moment in it, both ends included."""
    last = first + length
    touching = sum(span.units for span in spans if span.start <= last and span.end >= first)
    assert Running(spans).touching(first, last) == touching


def one_unit(error: float, taken_again_after: float) -> Case:
    """Return a run in which one unit is given back, and is another viewer's so long after that."""
    play = Play(
        [Terms(1, 0, 1, 4)], [Wish(0, 0, 2.0, 1, "release", 0.5), Wish(1, 0, 8.0, 1, "pay", 0.0)], 1, error
    )
    case = play.case
    first, second = case.accounts[0].takes[0], case.accounts[1].takes[0]
    second.held_at = first.gone_at + taken_again_after
    second.asked_at = second.held_at - 0.01
    return case


@pytest.mark.parametrize(
    ("error", "after", "found"),
    [(0.0, 0.0, False), (0.0, -0.01, True), (0.1, -0.15, False), (0.1, -0.25, True)],
)
def test_clocks_are_believed_within_their_error(error: float, after: float, *, found: bool) -> None:
    """Two viewers with one unit are too many only where both clocks' errors together cannot explain it."""
    kinds = {each.kind for each in judge(one_unit(error, after))}
    assert ("oversell" in kinds) is found


def test_a_paid_unit_is_had_for_ever() -> None:
    """A span without an end is in every later moment."""
    assert peak([Span(1.0, inf, 1), Span(1e9, inf, 1)], Steps([0.0], [1])) == (1e9, 2, 1)


def test_evidence_is_listed_up_to_a_bound_and_counted_beyond() -> None:
    """Twenty lines, and one that says how many more there are."""
    long = finding("books", "Many.", [f"line {number}" for number in range(1234)])
    assert long.evidence == [*(f"line {number}" for number in range(MOST_LINES)), "… and 1,214 more"]
    assert finding("books", "Few.", ["one"]).evidence == ["one"]


def test_a_moment_is_told_to_the_millisecond() -> None:
    """The time of day, UTC."""
    assert clock(1_700_000_000.1239) == "22:13:20.123"


def test_curves_become_looks() -> None:
    """Each look at all drops is one at every drop, with the numbers that stood then; before its first there is none."""
    curves = [
        Curve(name=name, unit="units", at=[0.5, 1.0, 1.6, 2.0], values=[float(value)] * 4)
        for name, value in (("available", 9), ("held", 2), ("sold", 1))
    ]
    curves += [
        Curve(name=f"{name} dr_b", unit="units", at=[1.0, 2.0], values=values)
        for name, values in (("available", [3.0, 2.0]), ("held", [0.0, 1.0]), ("sold", [0.0, 0.0]))
    ]
    found = samples_of(curves, ["dr_a", "dr_b"], BEGAN)
    assert found.keys() == {"", "dr_b"}
    assert found[""].available == [9, 9, 9, 9]
    assert found["dr_b"].available == [3, 3, 2]
    assert found["dr_b"].held == [0, 0, 1]
    assert [round(at - BEGAN, 3) for at in found["dr_b"].at] == [1.0, 1.6, 2.0]
    assert [round(at - BEGAN, 3) for at in found["dr_b"].since] == [0.5, 1.0, 1.6]
    assert samples_of(curves, ["dr_b"], BEGAN)["dr_b"].available == [3, 3, 2]
    assert samples_of(curves[:3], ["dr_a"], BEGAN)["dr_a"].sold == [1, 1, 1, 1]
    assert samples_of(curves[1:], ["dr_a"], BEGAN) == {}


def large_crowd() -> Case:
    """Return a run of 10,000 viewers: half of them took a unit and let it lapse, each was refused 16 times."""
    case = Play([Terms(2500, 0, 2, 2)], [], 1, 0.02).case
    told = [
        Refused("dr_0", "out-of-stock", BEGAN + 1.5 + place / 2, BEGAN + 1.6 + place / 2, 2)
        for place in range(16)
    ]
    for number in range(MANY):
        account = Account(viewer=f"more-{number}", kind="buyer", refused=told, epoch="ep_1", offset=4)
        case.accounts.append(account)
        if number % 2:
            at = BEGAN + 1.1 + number / 1000
            take = structs.replace(
                TAKE, reservation=f"rs_{number}", asked_at=at, held_at=at + 0.1, expires_at=at + 2
            )
            account.takes.append(take)
    return case


def test_a_large_crowd_is_judged_in_seconds() -> None:
    """10,000 viewers with 160,000 refusals: at most some seconds of CPU."""
    case = large_crowd()
    began = time.process_time()
    assert judge(case)
    assert time.process_time() - began < SECONDS
