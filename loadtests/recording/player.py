"""A viewer of a recording, played: they come, go and ask at their times, whatever the server makes of it.

Nothing waits for an answer but what cannot be said without it: what was never taken cannot be given back or paid, and
is not. Measures, accounts and the promises that are held against every answer are those of any other viewer.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from loadtests.audience.intents import BUYER
from loadtests.audience.measures import CHECKOUT, RELEASE, RESERVE
from loadtests.audience.shopper import BAD_CARD, GOOD_CARD
from loadtests.recording.offer import Offer
from loadtests.recording.replay import recorded
from loadtests.recording.spending import WAITLIST, Spender
from server.errors import Code
from server.shows.tape import Bundle, Checkout, Join, Leave, React, Release, Reserve, Unwait, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue
    from loadtests.audience.wire import Told
    from loadtests.recording.script import Step
    from loadtests.seen import Take
    from server.shows.tape import Act

GOODBYES = frozenset({1000, 1001, 1005})  # close codes of who leaves; all others are lost connections
PATIENCE_SECONDS = 5.0  # for what is to be given back or paid, and is not had yet


@lru_cache(maxsize=1)
def parts(path: str, speed: float, seed: int) -> dict[int, list[Step]]:
    """Return a recording's script by viewer, made once in a process."""
    found: dict[int, list[Step]] = {}
    for step in recorded(path).script(speed, seed):
        found.setdefault(step.viewer, []).append(step)
    return found


class Player(Spender):
    """The viewer of a number of the plan's recording."""

    def __init__(self, venue: Venue, number: int) -> None:
        super().__init__(venue, number)
        plan = venue.plan
        self._steps = parts(plan.recording, plan.speed, plan.seed).get(number, [])
        self._offer = Offer.at(venue)
        self._door = asyncio.Lock()  # they come and go one after the other
        self._had: dict[int, asyncio.Future[Take | None]] = {}  # by take of the recording
        self._asked_for: set[int] = set()
        self._hopes: dict[str, int] = {}  # drop -> the take that its queue may bring
        self._used = {take for step in self._steps for take in _used(step.act)}
        if any(isinstance(step.act, Reserve | Bundle | Wait | Checkout) for step in self._steps):
            self.kind = self.account.kind = BUYER

    async def live(self) -> None:
        """Do everything that was recorded of this viewer, each at its time."""
        self.token = await self.venue.token(self.name)
        for step in self._steps:
            intended = self.venue.began + step.at
            await self.venue.until(intended)
            self._do(step.act, intended)

    def hear(self, told: Told) -> None:
        """Hear of units that a queue has brought, also while they were away."""
        if told.kind == "waitlist.promoted":
            self._brought(told.message["reservation"])
        elif told.kind == "welcome":
            for reservation in told.message.get("reservations", ()):
                self._brought(reservation)
        super().hear(told)

    def _do(self, act: Act | React, intended: float) -> None:
        """Begin an act; what comes of it goes on beside the next ones."""
        match act:
            case Join():
                self.begin(self._come(intended))
            case Leave():
                self.begin(self._go(goodbye=act.code in GOODBYES))
            case React():
                self.tell({"type": "react", "kind": "heart", "count": act.reactions})
            case Reserve():
                self.begin(self._taking([act.take], self._reserve(act, intended)))
            case Bundle():
                takes = [take for take, _, _ in act.items]
                self.begin(self._taking(takes, self._bundle(act, intended)))
            case Wait():
                self.begin(self._wait_for(act))
            case Unwait():
                self.begin(self._wait_no_longer(act))
            case Release():
                self.begin(self._give_back(act, intended))
            case Checkout():
                self.begin(self._pay(act, intended))

    # Coming and going.

    async def _come(self, intended: float) -> None:
        async with self._door:
            self.cut()  # who comes has lost the connection before, if there was one
            await self.come(intended)

    async def _go(self, *, goodbye: bool) -> None:
        async with self._door:
            if goodbye:
                self.leave()
            else:
                self.cut()

    # Taking.

    async def _taking(self, takes: Sequence[int], doing: Awaitable[Sequence[Take | None]]) -> None:
        """Let those who want to use takes know what came of them, whatever did."""
        for take in takes:
            first = self._had.setdefault(take, asyncio.get_running_loop().create_future())
            if take in self._asked_for and not first.done():
                await asyncio.wait([first])  # the same under one id: one after the other
        self._asked_for.update(takes)
        got: Sequence[Take | None] = ()
        try:
            got = await doing
        finally:
            for turn, take in enumerate(takes):
                self._have(take, got[turn] if turn < len(got) else None)

    def _have(self, number: int, take: Take | None) -> None:
        """Have what a take has brought, or nothing; a repeat may bring what its first attempt did not."""
        had = self._had.get(number)
        if had is None or had.done():
            had = self._had[number] = asyncio.get_running_loop().create_future()
        had.set_result(take)
        if take is not None and take.end == "held" and number not in self._used:
            self.begin(self.let_lapse(take))

    async def _reserve(self, act: Reserve, intended: float) -> Sequence[Take | None]:
        """Take units; the same take once more is a repeat, which must meet its first result."""
        drop = await self._offer.drop(act.drop)
        if drop is None:
            self.unplayed(RESERVE)
            return ()
        operation = self._operation(act.take)
        if act.part:
            self._hopes[drop] = act.take
            return (await self.take_part(drop, act.quantity, operation, intended),)
        again = any(take.operation == operation for take in self.account.takes)
        outcome = await self.reserve(drop, act.quantity, intended, operation=operation, again=again)
        return (outcome.take,)

    async def _bundle(self, act: Bundle, intended: float) -> Sequence[Take | None]:
        """Take units of several drops, all or none."""
        drops = [await self._offer.drop(drop) for _, drop, _ in act.items]
        wanted = [(drop, units) for drop, (_, _, units) in zip(drops, act.items, strict=True) if drop]
        if len(wanted) < len(drops):
            self.unplayed(RESERVE)
            return ()
        return await self.take_bundle(wanted, self._operation(act.items[0][0]), intended)

    async def _wait_for(self, act: Wait) -> None:
        """Queue; what that brings comes later, or never."""
        self._had.setdefault(act.take, asyncio.get_running_loop().create_future())
        drop = await self._offer.drop(act.drop)
        if drop is None:
            self.unplayed(WAITLIST)
            return
        self._hopes[drop] = act.take
        await self.queue({"type": "waitlist.join", "drop": drop, "quantity": act.quantity})

    async def _wait_no_longer(self, act: Unwait) -> None:
        drop = await self._offer.drop(act.drop)
        if drop is None:
            self.unplayed(WAITLIST)
        else:
            await self.queue({"type": "waitlist.leave", "drop": drop})

    def _brought(self, reservation: Message) -> None:
        """Have units that nobody was asked for just now: a queue has brought them."""
        number = self._hopes.get(reservation["drop"])
        if number is not None and reservation["id"] not in self.takes and reservation["state"] == "held":
            now = time.monotonic()
            self._have(number, self.noted(reservation, f"{self._operation(number)} {reservation['id']}", now))

    def _changed(self, reservation: Message) -> None:
        """Hear that the server has changed a reservation; one that a queue or a checkout has brought may be news."""
        self._brought(reservation)
        expected = reservation["drop"] in self._hopes or reservation["drop"] in self.claimed
        if reservation["id"] in self.takes or not expected:
            super()._changed(reservation)

    def _operation(self, take: int) -> str:
        return f"{self.number}-take-{take}"

    # Giving back and paying.

    async def _held(self, takes: Sequence[int]) -> list[Take]:
        """Return what is held of these takes, as soon as that is known."""
        futures = [self._had[take] for take in takes if take in self._had]
        if futures:
            await asyncio.wait(futures, timeout=PATIENCE_SECONDS)
        got = [future.result() for future in futures if future.done()]
        return [take for take in got if take is not None and take.end == "held"]

    async def _give_back(self, act: Release, intended: float) -> None:
        held = await self._held([act.take])
        if held:
            await self.release(held[0], intended)
        else:
            self.unplayed(RELEASE)

    async def _pay(self, act: Checkout, intended: float) -> None:
        """Pay what is held of it, with a card that is declined where the recorded one was."""
        held = await self._held(act.takes)
        items = [(await self._offer.drop(drop), units) for drop, units in act.items]
        wanted = [(drop, units) for drop, units in items if drop]
        if not held and not wanted:
            self.unplayed(CHECKOUT)
            return
        declined = act.end == Code.PAYMENT_DECLINED
        if len(held) == 1 and declined:
            await self.check_out(held[0], BAD_CARD, intended)
        elif len(held) == 1:
            tapped = self.venue.local(held[0].asked_at)
            await self.pay(held[0], tapped, intended, declined_first=False, twice=False)
        else:
            card = BAD_CARD if declined else GOOD_CARD
            await self.order(held, wanted, card, f"{self.number}-order-{act.at}", intended)


def _used(act: Act | React) -> tuple[int, ...]:
    """Return the takes that an act is about to use up."""
    if isinstance(act, Release):
        return (act.take,)
    return act.takes if isinstance(act, Checkout) and act.end != Code.PAYMENT_DECLINED else ()
