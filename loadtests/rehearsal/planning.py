"""From a show and a number of viewers to the plan of its rehearsal: the same drops one after the other, in minutes.

What takes long is shortened, and `facts` and `words` know of it: the countdown, the wait between two drops, and for how
long units are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests.plan import Mix, Plan, Sale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.rehearsal.copying import Original, View

ARRIVALS_PER_SECOND = 250.0
ARRIVE_AT_LEAST = 2.0
QUIET = 2.0  # s from the last arrival to the first drop
COUNTDOWN_MS = 1000
HOLD_MOST = 8  # s that units are held in a rehearsal
AFTER_HOLD = 2.0  # s of a sale for what came back
BETWEEN = 2.0  # s from one drop to the next
THOUSAND = 1000


class Crowd(Struct, frozen=True, kw_only=True):
    """An audience: so many viewers, of whom a share wants each drop and taps within so many seconds of its opening."""

    viewers: int
    wanting: float = 0.5
    within: float = 10.0
    seed: int = 1


def holds(original: Original, crowd: Crowd, *, pays: bool) -> list[int]:
    """Return for how many seconds the rehearsal holds units of each drop.

    Where nobody pays, they are held until the sale is over: what would be sold must not come back.
    """
    short = [min(drop["hold_seconds"], HOLD_MOST) for drop in original.rehearsed]
    return short if pays else [round(_sale_seconds(crowd, hold)) + 1 for hold in short]


def planned(
    original: Original, drops: Sequence[str], held: Sequence[int], crowd: Crowd, *, pays: bool
) -> Plan:
    """Return the plan: `drops` are the copies' ids, `held` for how long their units are held."""
    arrival = max(ARRIVE_AT_LEAST, crowd.viewers / ARRIVALS_PER_SECOND)
    at, sales = arrival + QUIET, []
    for drop, copy, hold in zip(original.rehearsed, drops, held, strict=True):
        seconds = _sale_seconds(crowd, min(hold, HOLD_MOST))
        sales.append(
            Sale(
                at=at,
                seconds=seconds,
                quantity=drop["quantity"],
                restock=waves(drop),
                limit_per_viewer=drop["limit_per_viewer"],
                hold_seconds=hold,
                countdown_ms=COUNTDOWN_MS,
                spread_ms=round(THOUSAND * crowd.within),
                wanting=crowd.wanting,
                drop=copy,
            )
        )
        at += seconds + BETWEEN + COUNTDOWN_MS / THOUSAND
    return Plan(
        shape="rehearsal",
        seed=crowd.seed,
        viewers=crowd.viewers,
        seconds=max(sale.at + sale.seconds + sale.hold_seconds for sale in sales) + 1.0,
        arrival_seconds=arrival,
        mix=Mix(),
        sales=tuple(sales),
        pays=pays,
    )


def waves(drop: View) -> int:
    """Return the units that a drop still has to come in waves."""
    return sum(wave["quantity"] for wave in drop.get("waves", ()) if "released_at" not in wave)


def _sale_seconds(crowd: Crowd, hold: float) -> float:
    return crowd.within + hold + AFTER_HOLD
