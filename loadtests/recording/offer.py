"""Which of the show's drops is which of the recording's: they are made in the same order, after the run has begun."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from loadtests.audience.http import HttpError

if TYPE_CHECKING:
    from loadtests.audience.venue import Venue

LOOK_SECONDS = 0.3  # between two looks at the list of drops
PATIENCE_SECONDS = 3.0  # for a drop that is not there yet; who wanted it then is not played
EARLIER_SECONDS = 5.0  # a drop so much older than the run is somebody else's, however clocks differ

_OFFERS: WeakKeyDictionary[Venue, Offer] = WeakKeyDictionary()


class Offer:
    """The drops of a run as one process knows them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._drops: list[str] = []
        self._looking = asyncio.Lock()
        self._looked_at = 0.0

    @classmethod
    def at(cls, venue: Venue) -> Offer:
        """Return the one of a venue."""
        known = _OFFERS.get(venue)
        if known is None:
            known = _OFFERS[venue] = cls(venue)
        return known

    async def drop(self, number: int) -> str | None:
        """Return a drop by its number in the recording; None where there is none, or was none in time."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while number > len(self._drops) and time.monotonic() < patience:
            await self._look()
        return self._drops[number - 1] if 0 < number <= len(self._drops) else None

    async def _look(self) -> None:
        """Read the list of drops, for all who wait for one."""
        known = len(self._drops)
        async with self._looking:
            if known < len(self._drops):
                return
            await self._venue.until(self._looked_at + LOOK_SECONDS)
            self._looked_at = time.monotonic()
            try:
                answer = await self._venue.call("GET", f"/v1/shows/{self._venue.show}/drops")
            except HttpError:
                return
            since = self._venue.server_time(self._venue.began) - EARLIER_SECONDS
            listed = answer.body.get("items", ())
            self._drops = [drop["id"] for drop in listed if drop["created_at"] / 1000 >= since]
