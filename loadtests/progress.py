"""How a run goes while it goes: what its processes have written so far, and the stock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loadtests import merge
from loadtests.distribution import Distribution

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.sampler import Stock


class Progress(NamedTuple):
    """A run at a moment: `seconds` since its begin; numbers are sums over all processes since then."""

    plan: Plan
    seconds: float
    viewers: int
    reserve: Distribution
    refusals: int
    failures: int
    stock: Stock | None

    @property
    def line(self) -> str:
        """The whole in a line, for a log."""
        stock, p50, p99 = self.stock, *(self.reserve.quantile(share) * 1000 for share in (0.5, 0.99))
        parts = [
            f"{self.seconds:4.0f} of {self.plan.seconds:.0f} s: {self.viewers:,} viewers",
            f"{stock.sold:,} sold, {stock.held:,} held, {stock.available:,} available"
            if stock
            else "no drop yet",
            f"reserve p50 {p50:.1f} ms, p99 {p99:.1f} ms" if self.reserve.count else "no reservation yet",
            f"{self.refusals:,} refused, {self.failures:,} failed",
        ]
        return "; ".join(parts)


def look_at(folder: Path, plan: Plan, seconds: float, stock: Stock | None) -> Progress | None:
    """Return how the run in a folder goes; None where no process says so: none has begun, or all have ended."""
    live = merge.live_in(folder)
    if not live:
        return None
    return Progress(
        plan=plan,
        seconds=seconds,
        viewers=sum(one.viewers for one in live),
        reserve=merge.together(one.latencies for one in live).get("reserve", Distribution()),
        refusals=sum(sum(codes.values()) for one in live for codes in one.refusals.values()),
        failures=sum(failure.occurrences for one in live for failure in one.failures),
        stock=stock,
    )
