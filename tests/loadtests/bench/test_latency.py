"""Open arrivals, and the picture of what they waited."""

from __future__ import annotations

import asyncio
import random
import re
import time
from itertools import pairwise
from statistics import fmean
from xml.etree import ElementTree as ET

import pytest

from loadtests.bench.ground import BenchError
from loadtests.bench.latency import PERCENTILES, Arrivals, Curve, percentiles, poisson
from loadtests.bench.pipe import for_seconds
from loadtests.bench.plot import HEIGHT, NAME_HEIGHT, WIDTH, Scale, picture
from loadtests.bench.taking import BusyError, reserving

STALL = 0.2
SLACK = 0.02  # between two looks at the clock


def arrivals_of(seed: str) -> list[float]:
    """Return the arrivals of four seconds, a thousand each in the mean."""
    return poisson(1_000, 4, random.Random(seed))  # noqa: S311  chance is what is tested


def test_arrivals_are_those_of_their_seed() -> None:
    """The same seed gives the same moments, in order and within the time; their rate is what was asked for."""
    moments = arrivals_of("a")
    assert moments == arrivals_of("a")
    assert moments != arrivals_of("b")
    assert moments == sorted(moments)
    assert 0 < moments[0] <= moments[-1] < 4
    assert len(moments) == pytest.approx(4_000, rel=0.1)


def test_gaps_between_arrivals_have_no_memory() -> None:
    """Gaps of a Poisson process vary as much as their mean: regular arrivals would hide queues, and vary not at all."""
    gaps = [after - before for before, after in pairwise(arrivals_of("a"))]
    mean = fmean(gaps)
    deviation = fmean((gap - mean) ** 2 for gap in gaps) ** 0.5
    assert deviation / mean == pytest.approx(1, abs=0.15)


async def test_a_pause_counts_for_all_who_come_meanwhile() -> None:
    """While the store stalls, arrivals go on, and each waits from the moment at which it was meant to come."""
    stalled_until = time.perf_counter() + STALL

    async def ask() -> int:
        await asyncio.sleep(max(0.0, stalled_until - time.perf_counter()))
        return 1

    arrivals = Arrivals(ask)
    await arrivals.at([0.0, STALL / 4, STALL / 2])
    least = (STALL, STALL * 3 / 4, STALL / 2)
    waits = sorted(arrivals.waits, reverse=True)
    assert all(wait >= expected - SLACK for wait, expected in zip(waits, least, strict=True))


async def test_a_busy_loop_counts_too() -> None:
    """Where the caller itself is held up, who should have come meanwhile has waited since then."""
    held_up = [True]

    async def ask() -> int:
        if held_up.pop() if held_up else False:
            time.sleep(STALL)  # noqa: ASYNC251  the loop is to stand still
        return 1

    arrivals = Arrivals(ask)
    await arrivals.at([0.0, STALL / 2])
    assert max(arrivals.waits) >= STALL
    assert min(arrivals.waits) >= STALL / 2 - SLACK


async def test_a_crowd_is_always_as_large() -> None:
    """So many are under way at any time, and when there are to be no more, all are answered."""
    under_way, most = 0, 0

    async def ask() -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return 1

    arrivals = Arrivals(ask)
    await arrivals.crowd(16, for_seconds(0.05))
    assert (most, under_way) == (16, 0)
    assert len(arrivals.waits) > 16


async def test_a_refusal_ends_it() -> None:
    """What goes wrong for one of them is raised, not counted as quick."""

    async def ask() -> int:
        raise BenchError("refused")

    with pytest.raises(BenchError, match="refused"):
        await Arrivals(ask).at([0.0])


async def test_who_is_sent_away_has_no_wait() -> None:
    """Who is told to come back later is counted, and is neither an error nor a quick answer."""

    async def ask() -> int:
        raise BusyError("come back later")

    arrivals = Arrivals(ask)
    await arrivals.at([0.0, 0.001])
    assert (arrivals.sent_away, arrivals.waits) == (2, [])


def test_percentiles_are_those_of_the_sample() -> None:
    """Of a thousand and one waits of 0 to 1,000 each percentile is known exactly."""
    assert percentiles([float(wait) for wait in range(1_001)]) == {50.0: 500, 99.0: 990, 99.9: 999}


def curve(name: str, *middles: float) -> Curve:
    """Return a curve whose percentiles are multiples of a median at each load."""
    one = Curve(name, reserving, 1)
    for load, middle in zip(one.loads, middles, strict=True):
        load.offered = [1_000 * load.share]
        for percentile, times in zip(PERCENTILES, (1, 1.01, 8), strict=True):
            load.waits[percentile] = [middle * times, middle * times * 1.5, middle * times * 0.5]
    return one


def test_the_picture_tells_what_was_measured() -> None:
    """It is one SVG without anything from elsewhere, has every load, rate and percentile, and tells them in words."""
    told = picture([curve("ours <fast>", 0.31, 0.52, 2.04), curve("theirs", 1, 3, 40)], "how it was measured")
    root = ET.fromstring(told)  # noqa: S314  it is ours
    texts = [element.text or "" for element in root.iter() if element.tag.endswith(("text", "desc"))]
    for word in (
        "ours <fast>",
        "theirs",
        "10%",
        "50%",
        "90%",
        "500/s",
        "p50 2.0 ms",
        "p99.9 320 ms",
        "how it was",
    ):
        assert any(word in text for text in texts), word
    assert "http" not in told.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in told


def test_nothing_of_the_picture_is_outside_or_covered() -> None:
    """Every text and point is within the picture, and names of lines that end close together stand apart."""
    root = ET.fromstring(picture([curve("ours", 0.3, 0.5, 2), curve("theirs", 1, 3, 40)], "a note"))  # noqa: S314
    for element in root.iter():
        for name, most in (("x", WIDTH), ("cx", WIDTH), ("y", HEIGHT), ("cy", HEIGHT)):
            assert 0 <= float(element.get(name, "0")) <= most, element.attrib
    names = [element for element in root.iter() if re.match(r"p\d", element.text or "")]
    assert len(names) == 2 * len(PERCENTILES)
    for panel in (names[: len(PERCENTILES)], names[len(PERCENTILES) :]):
        heights = [float(element.attrib["y"]) for element in panel]
        assert all(lower - upper >= NAME_HEIGHT - 0.1 for lower, upper in pairwise(heights))


def test_the_scale_has_room_for_all() -> None:
    """The axis begins at or below the least value and ends at or above the greatest; ten times is the same way."""
    scale = Scale.over([0.3, 7.0])
    assert (scale.least, scale.most) == pytest.approx((0.2, 10))
    assert scale.steps == pytest.approx([0.2, 0.5, 1, 2, 5, 10])
    assert scale.y(0.2) - scale.y(1) == pytest.approx(scale.y(1) - scale.y(5))
