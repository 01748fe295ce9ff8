"""A show's line of operations behind a valve: a real store, and calls that wait, fail or lose their answer at will."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from server.errors import unavailable
from server.inventory import asks
from server.inventory.batch import Terms
from server.inventory.batcher import Batches
from server.inventory.flush import Flusher
from server.inventory.holds import Holds
from server.store.answers import unpacked
from server.store.scripts import Scripts
from tests.houses import live_show, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.house import House
    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome
    from server.store.redis import Redis

TERMS = Terms(claim_ms=60_000, most_waiting=1000, skip_absent=False, addresses=False)
LINE = frozenset({"hold_batch", "hold_known"})  # what a line calls
BROKEN_LINE = unavailable("hold_batch: the connection to the store failed; whether it was applied is unknown")


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script."""

    name: str
    show: str
    args: dict[str, Any]

    @property
    def own(self) -> list[str]:
        """The reservations that a step was about, in its order."""
        ids: list[str] = self.args["batch"]["ids"]
        return ids


class Valve(Scripts):
    """The scripts of a real store. What goes through the valve is written down; closed, it holds calls back."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.calls: list[Call] = []
        self.most: Counter[str] = Counter()  # show -> calls of its line that were under way at once
        self.before: Exception | None = None  # what a caller hears instead of being sent
        self.after: Exception | None = None  # what a caller hears instead of the answer
        self.spent_us = 0  # what the store says that a step cost it; 0: nothing, as older ones
        self._under_way: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._opened = asyncio.Condition()

    def close(self, show: str) -> None:
        """Let no call of a show through."""
        self._closed.add(show)

    async def open(self, show: str) -> None:
        """Let them through again."""
        async with self._opened:
            self._closed.discard(show)
            self._opened.notify_all()

    def steps(self, show: str) -> list[Call]:
        """Return the steps of a show's inventory that were begun."""
        return [call for call in self.calls if (call.name, call.show) == ("hold_batch", show)]

    async def run(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Any:
        show = ids["show"]
        self.calls.append(Call(name, show, args))
        self._under_way[show] += name in LINE
        self.most[show] = max(self.most[show], self._under_way[show])
        try:
            async with self._opened:
                await self._opened.wait_for(lambda: show not in self._closed)
            if self.before is not None:
                raise self.before
            answer = await super().run(name, ids, **args)
            if self.after is not None:
                raise self.after
            return self._priced(answer) if name == "hold_batch" else answer
        finally:
            self._under_way[show] -= name in LINE

    def _priced(self, answer: bytes) -> bytes:
        return bytes(msgpack.packb({**unpacked(answer), "spent_us": self.spent_us}, use_bin_type=False))


class Counted:
    """Operations that were submitted, and what was heard of each, every time it was heard."""

    def __init__(self, batches: Batches, *wanted: Ask) -> None:
        self.heard: list[list[Outcome]] = [[] for _ in wanted]
        self.order: list[int] = []  # who heard after whom
        for number, ask in enumerate(wanted):
            batches.submit(ask, lambda outcome, number=number: self._hear(number, outcome))  # type: ignore[misc]  # bound per turn

    def _hear(self, number: int, outcome: Outcome) -> None:
        self.heard[number].append(outcome)
        self.order.append(number)

    async def all(self) -> list[Outcome]:
        """Wait until everybody has heard and return the outcomes; nobody may have heard twice."""
        await wait_for(lambda: all(self.heard), "an answer for everybody")
        await asyncio.sleep(0)
        assert [len(outcomes) for outcomes in self.heard] == [1] * len(self.heard)
        return [outcomes[0] for outcomes in self.heard]


class Shop:
    """A live show and its line."""

    def __init__(self, house: House, show: str, valve: Valve, **settings: Any) -> None:
        self.house = house
        self.show = show
        self.valve = valve
        self.flusher = Flusher(valve)
        self.batches = Batches(valve, self.flusher, TERMS, **{"gate": False, **settings})
        self.holds = Holds(house.client, valve, self.batches)

    async def drop(self, quantity: int = 1000, **terms: Any) -> str:
        """Open a drop."""
        return await open_drop(self.house, self.show, quantity, **terms)

    def reserve(self, viewer: int | str, drop: str, quantity: int = 1, operation: str = "op") -> Ask:
        """Return a viewer's wish."""
        return asks.reserve(self.show, str(viewer), operation, drop, quantity)

    def bundle(self, viewer: int | str, *drops: str) -> Ask:
        """Return a viewer's wish for one unit of each drop."""
        return asks.bundle(self.show, str(viewer), "bundle", [(drop, 1) for drop in drops])

    def submit(self, *wanted: Ask) -> Counted:
        """Put operations into the line, one after the other, in one turn of the loop."""
        return Counted(self.batches, *wanted)

    async def busy(self, drop: str, viewer: str = "first") -> Counted:
        """Close the valve with one operation under way: who comes now waits in the line."""
        self.valve.close(self.show)
        first, known = self.submit(self.reserve(viewer, drop)), len(self.valve.calls)
        await wait_for(lambda: len(self.valve.calls) > known, "a call under way")
        return first

    async def go_on(self) -> None:
        """Open the valve."""
        await self.valve.open(self.show)


class Shops:
    """The shops of a test."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._all: list[Shop] = []

    async def open(self, **settings: Any) -> Shop:
        """Return a shop in a show of its own; the settings are those of `Batches`."""
        shop = Shop(self.house, await live_show(self.house), Valve(self.house.client), **settings)
        self._all.append(shop)
        return shop

    async def beside(self, shop: Shop) -> Shop:
        """Return a shop in another show of the same process: behind the same valve, with lines of its own."""
        other = await self.open()
        other.valve, other.batches, other.flusher = shop.valve, shop.batches, shop.flusher
        return other

    async def aclose(self) -> None:
        """Close them all."""
        for shop in self._all:
            await shop.go_on()
            await shop.batches.aclose()
