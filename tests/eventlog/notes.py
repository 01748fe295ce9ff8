"""What a listener is told, written down, and an ear that tells it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.eventlog.live import Live
from server.store.redis import connect_subscriber
from server.store.redis_clock import RedisClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.eventlog.stream import Entry, Place
    from server.house import House


class Notes:
    """A listener that writes down what it is told, and in `faults` what it should not have been told."""

    def __init__(self) -> None:
        self.places: list[Place] = []  # with which following began
        self.tails: list[list[Entry]] = []  # that came with each
        self.offsets: list[int] = []  # of the events
        self.numbers: list[tuple[str, str]] = []  # kind and name of the live numbers
        self.losses = 0
        self.anew = 0
        self.faults: list[str] = []
        self.tops: dict[str, int] = {}  # by show, where it is followed

    def began(self, show: str, place: Place, tail: list[Entry]) -> None:
        """Begin, where nothing is followed, with a tail that ends at the place."""
        first = place.offset - len(tail) + 1
        self._must(show not in self.tops, "began twice without a loss")
        self._must(
            [each.offset for each in tail] == list(range(first, place.offset + 1)), "the tail has a hole"
        )
        self.tops[show] = place.offset
        self.places.append(place)
        self.tails.append(tail)

    def event(self, show: str, entry: Entry) -> None:
        """Take the next event and no other."""
        top = self.tops.get(show)
        self._must(top is not None and entry.offset == top + 1, f"{entry.offset} after {top}")
        self.tops[show] = entry.offset
        self.offsets.append(entry.offset)

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Note a live number."""
        del show, packed
        self.numbers.append((kind, name))

    def lost(self, show: str) -> None:
        """Note a loss; `began` must follow."""
        self._must(self.tops.pop(show, None) is not None, "lost what was not followed")
        self.losses += 1

    def heard_anew(self, show: str) -> None:
        """Note that the subscription was made anew."""
        del show
        self.anew += 1

    def _must(self, holds: bool, fault: str) -> None:  # noqa: FBT001  reads as a sentence
        if not holds:
            self.faults.append(fault)


@asynccontextmanager
async def listening(house: House, notes: Notes, *shows: str, url: str = "") -> AsyncIterator[Live]:
    """Give an ear that follows shows; in the end it must have told nothing that it should not.

    It hears through `url`, where one is given, and reads the logs through the house's own client.
    """
    subscriber = connect_subscriber(url or house.settings.redis_url)
    ear = Live(house.client, subscriber, notes, RedisClock(house.client))
    running = asyncio.create_task(ear.run())
    try:
        for show in shows:
            await ear.follow(show)
        yield ear
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await subscriber.aclose()
    assert notes.faults == []


async def flicker(house: House, show: str, drop: str, times: int) -> None:
    """Write `times` pairs of events into a show's log."""
    for _ in range(times):
        await house.drops.pause(show, drop)
        await house.drops.resume(show, drop)
