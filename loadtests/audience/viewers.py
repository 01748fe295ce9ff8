"""The four kinds of viewers and what each does from the beginning of a run to its end.

Every journey is a coroutine that ends by itself, at the latest a few seconds after the plan's; what it decides it
takes from the viewer's intents.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from loadtests import habits
from loadtests.audience.intents import BUYER, HOARDER, LURKER, Fate, intents
from loadtests.audience.presence import GIVE_UP_SECONDS
from loadtests.audience.shopper import Outcome, Shopper
from loadtests.habits import drawn
from server.errors import Code

if TYPE_CHECKING:
    from loadtests.audience.intents import Away, Wish
    from loadtests.audience.venue import Venue
    from loadtests.audience.watch import SeenDrop
    from loadtests.plan import Sale
    from loadtests.seen import Take

AHEAD_SECONDS = 0.5  # before a countdown begins a buyer looks up
CLOSING_SECONDS = 1.0  # after a sale's planned end its drop may still be open
WRONG_MOMENTS = 4  # refusals because a drop is paused or not open yet, per sale


class Lurker(Shopper):
    """Comes when the plan says, applauds now and then, is cut off and returns; buys nothing."""

    kind_name = LURKER

    def __init__(self, venue: Venue, number: int) -> None:
        super().__init__(venue, number, self.kind_name)
        self.intents = intents(venue.plan, number)
        self.narrow = self.intents.slow

    async def live(self) -> None:
        """Do everything that this viewer does in a run."""
        if not await self.arrive():
            return
        self.begin(self.between())
        if self.narrow:
            self.begin(self.read_slowly())

    async def arrive(self) -> bool:
        """Come at the planned moment; False where that is not to be."""
        self.token = self.token or await self.venue.token(self.name)
        at = max(self.venue.began + self.intents.arrives, time.monotonic())
        await self.venue.until(at)
        return await self.come(at)

    async def between(self) -> None:
        """Applaud, and be away, each at its time."""
        acts: list[tuple[float, Away | None]] = [(at, None) for at in self.intents.cheers]
        acts += [(away.at, away) for away in self.intents.away]
        for at, away in sorted(acts, key=lambda act: act[0]):
            await self.venue.until(self.venue.began + at)
            if not self.here:
                continue
            if away is None:
                await self.cheer()
            elif self.venue.elapsed() < away.back:
                await self.go_away(away)

    async def cheer(self) -> None:
        """React, and look whether the server still answers."""
        self.tell({"type": "react", "kind": "heart", "count": 1})
        await self.ask({"type": "ping"})

    async def go_away(self, away: Away) -> None:
        """Lose the connection, or leave, and come back when it is time."""
        if away.cut:
            self.cut()
        else:
            self.leave()
        back = self.venue.began + away.back
        await self.venue.until(back)
        await self.come(back)

    async def read_slowly(self) -> None:
        """Take a little, then nothing, until the run's end."""
        while self.venue.elapsed() < self.venue.plan.seconds:
            await asyncio.sleep(drawn(self.random, habits.READS))
            line = self.line if self.here else None
            if line is not None:
                line.pause()
                await asyncio.sleep(drawn(self.random, habits.STARES))
                line.resume()


class Chaser(Lurker, ABC):
    """Somebody who wants things: looks at each sale of the plan that they wish for."""

    async def live(self) -> None:
        """Do everything that this viewer does in a run."""
        await super().live()
        if not self.here:
            return
        venue = self.venue
        for number, (sale, wish) in enumerate(zip(venue.plan.sales, self.intents.wishes, strict=True)):
            if wish.wants:
                await venue.until(venue.began + sale.at - sale.countdown_ms / 1000 - AHEAD_SECONDS)
                self.begin(self.chase(number, sale, wish))

    @abstractmethod
    async def chase(self, number: int, sale: Sale, wish: Wish) -> None:
        """Do what this viewer does about one sale."""

    def stands(self, number: int) -> SeenDrop | None:
        """Return what this viewer has seen of the drop of a sale, or None where it has not been announced."""
        drop = self.venue.drops.get(number)
        return self.watch.drops.get(drop) if drop is not None else None

    def announced(self, number: int) -> bool:
        """Whether the drop of a sale is counted down or open, as far as this viewer knows."""
        seen = self.stands(number)
        return seen is not None and seen.status in {"countdown", "open"}

    def offers(self, number: int, units: int = 0) -> bool:
        """Whether the drop of a sale is open and has so many units, as far as this viewer knows."""
        seen = self.stands(number)
        return seen is not None and seen.status == "open" and seen.available >= units

    def until_of(self, sale: Sale) -> float:
        """Return the monotonic moment at which nobody waits for a sale any more."""
        run = self.venue.plan.seconds
        return self.venue.began + min(run, sale.at + sale.seconds + CLOSING_SECONDS)

    def tap_of(self, drop: str, after: float) -> float:
        """Return the intended moment of a tap so many seconds after a drop's opening."""
        opened = self.venue.opened_at.get(drop)
        return time.monotonic() if opened is None else self.venue.local(opened) + after

    async def ready(self, tap: float) -> float:
        """Wait for the moment of a tap and return it; who is away then means to tap when they are back.

        Who was thrown out by the server is not away: that they have to wait is a part of what is measured.
        """
        await self.venue.until(tap)
        if self.away:
            await self.wait(lambda: self.here, time.monotonic() + GIVE_UP_SECONDS)
        return max(tap, self.present_since)


class Buyer(Chaser):
    """Taps when a drop opens, takes, and pays, gives back or lets lapse; tries again when units are back."""

    kind_name = BUYER

    async def chase(self, number: int, sale: Sale, wish: Wish) -> None:
        """Want units of one sale until they have some, have lost patience, or it is over."""
        closing = self.until_of(sale)
        if wish.early and await self.wait(partial(self.announced, number), closing):
            outcome = await self.tap(self.venue.drops[number], wish, time.monotonic())
            if outcome.take is not None:
                return
        if not await self.wait(partial(self.offers, number), closing):
            return
        drop = self.venue.drops[number]
        tap = self.tap_of(drop, wish.tap)
        pauses, wrong_moments = list(wish.hesitations), 0
        if wish.greedy:
            tap = await self.ready(tap)
            await self.ask_too_much(drop)
        while True:
            tap = await self.ready(tap)
            outcome = await self.tap(drop, wish, tap)
            if outcome.code == Code.OUT_OF_STOCK and pauses:
                units, pause = wish.quantity, pauses.pop(0)
            elif outcome.code == Code.DROP_NOT_OPEN and wrong_moments < WRONG_MOMENTS:
                units, pause, wrong_moments = 0, 0.0, wrong_moments + 1
            else:
                return
            if not await self.wait(partial(self.offers, number, units), closing):
                return
            tap = time.monotonic() + pause

    async def tap(self, drop: str, wish: Wish, intended: float) -> Outcome:
        """Try to take; where it succeeds, what becomes of the units goes on beside."""
        operation = self.operation()
        outcome = await self.reserve(
            drop, wish.quantity, intended, operation=operation, through_http=wish.through_http
        )
        if outcome.take is not None:
            if wish.repeats:
                await self.reserve(
                    drop,
                    wish.quantity,
                    intended,
                    operation=operation,
                    again=True,
                    through_http=wish.through_http,
                )
            self.begin(self.settle(outcome.take, wish, intended))
        return outcome

    async def ask_too_much(self, drop: str) -> None:
        """Ask for one unit more than the limit: that must be refused."""
        quantity = self.venue.terms[drop].limit_per_viewer + 1
        outcome = await self.reserve(drop, quantity, time.monotonic())
        if outcome.take is not None:
            await self.release(outcome.take, time.monotonic())

    async def settle(self, take: Take, wish: Wish, tapped: float) -> None:
        """Do with units what this viewer does with them."""
        if wish.fate is Fate.LAPSED:
            await self.let_lapse(take)
            return
        decided = time.monotonic() + wish.thinking
        await self.venue.until(decided)
        if wish.fate is Fate.RELEASED:
            await self.release(take, decided)
        else:
            await self.pay(take, tapped, decided, declined_first=wish.declined_first, twice=wish.pays_twice)


class Hoarder(Chaser):
    """Takes the limit at once, lets it lapse, and takes it again, for as long as the drop is open."""

    kind_name = HOARDER

    async def chase(self, number: int, sale: Sale, wish: Wish) -> None:
        """Hoard units of one sale until it is over."""
        closing = self.until_of(sale)
        if not await self.wait(partial(self.offers, number), closing):
            return
        drop = self.venue.drops[number]
        tap, limit = self.tap_of(drop, wish.tap * habits.HASTE), self.venue.terms[drop].limit_per_viewer
        wanted = limit
        while True:
            tap = await self.ready(tap)
            outcome = await self.reserve(drop, wanted, tap)
            if outcome.take is not None:
                await self.let_lapse(outcome.take)
                wanted = limit
            elif outcome.code == Code.DROP_CLOSED:
                return
            else:
                wanted = min(limit, max(1, outcome.available))
            tap = time.monotonic() + drawn(self.random, habits.RESTS)
            await self.venue.until(tap)
            if self.offers(number, 1):
                continue
            if not await self.wait(partial(self.offers, number, 1), closing):
                return
            tap = (
                time.monotonic()
            )  # nobody taps at what is not there: until now it was the stock that was awaited
