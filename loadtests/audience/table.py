"""What the crowd measures, in Locust's own table. Only Locust's processes import this: Locust patches the library.

A second's durations go over as one entry each; one event per request would cost more than the request.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from locust.stats import StatsEntry, bucket_response_time

from loadtests.audience.measures import CHECKOUT, HOSTING, ORDER, TOKEN
from loadtests.distribution import WIDTH

if TYPE_CHECKING:
    from locust.stats import RequestStats

    from loadtests.audience.measures import News
    from loadtests.distribution import Distribution

BY_HTTP = frozenset({CHECKOUT, HOSTING, ORDER, TOKEN})


def tell(stats: RequestStats, news: News) -> None:
    """Add what a second has brought to Locust's statistics: durations and refusals by name, failures as errors."""
    for name, taken in news.durations.items():
        entry = entry_of(stats, name, taken)
        stats.get(name, entry.method).extend(entry)
        stats.total.extend(entry)
    for (command, code), times in news.refusals.items():
        entry = counted(stats, f"{command} ({code})", door(command), times)
        stats.get(entry.name, entry.method).extend(entry)
    for (name, error), times in news.failures.items():
        for _ in range(times):
            stats.log_error(door(name), name, error)


def door(name: str) -> str:
    """Return the door that something goes through."""
    return "HTTP" if name.partition(" ")[0] in BY_HTTP else "WS"


def entry_of(stats: RequestStats, name: str, taken: Distribution) -> StatsEntry:
    """Return durations as an entry of Locust's."""
    entry = counted(stats, name, door(name), taken.count)
    entry.num_none_requests = 0
    entry.total_response_time = round(taken.total * 1000)
    entry.min_response_time = round(taken.least * 1000)
    entry.max_response_time = round(taken.most * 1000)
    for bucket, times in taken.buckets.items():
        milliseconds = math.exp((bucket + 0.5) * WIDTH) / 1000 if bucket >= 0 else 0.0
        entry.response_times[bucket_response_time(milliseconds)] += times
    return entry


def counted(stats: RequestStats, name: str, method: str, times: int) -> StatsEntry:
    """Return an entry of so many requests of now, without durations."""
    now = time.time()
    entry = StatsEntry(stats, name, method)
    entry.num_requests = entry.num_none_requests = times
    entry.last_request_timestamp = now
    entry.num_reqs_per_sec[int(now)] = times
    return entry
