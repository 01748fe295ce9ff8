"""Runs that tell costs apart: a crowd that only comes, one that watches, one that taps, one that pays.

In the steps of a search all of them grow together, and no arithmetic could say which of them the CPU went to. Each of
these has much of one thing.
"""

from __future__ import annotations

from loadtests.plan import Mix, Plan, Sale

ARRIVALS_PER_SECOND = 250.0
QUIET = 2.0  # s from the last arrival to the first sale
SELLING = 4.0  # s
HOLD_SECONDS = 3
LAPSE = HOLD_SECONDS + 1.0  # s for what was taken last
RUSHES = 5  # in which everybody taps once more
COMING, WATCHING, TAPPING, PAYING = (
    f"capacity: {kind}" for kind in ("coming", "watching", "tapping", "paying")
)
NOBODY, FEW, ALL = Mix(buyers=0), Mix(buyers=50), Mix(buyers=1000)


def plans(viewers: int, seed: int) -> list[Plan]:
    """Return one plan for each kind of work, of so many viewers."""
    arrival = max(2.0, viewers / ARRIVALS_PER_SECOND)
    begin = arrival + QUIET
    rush = SELLING / RUSHES

    def plan(name: str, mix: Mix, *sales: Sale) -> Plan:
        return Plan(
            shape=name,
            seed=seed,
            viewers=viewers,
            seconds=begin + SELLING + LAPSE,
            arrival_seconds=arrival,
            mix=mix,
            sales=sales,
        )

    def sale(units: int, at: float, seconds: float) -> Sale:
        return Sale(
            at=at,
            seconds=seconds,
            quantity=max(1, units),
            hold_seconds=HOLD_SECONDS,
            countdown_ms=200,
            spread_ms=round(750 * seconds),
        )

    rushes = (sale(viewers // 50, begin + n * rush, rush) for n in range(RUSHES))
    return [
        plan(COMING, NOBODY),
        plan(WATCHING, FEW, sale(viewers, begin, SELLING)),
        plan(TAPPING, ALL, *rushes),
        plan(PAYING, ALL, sale(2 * viewers, begin, SELLING)),
    ]


def of_gateways(viewers: int, seed: int) -> list[Plan]:
    """Return the plans that tell, on servers of different size, what each gateway costs by itself."""
    return [plan for plan in plans(viewers, seed) if plan.shape in {WATCHING, PAYING}]
