"""Buyers who do anything that buyers do, at any gateway, again and again under the same ids until they know."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.chaos.deeds import Deed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.chaos.deeds import Heard, Message
    from tests.chaos.lines import Lines
    from tests.chaos.world import World

PACE_SECONDS = 0.06  # at most, between two deeds
LAST_SECONDS = 6.0  # to learn what became of everything; a key that a dead gateway had in hand takes longer
CARDS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout_then_ok", "tok_capture_fails_once")


class Buyer:
    """One of them. `deeds` is everything that was asked for."""

    def __init__(self, world: World, number: int, lines: Lines) -> None:
        self.world = world
        self.name = f"buyer-{number}"
        self.lines = lines
        self.chance = world.plan.chance(self.name)
        self.deeds: list[Deed] = []
        self.forgotten: set[str] = set()  # ids that are never asked for again, known or not
        self._wishes: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (6, self.reserve),
            (3, self.reserve_in_part),
            (2, self.bundle),
            (6, self.release),
            (4, self.join),
            (1, self.leave),
            (4, self.pay),
            (2, self.pay_first),
            (3, self.repeat),
        ]

    async def live(self) -> None:
        """Do something again and again until the world ends, then learn what became of everything."""
        weights, wishes = zip(*self._wishes, strict=True)
        while not self.world.over:
            async with self.world.turn():
                asking = self.asking()
                if asking and self.chance.random() < 0.5:
                    await self.insist(self.chance.choice(asking))
                else:
                    await self.chance.choices(wishes, weights)[0]()
            await self.world.wait(self.chance.random() * PACE_SECONDS)
        await self.settle()

    async def settle(self) -> None:
        """Ask until everything is known that is not forgotten, or for long enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while asking := self.asking():
                    for deed in asking:
                        await self.ask(deed)
                    await asyncio.sleep(PACE_SECONDS)
        self.world.outcome.deeds["never known"] += len(self.asking())
        await self.lines.leave()

    # -- asking

    def asking(self) -> list[Deed]:
        """Return what is asked for again until it is known."""
        return [deed for deed in self.deeds if deed.open and deed.name not in self.forgotten]

    async def do(self, kind: str, message: Message, path: str = "", body: Message | None = None) -> Heard:
        """Ask for something new."""
        deed = Deed(kind, f"{self.name}-{len(self.deeds)}", message, path, body or {})
        self.deeds.append(deed)
        if self.chance.random() < 0.03:
            self.forgotten.add(deed.name)
        return await self.ask(deed)

    async def ask(self, deed: Deed) -> Heard:
        """Ask once, and note what cannot be true."""
        answer = await (self.lines.tell(deed) if deed.message else self.lines.post(deed))
        self.world.heard(deed, answer)
        return answer

    async def insist(self, deed: Deed) -> None:
        """Ask again for something unknown, now and then twice at once."""
        times = 2 if self.chance.random() < 0.3 and not deed.message else 1
        await asyncio.gather(*(self.ask(deed) for _ in range(times)))

    async def repeat(self) -> None:
        """Ask again for something that is known."""
        known = [deed for deed in self.deeds[-40:] if deed.first is not None]
        if known:
            await self.insist(self.chance.choice(known))

    # -- wishes

    async def reserve(self) -> None:
        """Take units of a drop, through either door."""
        drop, units = self.world.a_drop(self.chance, "fifo", "bare", "waves", "plain"), self.units()
        if self.chance.random() < 0.3:
            path = f"/v1/shows/{self.world.show}/drops/{drop}/reservations"
            await self.do("reserve", {}, path, {"quantity": units})
        else:
            await self.do("reserve", {"type": "reserve", "drop": drop, "quantity": units})

    async def reserve_in_part(self) -> None:
        """Take what is left, and wait for the rest."""
        drop = self.world.a_drop(self.chance, "fifo", "waves", "plain")
        await self.do("part", {"type": "reserve", "drop": drop, "quantity": self.units(), "part": True})

    async def bundle(self) -> None:
        """Take units of two drops, or none."""
        drops = {self.world.a_drop(self.chance, "fifo", "bare", "waves") for _ in range(2)}
        items = [{"drop": drop, "quantity": self.units()} for drop in sorted(drops)]
        await self.do("bundle", {"type": "bundle", "items": items})

    async def release(self) -> None:
        """Give something back."""
        mine = self.held()
        if mine:
            await self.do("release", {"type": "release", "reservation": self.chance.choice(mine)})

    async def join(self) -> None:
        """Wait, or enter a draw."""
        drop = self.world.a_drop(self.chance, "fifo", "waves", "plain", "draw")
        await self.do("join", {"type": "waitlist.join", "drop": drop, "quantity": self.units()})

    async def leave(self) -> None:
        """Wait no more."""
        drop = self.world.a_drop(self.chance, "fifo", "waves", "plain", "draw")
        await self.do("leave", {"type": "waitlist.leave", "drop": drop})

    async def pay(self) -> None:
        """Pay one or two of what is held."""
        mine = self.held()
        if mine:
            paid = sorted({self.chance.choice(mine) for _ in range(2)})
            await self.do("pay", {}, "/v1/checkout", {"reservations": paid, **self.card()})

    async def pay_first(self) -> None:
        """Pay for units that nobody holds."""
        item = {"drop": self.world.a_drop(self.chance, "paid"), "quantity": self.units()}
        await self.do("claim", {}, "/v1/checkout", {"items": [item], **self.card()})

    def card(self) -> Message:
        """Return a way to pay."""
        return {"payment": {"method": "card", "token": self.chance.choice(CARDS)}}

    def units(self) -> int:
        """Return how many are wanted."""
        return self.chance.choice((1, 1, 1, 2, 3))

    def held(self) -> list[str]:
        """Return what the socket knows to be held and is not for keeps."""
        client = self.lines.client
        known = sorted(client.reservations.items()) if client else []
        return [
            name
            for name, view in known
            if view["state"] == "held" and self.world.kinds[view["drop"]] != "plain"
        ]
