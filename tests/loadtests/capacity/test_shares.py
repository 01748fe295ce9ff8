"""What each part took in its busiest moment."""

from __future__ import annotations

import pytest

from loadtests.capacity.goals import Goals, figures, missed
from loadtests.capacity.shares import (
    GATEWAY,
    GENERATOR,
    MACHINE,
    NETWORK,
    REDIS,
    SUSTAINED_SECONDS,
    at_its_end,
    busiest,
    shares,
)
from loadtests.run import Curve, Finding
from tests.loadtests.capacity.made_up import Shop


def test_the_busiest_window_is_found() -> None:
    """Of a curve the highest mean over a window counts: a short peak in a long one, the whole where it is shorter."""
    points = [(0.0, 0.0), (1.0, 0.2), (2.0, 1.0), (3.0, 0.6), (4.0, 0.0)]
    assert busiest(points, 1.0) == 1.0
    assert busiest(points, 2.0) == pytest.approx(0.8)
    assert busiest(points, 60.0) == pytest.approx(0.45)
    assert busiest(points[:1], 1.0) == 0.0
    assert busiest([], 1.0) == 0.0


def test_only_the_time_of_the_sales_counts() -> None:
    """A generator that is busy when everybody arrives, and when it writes down what it saw, blurred no sale."""
    run = Shop({}).run(100)
    curve = next(each for each in run.curves if each.name == "busiest generator process")
    curve.values = [
        1.0 if at < 2.0 or at > 14.0 else value for at, value in zip(curve.at, curve.values, strict=True)
    ]
    assert shares(run, 1)[GENERATOR] == pytest.approx(0.05)


def test_every_part_has_its_own_measure() -> None:
    """Gateway, Redis and generator are of a core, all together of the machine, the network of its link."""
    found = shares(Shop({"server": 200, "redis": 400, "network": 1000}).run(100), 1, link=1e6)
    assert found[GATEWAY] == pytest.approx(0.5)
    assert found[REDIS] == pytest.approx(0.25)
    assert found[NETWORK] == pytest.approx(0.1)
    assert found[MACHINE] == pytest.approx((0.5 + 0.25 + 0.05) / 8)
    assert NETWORK not in shares(Shop({"network": 1000}).run(100), 1)


def test_without_a_look_at_single_processes_gateways_share_their_cores() -> None:
    """Of 1.6 cores in two gateways each has 0.8, where nobody saw which had how much."""
    run = Shop({"server": 100}).run(80)
    run.curves = [each for each in run.curves if not each.name.startswith("busiest")]
    assert shares(run, 1)[GATEWAY] == pytest.approx(0.8)
    assert shares(run, 2)[GATEWAY] == pytest.approx(0.4)


def test_every_missed_goal_is_a_sentence_with_its_numbers() -> None:
    """A run says which goals it missed, and by how much; what the gate found is one of them."""
    run = Shop({"server": 50}).run(100)
    run.findings.append(Finding(kind="oversell", sentence="dr sold 11 of 10 units"))
    broken = missed(run, figures(run, 1), Goals(skew_ms=100))
    assert {each.goal for each in broken} == {"reply", "cpu", "gate"}
    assert [each.kind for each in broken if each.promise] == ["oversell"]
    said = " ".join(each.sentence for each in broken)
    assert "3,000 ms at p99, 100 are allowed" in said or "2,9" in said
    assert "100% of a core, 90% are allowed" in said


def test_a_burst_shorter_than_a_look_is_seen() -> None:
    """A gateway that is full for a tenth of a second makes replies wait, idle as it may be around that."""
    run = Shop({"server": 1000}).run(100)
    at = next(curve.at for curve in run.curves if curve.name == "busiest server process")
    peaks = [1.0 if moment == 4.0 else 0.2 for moment in at]
    run.curves.append(Curve(name="fullest server moment", unit="cores", at=list(at), values=peaks))
    found = shares(run, 1)
    assert found[GATEWAY] == 1.0
    assert at_its_end(found) == GATEWAY
    assert shares(run, 1, seconds=SUSTAINED_SECONDS)[GATEWAY] == pytest.approx(0.1), (
        "the goal is of longer moments"
    )
