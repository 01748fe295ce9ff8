"""What the viewers of one process measure: durations by name and second, refusals, failures, openings.

Everything here belongs to the thread of the viewers. `fresh` is the one hand-over to another thread: a deque of what
each second has brought, which may be emptied from there.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.distribution import Distribution
from loadtests.seen import Arrived, Failure, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.client.server_clock import ServerClock

FRESH_SECONDS = 600  # of which a reader that does not read finds the news; older ones are lost to it
ERROR_LENGTH = 300
UNKNOWN_CLOCK_MS = 500.0  # how wrong the server's clock may be before the first round trip
LIVE_SECONDS = 10  # of which the live file has curves

# Names of durations.
HELLO, RECOVERY, RETURN, TOKEN = "hello", "recovery", "return", "token"
WAITED = "waiting room"  # from the first word of it to the welcome, or to the run's end
RESERVE, RELEASE, CHECKOUT, ORDER = "reserve", "release", "checkout", "order"
STALENESS, LATENESS, DELAY, HOSTING = "stock staleness", "lapse lateness", "drop to viewer", "host"
LAG = "generator lag"  # how late this process itself did what was due: a part of every other duration


@dataclass(slots=True)
class News:
    """What a second has brought: durations by name, refusals by command and code, failures by name and error."""

    durations: dict[str, Distribution] = field(default_factory=dict)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)


class Measures:
    """Takes every duration and every refusal of a process; `began` is the run's begin on the monotonic clock."""

    def __init__(self, began: float) -> None:
        self.messages = 0  # of live sockets, each held against the promises
        self.fresh: deque[News] = deque(maxlen=FRESH_SECONDS)
        self._began = began
        self._second = 0
        self._news = News()
        self._latencies: dict[str, Distribution] = {}
        self._per_second: dict[str, dict[int, Distribution]] = {}
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._openings: dict[str, Arrived] = {}

    def took(self, name: str, seconds: float) -> None:
        """Count a duration that has ended now."""
        self._turn()
        durations = self._news.durations
        known = durations.get(name)
        if known is None:
            known = durations[name] = Distribution()
        known.add(seconds)

    def refused(self, command: str, code: str) -> None:
        """Count an answer that was no."""
        self._turn()
        self._news.refusals[command, code] += 1

    def failed(self, name: str, error: str) -> None:
        """Count something that may not be."""
        self._turn()
        self._news.failures[name, error[:ERROR_LENGTH]] += 1

    def opened(self, drop: str, at: float, delay: float) -> None:
        """Count a viewer who was told `delay` seconds after `at` (Unix seconds) that a drop has opened."""
        known = self._openings.get(drop)
        if known is None:
            known = self._openings[drop] = Arrived(drop, at)
        known.delays.add(delay)
        self.took(DELAY, delay)

    def seen(self, viewers: int, clock: ServerClock, *, last_seconds: int | None = None) -> Seen:
        """Return all of it; curves of the last seconds alone where so many are given."""
        self._settle()
        since = 0 if last_seconds is None else self._second - last_seconds
        per_second = {
            name: {second: taken for second, taken in seconds.items() if second >= since}
            for name, seconds in self._per_second.items()
        }
        ahead = clock.now() - time.time() * 1000
        return Seen(
            pid=os.getpid(),
            viewers=viewers,
            cpu_seconds=time.process_time(),
            messages=self.messages,
            latencies=self._latencies,
            per_second=per_second,
            refusals=nested(self._refusals),
            openings=list(self._openings.values()),
            failures=[Failure(name, error, times) for (name, error), times in self._failures.items()],
            clock_offset_ms=-ahead,
            clock_error_ms=min(clock.uncertainty_ms, UNKNOWN_CLOCK_MS),  # infinite is no number in JSON
        )

    def _turn(self) -> None:
        """Begin the next second's news, if it is time."""
        second = int(time.monotonic() - self._began)
        if second != self._second:
            self._settle()
            self._second = second

    def _settle(self) -> None:
        """Add the news to the whole, and hand them over."""
        news, self._news = self._news, News()
        for name, taken in news.durations.items():
            self._latencies.setdefault(name, Distribution()).merge(taken)
            self._per_second.setdefault(name, {}).setdefault(self._second, Distribution()).merge(taken)
        self._refusals.update(news.refusals)
        self._failures.update(news.failures)
        if news.durations or news.refusals or news.failures:
            self.fresh.append(news)


def nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return counts by pair as counts by the first, then the second."""
    by_first: dict[str, dict[str, int]] = {}
    for (first, second), times in sorted(counts.items()):
        by_first.setdefault(first, {})[second] = times
    return by_first


def handed_over(measures: Measures) -> Iterator[News]:
    """Yield and forget what has come since the last time; from any thread."""
    while measures.fresh:
        yield measures.fresh.popleft()
