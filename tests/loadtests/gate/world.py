"""A small model of a show: what honest viewers and an honest server would write down, whatever happens when.

Nobody's clock is right: each viewer's is off by up to `error`, looks at the stock are late, and so are answers.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from loadtests.gate.books import Audit, AuditedDrop, Books, DropView, Event, Line, Order, Top
from loadtests.gate.case import Case, Samples
from loadtests.plan import Mix, Plan, Sale
from loadtests.run import Machine, Run
from loadtests.seen import Account, Refused, Take

if TYPE_CHECKING:
    from collections.abc import Callable

BEGAN = 1_700_000_000.0
OPENED, RESTOCKED, CLOSED, ENDED = 1.0, 6.0, 14.0, 24.0  # seconds of the run
EVERY = 0.5  # between two looks at the stock
SWEEP = 0.9  # by which what lapses may come back late
INTENTS = ("pay", "pay", "pay", "release", "lapse", "stay", "cut")
SURE = ("pay", "release", "lapse")
MACHINE = Machine(cpu="any", cores=2, memory=1, system="any", python="3.11", load_before=0.0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asks for once, and what they mean to do with it."""

    viewer: int
    drop: int
    at: float
    quantity: int
    intent: str
    think: float


@dataclass(frozen=True, slots=True)
class Terms:
    """A drop as it is planned."""

    quantity: int
    restock: int
    limit: int
    hold: int


@dataclass(slots=True)
class Stock:
    """A drop's numbers, what each viewer counts with, and how available and the others went."""

    terms: Terms
    available: int
    quantity: int
    held: int = 0
    sold: int = 0
    counted: dict[int, int] = field(default_factory=dict)
    history: list[tuple[float, int, int, int]] = field(default_factory=list)

    def move(self, at: float, available: int = 0, held: int = 0, sold: int = 0) -> None:
        """Change the numbers, and note them."""
        self.available, self.held, self.sold = self.available + available, self.held + held, self.sold + sold
        self.history.append((at, self.available, self.held, self.sold))

    def numbers(self, at: float) -> tuple[int, int, int]:
        """Return available, held and sold as they stood at a moment."""
        return next((row[1:] for row in reversed(self.history) if row[0] <= at), (self.terms.quantity, 0, 0))


def plays(*, busy: bool = False) -> st.SearchStrategy[Play]:
    """Give random shows: one or two drops, up to 50 wishes of 12 viewers.

    In `busy` ones somebody pays, gives back and lets lapse, and nobody is cut off before they know what became of it.
    """
    terms = st.builds(
        Terms, st.integers(3 if busy else 1, 6), st.integers(0, 3), st.integers(1, 3), st.integers(1, 4)
    )
    wishes = st.builds(
        Wish,
        st.integers(0, 11),
        st.integers(0, 1),
        st.floats(2.0 if busy else 0.0, 14.5),
        st.integers(1, 3),
        st.sampled_from(INTENTS[:-1] if busy else INTENTS),
        st.floats(0.0, 5.0),
    )
    sure = [Wish(viewer, 0, OPENED + 0.1, 1, intent, 0.3) for viewer, intent in enumerate(SURE)]
    return st.builds(
        lambda terms, wishes, seed, error: Play(terms, sure * busy + wishes, seed, error),
        st.lists(terms, min_size=1, max_size=2),
        st.lists(wishes, max_size=20) | st.lists(wishes, min_size=25, max_size=50),
        st.integers(0, 2**32),
        st.sampled_from((0.0, 0.02, 0.1)),
    )


class Play:
    """One show, played from its first event to its last book: `case` is what comes out."""

    def __init__(self, terms: list[Terms], wishes: list[Wish], seed: int, error: float) -> None:
        self._chance = Random(seed)  # noqa: S311  delays, no secrets
        self._error = error
        self._stocks = {
            f"dr_{number}": Stock(each, each.quantity, each.quantity) for number, each in enumerate(terms)
        }
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._accounts = [Account(viewer=f"viewer-{number}", kind="buyer") for number in range(12)]
        self._orders: list[Order] = []
        self._living: set[str] = set()  # reservations that are held
        for wish in wishes:
            self._at(wish.at + self._delay(), self._reserve_of(wish))
        for drop, stock in self._stocks.items():
            if stock.terms.restock:
                self._at(RESTOCKED, self._restock_of(drop))
        while self._due:
            self._now, _, act = heapq.heappop(self._due)
            act()

    @property
    def case(self) -> Case:
        """What the viewers and the server wrote down."""
        events = list(self._events())
        for account in self._accounts:
            account.epoch, account.offset = "ep_1", events[-1].offset
        sales = tuple(
            Sale(at=OPENED, seconds=CLOSED - OPENED, quantity=stock.quantity)
            for stock in self._stocks.values()
        )
        plan = Plan(
            shape="made up", seed=1, viewers=12, seconds=ENDED, arrival_seconds=0.5, mix=Mix(), sales=sales
        )
        run = Run(plan=plan, began_at="", machine=MACHINE, server="any", seconds=ENDED, messages=100)
        books = Books(
            drops={drop: self._view(drop, stock) for drop, stock in self._stocks.items()},
            orders=self._orders,
            audit=Audit(balanced=True, drops=[AuditedDrop(drop, []) for drop in self._stocks]),
            top=Top("ep_1", events[-1].offset),
            events=events,
            settled_at=BEGAN + ENDED + 9.0,
        )
        samples = {drop: self._samples(stock) for drop, stock in self._stocks.items()}
        return Case(
            run=run,
            accounts=self._accounts,
            books=books,
            samples=samples,
            began_at=BEGAN,
            error=self._error,
        )

    # What happens at the server, at `self._now`.

    def _reserve_of(self, wish: Wish) -> Callable[[], None]:
        return lambda: self._reserve(wish)

    def _restock_of(self, drop: str) -> Callable[[], None]:
        return lambda: self._restock(drop)

    def _reserve(self, wish: Wish) -> None:
        drop = f"dr_{min(wish.drop, len(self._stocks) - 1)}"
        stock, account = self._stocks[drop], self._accounts[wish.viewer]
        asked, answered = self._seen(wish.at), self._seen(self._now + self._delay())
        answered = max(asked, answered)
        code = self._refusal(stock, wish)
        if code:
            account.refused.append(Refused(drop, code, asked, answered, wish.quantity))
            return
        number = next(self._order)
        take = Take(
            reservation=f"rs_{number}",
            drop=drop,
            operation=f"op-{number}",
            quantity=wish.quantity,
            unit_price=100,
            asked_at=asked,
            held_at=answered,
            expires_at=BEGAN + self._now + stock.terms.hold,
        )
        account.takes.append(take)
        stock.counted[wish.viewer] = stock.counted.get(wish.viewer, 0) + wish.quantity
        stock.move(self._now, available=-wish.quantity, held=wish.quantity)
        self._living.add(take.reservation)
        self._at(
            self._now + stock.terms.hold + self._chance.random() * SWEEP, lambda: self._lapse(take, wish)
        )
        if wish.intent in {"pay", "cut", "release"}:
            sent = self._now + self._delay() + wish.think
            act = self._release if wish.intent == "release" else self._pay
            self._at(sent + self._delay(), lambda: act(take, wish, sent))

    def _refusal(self, stock: Stock, wish: Wish) -> str:
        if not OPENED <= self._now < CLOSED:
            return "drop-not-open"
        if stock.counted.get(wish.viewer, 0) + wish.quantity > stock.terms.limit:
            return "limit-reached"
        return "out-of-stock" if stock.available < wish.quantity else ""

    def _lapse(self, take: Take, wish: Wish) -> None:
        if take.reservation in self._living:
            self._give_back(take, wish)
            if wish.intent != "stay" and take.end == "held":
                take.end, take.gone_at = "expired", take.expires_at

    def _release(self, take: Take, wish: Wish, sent: float) -> None:
        if take.reservation in self._living:
            self._give_back(take, wish)
            take.end, take.gone_at = "released", min(self._seen(sent), take.expires_at)

    def _pay(self, take: Take, wish: Wish, _sent: float) -> None:
        if wish.intent == "cut":
            take.end = "unknown"
        if take.reservation not in self._living or BEGAN + self._now >= take.expires_at:
            return
        self._living.remove(take.reservation)
        order = f"or_{next(self._order)}"
        self._stocks[take.drop].move(self._now, held=-take.quantity, sold=take.quantity)
        self._orders.append(Order(order, "paid", [Line(take.drop, take.reservation, take.quantity)]))
        if wish.intent == "pay":
            take.end, take.order, take.orders = "paid", order, [order]

    def _give_back(self, take: Take, wish: Wish) -> None:
        self._living.remove(take.reservation)
        stock = self._stocks[take.drop]
        stock.counted[wish.viewer] -= take.quantity
        stock.move(self._now, available=take.quantity, held=-take.quantity)

    def _restock(self, drop: str) -> None:
        stock = self._stocks[drop]
        stock.quantity += stock.terms.restock
        stock.move(self._now, available=stock.terms.restock)

    # How it is written down.

    def _events(self) -> list[Event]:
        rows: list[tuple[float, str, str, int | None]] = [(0.0, "show.started", "", None)]
        for drop, stock in self._stocks.items():
            planned = stock.terms.quantity
            rows += [(0.1, "drop.scheduled", drop, planned), (OPENED, "drop.opened", drop, planned)]
            if stock.terms.restock:
                rows.append((RESTOCKED, "drop.restocked", drop, stock.quantity))
            rows.append((CLOSED, "drop.closed", drop, stock.quantity))
        rows.sort(key=lambda row: row[0])
        return [
            Event(place, BEGAN + at, kind, drop, quantity)
            for place, (at, kind, drop, quantity) in enumerate(rows, start=1)
        ]

    def _samples(self, stock: Stock) -> Samples:
        """Look at the stock twice a second; each look is answered some time after the numbers were read."""
        looks = [EVERY * place for place in range(int(ENDED / EVERY))]
        since = [-inf, *looks[:-1]]
        read = [
            self._chance.uniform(max(first, last - EVERY), last)
            for first, last in zip(since, looks, strict=True)
        ]
        available, held, sold = zip(*(stock.numbers(at) for at in read), strict=True)
        return Samples([BEGAN + at for at in since], [BEGAN + at for at in looks], available, held, sold)

    def _view(self, drop: str, stock: Stock) -> DropView:
        return DropView(
            id=drop,
            status="closed",
            mode="fifo",
            waitlist=False,
            quantity=stock.quantity,
            available=stock.available,
            held=stock.held,
            sold=stock.sold,
            limit_per_viewer=stock.terms.limit,
            hold_seconds=stock.terms.hold,
            opened_at=int((BEGAN + OPENED) * 1000),
            closed_at=int((BEGAN + CLOSED) * 1000),
        )

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), act))

    def _delay(self) -> float:
        return self._chance.random() * self._chance.choice((0.01, 0.3))

    def _seen(self, at: float) -> float:
        """Return a moment as a viewer's estimate of the server's clock has it."""
        return BEGAN + at + self._chance.uniform(-self._error, self._error)
