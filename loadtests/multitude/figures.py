"""What is known of a group of viewers: how they stand, and how long events took to them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.audience.wire import Stock

NS = 1_000_000_000
MS = 1_000_000


@dataclass(slots=True)
class Census:
    """How a group of viewers stands: lowest and highest place in the log, who has which numbers, who was closed."""

    size: int
    here: int = 0
    lowest: int = 0
    highest: int = 0
    stocks: Counter[Stock | None] = field(default_factory=Counter)
    stock_at: int = 0  # when the last of them got its newest numbers, monotonic ns
    closes: Counter[int] = field(default_factory=Counter)  # of those who are not here


@dataclass(frozen=True, slots=True)
class Deliveries:
    """How long events took from being asked for to the viewers, ms; `skew_ms` from the first to the last viewer."""

    count: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    typical_ms: float  # p99 over the viewers of the median event: a hiccup of the machine does not move it
    skew_ms: float  # of the median event


def measured(stamps: Mapping[int, Sequence[int]], asked: Mapping[int, int]) -> Deliveries:
    """Return how long events took: `stamps` has the moments at which an offset came, `asked` when it was asked for."""
    waits = [sorted(at - asked[offset] for at in stamps[offset]) for offset in asked if stamps.get(offset)]
    together = sorted(wait for event in waits for wait in event)
    return Deliveries(
        count=len(together),
        p50_ms=share(together, 0.50) / MS,
        p99_ms=share(together, 0.99) / MS,
        longest_ms=share(together, 1.0) / MS,
        typical_ms=median([share(event, 0.99) for event in waits] or [0]) / MS,
        skew_ms=median([event[-1] - event[0] for event in waits] or [0]) / MS,
    )


def share(ordered: Sequence[int], part: float) -> int:
    """Return the value at or below which this part of the ordered values lies; 0 where there is none."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else 0
