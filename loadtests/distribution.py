"""Times as counts by bucket: mergeable across processes, each bucket 2 % wide, so a quantile is true to 1 %.

A time of 0 has a bucket of its own; the longest and the shortest are kept as they were.
"""

from __future__ import annotations

import math

from msgspec import Struct, field

WIDTH = math.log(1.02)  # of a bucket, in the logarithm of microseconds


class Distribution(Struct):
    """Durations in seconds; `buckets` maps a bucket's number to how many fell into it."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration; below zero, which two clocks can make of a short one, counts as zero."""
        seconds = max(0.0, seconds)
        micros = seconds * 1e6
        bucket = math.floor(math.log(micros) / WIDTH) if micros > 1 else -1
        self.buckets[bucket] = self.buckets.get(bucket, 0) + times
        self.count += times
        self.total += seconds * times
        self.least, self.most = min(self.least, seconds), max(self.most, seconds)

    def merge(self, other: Distribution) -> None:
        """Add what another process has counted."""
        for bucket, times in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + times
        self.count += other.count
        self.total += other.total
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)

    def quantile(self, share: float) -> float:
        """Return the duration in seconds that this share (0 to 1) does not exceed; 0.0 where nothing was counted."""
        rank, passed = max(1, math.ceil(share * self.count)), 0
        for bucket in sorted(self.buckets):
            passed += self.buckets[bucket]
            if passed >= rank:
                middle = math.exp((bucket + 0.5) * WIDTH) / 1e6 if bucket >= 0 else 0.0
                return min(max(middle, self.least), self.most)
        return 0.0

    @property
    def mean(self) -> float:
        """The mean in seconds; 0.0 where nothing was counted."""
        return self.total / self.count if self.count else 0.0
