"""What a viewer means to do in a run, out of its seed and their number alone: no clock, no sockets, no state.

All of it is drawn before anything happens, so it does not depend on what happens: the same plan and number mean the
same on a fast server and on a slow one, in one process and in many.
"""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from loadtests import habits
from loadtests.habits import chance, drawn

if TYPE_CHECKING:
    from loadtests.plan import Mix, Plan, Sale

BUYER, HOARDER, BOT, LURKER = "buyer", "hoarder", "bot", "lurker"
THOUSAND = 1000
STRIDE = 619  # without a common factor with 1000: any run of numbers has nearly its share of every kind


class Fate(Enum):
    """What becomes of a reservation."""

    PAID = "paid"
    RELEASED = "released"
    LAPSED = "lapsed"


class Wish(NamedTuple):
    """What a viewer means to do about one sale."""

    wants: bool
    early: bool  # taps while the countdown runs, too
    tap: float  # seconds after the opening
    quantity: int
    greedy: bool  # asks for one more than the limit, first
    through_http: bool
    repeats: bool  # repeats the reservation
    fate: Fate
    thinking: float  # seconds between having and paying or giving back
    declined_first: bool
    pays_twice: bool  # repeats the checkout
    hesitations: tuple[float, ...]  # seconds before the second tap and the next ones


class Away(NamedTuple):
    """A time without a connection: seconds since the run's begin, and how it begins: cut off, or with a goodbye."""

    at: float
    back: float
    cut: bool


class Intents(NamedTuple):
    """Everything that a viewer means to do in a run; times in seconds since its begin."""

    arrives: float
    slow: bool
    wishes: tuple[Wish, ...]  # one for each sale of the plan
    cheers: tuple[float, ...]
    away: tuple[Away, ...]


def kind_of(mix: Mix, number: int) -> str:
    """Return what kind of viewer a number is: of any thousand in a row exactly as many as the mix has."""
    turn = number * STRIDE % THOUSAND
    for kind, count in ((BUYER, mix.buyers), (HOARDER, mix.hoarders), (BOT, mix.bots)):
        if turn < count:
            return kind
        turn -= count
    return LURKER


def intents(plan: Plan, number: int) -> Intents:
    """Return what viewer `number` means to do."""
    random = Random(f"{plan.seed}/{number}")
    slow = chance(random, plan.slow)
    arrives = plan.arrival_seconds * number / max(1, plan.viewers)
    cuts = [_cut_off(random, cut.at, cut.share, cut.back_seconds) for cut in plan.cuts]
    times = Random(f"{plan.seed}/{number}/between")
    cheers = _moments(times, habits.CHEERS_EVERY, arrives, plan.seconds)
    breaks = [
        Away(at, at + drawn(times, habits.AWAY), cut=False)
        for at in _moments(times, habits.COMES_BACK_EVERY, arrives, plan.seconds)
    ]
    away: list[Away] = []
    for one in sorted([*(cut for cut in cuts if cut is not None), *breaks]):
        if one.at > arrives and (not away or one.at > away[-1].back):
            away.append(one)
    wishes = tuple(wish(random, sale) for sale in plan.sales)
    if not plan.pays:
        wishes = tuple(_kept(one) for one in wishes)
    return Intents(arrives, slow, wishes, tuple(cheers), tuple(away))


def wish(random: Random, sale: Sale) -> Wish:
    """Draw what a buyer means to do about a sale; it always takes as many draws."""
    spread, limit = sale.spread_ms / 1000, sale.limit_per_viewer
    wants, early = chance(random, sale.wanting), chance(random, habits.TOO_EARLY)
    tap, two = random.uniform(0, spread), chance(random, habits.ASKS_FOR_TWO)
    greedy, http = chance(random, habits.ASKS_TOO_MUCH), chance(random, habits.THROUGH_HTTP)
    repeats, end = chance(random, habits.REPEATS), random.random()
    if end < habits.LETS_LAPSE:
        fate = Fate.LAPSED
    else:
        fate = Fate.RELEASED if end < habits.LETS_LAPSE + habits.RELEASES else Fate.PAID
    return Wish(
        wants=wants,
        early=early,
        tap=tap,
        quantity=min(2 if two else 1, limit),
        greedy=greedy,
        through_http=http,
        repeats=repeats,
        fate=fate,
        thinking=drawn(random, habits.THINKING),
        declined_first=chance(random, habits.DECLINED_FIRST),
        pays_twice=chance(random, habits.REPEATS),
        hesitations=tuple(drawn(random, habits.HESITATION) for _ in range(habits.TRIES_PER_DROP - 1)),
    )


def _kept(meant: Wish) -> Wish:
    """Return a wish in which units that would be paid are kept until they lapse."""
    return meant._replace(fate=Fate.LAPSED) if meant.fate is Fate.PAID else meant


def _cut_off(random: Random, at: float, share: float, back_seconds: float) -> Away | None:
    """Draw whether a cut meets this viewer and when they are back; it always takes as many draws."""
    met, back = chance(random, share), at + random.uniform(0, back_seconds)
    return Away(at, back, cut=True) if met else None


def _moments(random: Random, every: float, since: float, until: float) -> list[float]:
    """Draw moments between two, `every` so many seconds on average."""
    moments = []
    at = since + random.expovariate(1 / every)
    while at < until:
        moments.append(at)
        at += random.expovariate(1 / every)
    return moments
