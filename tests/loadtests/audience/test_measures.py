"""What is measured is kept by name and second, and handed over once."""

from __future__ import annotations

import time

from loadtests.audience.measures import Measures, handed_over
from server.client.server_clock import ServerClock


def test_durations_are_kept_by_name_and_second() -> None:
    """A second's durations stand in the whole and in their second."""
    measures = Measures(time.monotonic() - 3.5)
    measures.took("reserve", 0.010)
    measures.took("reserve", 0.030)
    measures.took("hello", 1.0)
    seen = measures.seen(5, ServerClock())
    assert seen.latencies["reserve"].count == 2
    assert seen.latencies["reserve"].most == 0.030
    assert {name: list(seconds) for name, seconds in seen.per_second.items()} == {
        "reserve": [3],
        "hello": [3],
    }


def test_refusals_and_failures_are_counted_apart() -> None:
    """Refusals by command and code, failures by name and error; neither is the other."""
    measures = Measures(time.monotonic())
    for _ in range(3):
        measures.refused("reserve", "out-of-stock")
    measures.failed("closed", "closed with 3005")
    seen = measures.seen(1, ServerClock())
    assert seen.refusals == {"reserve": {"out-of-stock": 3}}
    assert [(one.name, one.error, one.occurrences) for one in seen.failures] == [
        ("closed", "closed with 3005", 1)
    ]


def test_an_opening_knows_how_it_reached_its_viewers() -> None:
    """Delays of an opening are kept by drop, with the event's own time."""
    measures = Measures(time.monotonic())
    for delay in (0.002, 0.009, 0.004):
        measures.opened("dr_1", 1000.0, delay)
    (arrived,) = measures.seen(3, ServerClock()).openings
    assert (arrived.drop, arrived.opened_at, arrived.delays.count, arrived.delays.most) == (
        "dr_1",
        1000.0,
        3,
        0.009,
    )


def test_news_are_handed_over_once() -> None:
    """All that was measured is handed over, nothing of it twice, and what is handed over stays in the whole."""
    measures = Measures(time.monotonic())
    measures.took("reserve", 0.01)
    measures.seen(1, ServerClock())
    measures.took("reserve", 0.01)
    seen = measures.seen(1, ServerClock())
    assert sum(news.durations["reserve"].count for news in handed_over(measures)) == 2
    assert list(handed_over(measures)) == []
    assert seen.latencies["reserve"].count == 2


def test_the_live_file_has_the_last_seconds_alone() -> None:
    """Curves of a long run do not grow the file that is written every second; the totals are whole."""
    measures = Measures(time.monotonic() - 100)
    measures.took("reserve", 0.01)
    measures.seen(1, ServerClock())
    measures._began -= 50
    measures.took("reserve", 0.01)
    seen = measures.seen(1, ServerClock(), last_seconds=10)
    assert list(seen.per_second["reserve"]) == [150]
    assert seen.latencies["reserve"].count == 2
