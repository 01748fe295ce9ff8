"""What a viewer causes per second, read off a run and its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from loadtests.capacity.model import Work
    from loadtests.plan import Plan, Sale

ARRIVAL_SECONDS = 300.0  # within which everybody comes, where nothing else is said
# What everybody is sent while a drop sells: its stock at most every 100 ms, the audience, the log's own events.
RUSH_PUBLISHES = 12.0
THOUSAND = 1000


class Rates(Struct, frozen=True, kw_only=True):
    """Per viewer and second, at the busiest second of an evening; `publishes` are messages to everybody of a show.

    `mean_publishes` is what goes out on the average of a whole evening.
    """

    joins: float = 1 / ARRIVAL_SECONDS
    commands: float
    orders: float
    publishes: float = RUSH_PUBLISHES
    mean_publishes: float


def rates_of(plan: Plan, work: Work) -> Rates:
    """Return a run's rates: the taps of its most crowded sale, its orders spread over the hold, its own messages.

    Where the plan has no sale, a recording's say, the run's mean stands for its busiest second.
    """
    commands = max((_taps(plan, sale) for sale in plan.sales), default=0.0)
    commands = commands or work.commands / work.viewers / work.seconds
    hold = min((sale.hold_seconds for sale in plan.sales), default=work.seconds)
    orders = work.orders / max(1, len(plan.sales)) / work.viewers / hold
    mean = work.publishes / work.seconds
    return Rates(commands=commands, orders=orders, publishes=max(mean, RUSH_PUBLISHES), mean_publishes=mean)


def _taps(plan: Plan, sale: Sale) -> float:
    """Return how many of all viewers tap in a second of a sale's rush."""
    return plan.mix.buyers / THOUSAND * sale.wanting / max(1.0, sale.spread_ms / 1000)
