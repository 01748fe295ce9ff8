"""What a rehearsal showed of each drop, counted from what every viewer remembers. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from loadtests.rehearsal.planning import waves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadtests.rehearsal.copying import View
    from loadtests.run import Opening, Run
    from loadtests.seen import Account, Take

TAIL = 0.99
SIGMAS = 2.0  # of chance, on both sides of what was seen
KEPT = ("paid", "held", "unknown")
NOT_SERVED = frozenset({"out-of-stock", "drop-closed"})


class SellOut(Struct, frozen=True):
    """Seconds from the opening until nothing was left; with another evening's chance from when to when (inf: never)."""

    at: float
    earliest: float
    latest: float


class Facts(Struct, frozen=True, kw_only=True):
    """A drop as it is planned, and what became of its copy."""

    title: str
    quantity: int
    waves: int  # units that come later
    limit: int
    hold_seconds: int  # as planned
    waitlist: bool
    opens_at: int | None  # Unix ms; None: the host opens it by hand
    wanted: int  # viewers who tapped
    served: int  # viewers who got something for good
    units: int  # that these got
    beyond_first: int  # of them, units that were somebody's second or later
    lapsed: int  # units that were kept and not paid
    released: int  # units that were given back
    each: float  # units that somebody asked for, on average
    gone_early: int  # units that were taken before the last viewer had seen the opening
    sell_out: SellOut | None
    seen_ms: float  # p99 of the opening's way to the viewers
    skew_ms: float

    @property
    def missed(self) -> int:
        """Viewers who wanted it and did not get it."""
        return self.wanted - self.served

    @property
    def wanting(self) -> int:
        """Units that would serve those who missed it, about."""
        return math.ceil(self.missed * self.each)


class Rehearsed(Struct, frozen=True, kw_only=True):
    """A whole rehearsal; `paid` says whether its buyers paid, in the sandbox."""

    viewers: int
    within: float  # seconds in which everybody tapped who wanted it
    wanting: float
    paid: bool
    reply_ms: float  # p99 of a reservation
    drops: list[Facts]


def rehearsed(
    run: Run, accounts: Iterable[Account], planned: Sequence[View], opened: Mapping[str, float]
) -> Rehearsed:
    """Return the facts of a run whose sales are the copies of the drops as they are planned, in that order.

    `opened`: when each copy opened, Unix seconds of the server's clock.
    """
    takes: dict[str, list[tuple[str, Take]]] = defaultdict(list)
    asked: dict[str, dict[str, float]] = defaultdict(dict)
    for account in accounts:
        for take in account.takes:
            takes[take.drop].append((account.viewer, take))
        moments = [(take.drop, take.asked_at) for take in account.takes]
        moments += [(each.drop, each.asked_at) for each in account.refused if each.code in NOT_SERVED]
        for drop, at in moments:
            asked[drop][account.viewer] = min(at, asked[drop].get(account.viewer, math.inf))
    openings = {opening.drop: opening for opening in run.openings}
    reserve = run.latencies.get("reserve")
    return Rehearsed(
        viewers=run.plan.viewers,
        within=max((sale.spread_ms / 1000 for sale in run.plan.sales), default=0.0),
        wanting=max((sale.wanting for sale in run.plan.sales), default=0.0),
        paid=run.plan.pays,
        reply_ms=1000 * reserve.quantile(TAIL) if reserve else 0.0,
        drops=[
            _facts(
                view, _Told(takes[name], asked[name], opened[name], openings.get(name)), pays=run.plan.pays
            )
            for name, view in zip((sale.drop for sale in run.plan.sales), planned, strict=True)
            if name in opened
        ],
    )


class _Told(NamedTuple):
    """What viewers remember of a drop: what they took, when each asked first, when it opened, how that reached them."""

    takes: list[tuple[str, Take]]
    asked: dict[str, float]
    opened: float
    opening: Opening | None


def _facts(view: View, told: _Told, *, pays: bool) -> Facts:
    takes, asked, opened, opening = told
    kept = [(viewer, take) for viewer, take in takes if take.held_at and _for_good(take, pays=pays)]
    last_saw = opening.delays.most if opening else 0.0
    return Facts(
        title=view["title"],
        quantity=view["quantity"],
        waves=waves(view),
        limit=view["limit_per_viewer"],
        hold_seconds=view["hold_seconds"],
        waitlist=view["waitlist"],
        opens_at=view.get("opens_at"),
        wanted=len(asked),
        served=len({viewer for viewer, _ in kept}),
        units=sum(take.quantity for _, take in kept),
        beyond_first=sum(take.quantity for _, take in kept) - len({viewer for viewer, _ in kept}),
        lapsed=sum(take.quantity for _, take in takes if take.end == "expired" and pays),
        released=sum(take.quantity for _, take in takes if take.end == "released"),
        each=sum(take.quantity for _, take in takes) / len(takes) if takes else 1.0,
        gone_early=sum(take.quantity for _, take in takes if 0 < take.held_at < opened + last_saw),
        sell_out=sold_out([take for _, take in takes], sorted(asked.values()), view["quantity"], opened),
        seen_ms=1000 * opening.delays.quantile(TAIL) if opening else 0.0,
        skew_ms=1000 * opening.skew if opening else 0.0,
    )


def sold_out(takes: Sequence[Take], asked: Sequence[float], quantity: int, opened: float) -> SellOut | None:
    """Return when all units were out of reach for the first time; None where they never were.

    Another evening's chance: so many would have been asked for sooner or later as a count of as many differs, and the
    same time between asking and the last unit's going.
    """
    moves = sorted(
        [(take.held_at, take.quantity) for take in takes if take.held_at]
        + [(take.gone_at, -take.quantity) for take in takes if take.held_at and take.gone_at],
    )
    out = 0
    for at, units in moves:
        out += units
        if out >= quantity:
            return _by_chance(at - opened, [moment - opened for moment in asked], takes, quantity)
    return None


def _by_chance(at: float, asked: Sequence[float], takes: Sequence[Take], quantity: int) -> SellOut:
    each = sum(take.quantity for take in takes) / len(takes)
    askers = quantity / each
    spread = SIGMAS * math.sqrt(askers)

    def reached(number: float) -> float:
        place = math.ceil(number)
        if place > len(asked):
            return math.inf
        return asked[max(0, place - 1)]

    usual = reached(min(askers, len(asked)))
    return SellOut(at, max(0.0, at + reached(askers - spread) - usual), at + reached(askers + spread) - usual)


def _for_good(take: Take, *, pays: bool) -> bool:
    """Whether units stayed with who took them: paid, or kept until the end where nobody pays."""
    return take.end == "paid" or (not pays and take.end in (*KEPT, "expired"))
