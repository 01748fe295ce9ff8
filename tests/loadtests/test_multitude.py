"""The multitude's instruments, on bytes and numbers made by hand: what is wrong is found, and nothing else is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.audience.wire import (
    BINARY,
    Stock,
    Told,
    read,
)
from loadtests.multitude.figures import Census, measured
from loadtests.multitude.outcome import Expected, Outcome, Plan, Round, Storm, broken, missing, slow
from loadtests.multitude.tables import tables
from loadtests.multitude.witness import Book, Witness
from server.protocol.codec import pack
from tests.loadtests.audience.frames import server_frame

NUMBERS = {"available": 7, "held": 2, "sold": 1, "quantity": 10}


def told_of(**message: Any) -> Told:
    """Return what a viewer reads of a message."""
    return read(server_frame(BINARY, pack(message)))[0][0]


def a_witness(**welcome: Any) -> Witness:
    """Return one who was welcomed at offset 5."""
    witness = Witness("one", Book(), binary=True)
    witness.begin()
    standard = {"type": "welcome", "epoch": "e", "offset": 5, "recovered": False}
    witness.take(told_of(**{**standard, **welcome}), 1)
    return witness


STOCK = {"type": "stock.updated", "drop_id": "d", **NUMBERS}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 7}], (0, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 7}], (1, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 6}], (0, 1, 0, 0)),
        ([{**STOCK, "revision": 2}, {**STOCK, "revision": 3}], (0, 0, 0, 0)),
        ([{**STOCK, "revision": 3}, {**STOCK, "revision": 2}], (0, 0, 0, 0)),
        ([{**STOCK, "revision": n} for n in (2, 4, 3)], (0, 0, 1, 0)),
        ([{**STOCK, "revision": 3, "held": 3}], (0, 0, 0, 1)),
        ([{"type": "error", "code": "unavailable", "message": "no"}], (0, 0, 0, 1)),
        ([{"type": "welcome", "epoch": "e", "offset": 5, "recovered": True, "missed": 0}], (0, 0, 0, 1)),
    ],
    ids=[
        "in-order",
        "gap",
        "duplicate",
        "newer",
        "on-its-way",
        "older",
        "wrong-sum",
        "error",
        "welcomed-twice",
    ],
)
def test_a_witness_finds_what_is_wrong(
    messages: list[dict[str, Any]], found: tuple[int, int, int, int]
) -> None:
    """Each broken promise is counted under its kind, and what is in order under none."""
    witness = a_witness()
    for message in messages:
        witness.take(told_of(**message), 2)
    book = witness.book
    assert (book.gaps, book.duplicates, book.stale, book.wrong) == found
    assert len(book.examples) == sum(found)


@pytest.mark.parametrize(
    ("welcome", "wrong"),
    [
        ({"recovered": True, "offset": 9, "missed": 4}, 0),
        ({"recovered": True, "offset": 9, "missed": 3}, 1),
        ({"recovered": True, "offset": 9, "missed": 4, "epoch": "another"}, 1),
        ({"recovered": False, "offset": 9}, 0),
    ],
    ids=["our-place", "another-place", "another-epoch", "start-over"],
)
def test_a_return_to_another_place_is_found(welcome: dict[str, Any], wrong: int) -> None:
    """A recovery must pick up at exactly the place that was asked for."""
    witness = a_witness()
    witness.begin()
    witness.take(told_of(**{"type": "welcome", "epoch": "e", **welcome}), 2)
    assert witness.book.wrong == wrong


def test_whoever_lacks_something_is_named() -> None:
    """A group in which one is away, one behind and one without the last numbers lacks three things."""
    last = Stock(9, *NUMBERS.values())
    expected = Expected(7, last)
    whole = Census(size=3, here=3, lowest=7, highest=7, stocks=Counter({last: 3}))
    assert missing("all", whole, expected) == []
    older = last._replace(revision=8)
    lacking = Census(4, 3, 6, 7, Counter({last: 2, older: 1}), closes=Counter({3008: 1}))
    assert len(missing("all", lacking, expected)) == 3
    assert len(missing("all", lacking, expected, whole=False)) == 2


def test_delays_are_counted_from_the_asking() -> None:
    """Of a hundred deliveries after 1 to 100 ms the median is 50, p99 is 99, and first to last are 99 apart.

    One bad event among three moves the p99 of all, and not that of the median event.
    """
    asked = {3: 5_000_000}
    moments = [1_000_000 * (5 + ms) for ms in range(100, 0, -1)]
    seen = measured({3: moments, 9: [0]}, asked)
    assert (seen.count, seen.p50_ms, seen.p99_ms, seen.longest_ms) == (100, 50, 99, 100)
    assert (seen.typical_ms, seen.skew_ms) == (99, 99)
    late = [moment + 10**9 for moment in moments]
    seen = measured({3: moments, 4: late, 5: moments}, {**asked, 4: 5_000_000, 5: 5_000_000})
    assert (seen.typical_ms, seen.p99_ms, seen.longest_ms) == (99, 1097, 1100)


def an_outcome(
    growth: int, typical_ms: float, last_value_ms: float, seconds: float, others_ms: float
) -> Outcome:
    """Return a run of one round without and one with stalled viewers, in which nothing went wrong."""
    stock = Stock(9, *NUMBERS.values())
    all_have_it = Census(size=1, here=1, lowest=7, highest=7, stocks=Counter({stock: 1}))
    delays = measured({1: [100]}, {1: 0})
    calm = Round(
        expected=Expected(7, stock),
        viewers=all_have_it,
        sleepers=None,
        deliveries=replace(delays, typical_ms=100),
        last_value_ms=last_value_ms,
        burst_seconds=1.0,
        cpu_micros=9.0,
        audience_micros=5.0,
        resident_before=100,
        resident_peak=150,
    )
    stalled = replace(
        calm,
        sleepers=all_have_it,
        deliveries=replace(delays, typical_ms=typical_ms),
        resident_peak=100 + growth,
    )
    storm = Storm(
        expected=calm.expected,
        viewers=all_have_it,
        others=all_have_it,
        recovered=1,
        pictures=0,
        refused=Counter(),
        seconds=seconds,
        before=delays,
        during=replace(delays, p99_ms=others_ms),
    )
    return Outcome(Plan(), rounds=[calm, stalled], storm=storm, book=Book())


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ((10, 110, 250, 10, 500), 0),
        ((11, 110, 250, 10, 500), 1),
        ((10, 111, 250, 10, 500), 1),
        ((10, 110, 251, 10, 500), 1),
        ((10, 110, 250, 10.1, 500), 1),
        ((10, 110, 250, 10, 501), 1),
        ((99, 999, 999, 99, 999), 5),
    ],
    ids=["all-kept", "memory", "p99", "last-value", "return", "others", "none-kept"],
)
def test_a_figure_beyond_its_bound_is_named(
    figures: tuple[int, float, float, float, float], found: int
) -> None:
    """Each figure that the program holds the server to is told when it is missed, and only then."""
    outcome = an_outcome(*figures)
    assert broken(outcome) == []
    assert len(slow(outcome)) == found
    assert [table.title for table in tables(outcome)][-1] == "Against the promises"
