"""The host of a recorded show: makes its drops again, in their order, and moves them at their times."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadtests.audience.hosting import Host
from loadtests.recording.replay import recorded
from loadtests.recording.script import hosting
from server.shows.tape import Drop, Move

if TYPE_CHECKING:
    from loadtests.audience.venue import Venue

APART_SECONDS = 0.005  # between the making of two drops: they are put in order by the millisecond
PLANNED = "scheduled"


class RecordedHost(Host):
    """The one host of a replay."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._made: dict[int, str] = {}

    async def live(self) -> None:
        """Do all that the host does, each at its time."""
        venue = self._venue
        listed = await self._call("GET", "/v1/catalog/products?limit=1", None)
        products = (listed or {}).get("items", ())
        if not products:
            return
        for scene in hosting(recorded(venue.plan.recording), venue.plan.speed):
            await venue.until(venue.began + scene.at)
            if isinstance(scene.act, Drop):
                await self._plan(scene.act, products[0]["sku"])
            elif scene.act.drop in self._made:
                await self._carry_out(scene.act, self._made[scene.act.drop])

    async def _plan(self, drop: Drop, sku: str) -> None:
        """Make a drop on the recorded terms; of one that was sold already, as many units as were left."""
        units = drop.quantity if drop.status == PLANNED else drop.available
        terms = {
            "sku": sku,
            "quantity": max(1, units),
            "unit_price": drop.unit_price,
            "limit_per_viewer": drop.limit_per_viewer,
            "hold_seconds": drop.hold_seconds,
            "mode": drop.mode,
            "waitlist": drop.waitlist,
        }
        made = await self._call("POST", f"/v1/shows/{self._venue.show}/drops", terms)
        if made is not None:
            self._made[drop.drop] = made["id"]
        await asyncio.sleep(APART_SECONDS)

    async def _carry_out(self, move: Move, drop: str) -> None:
        if move.move == "open":
            await self._move(drop, "open", countdown_ms=int(move.countdown_ms / self._venue.plan.speed))
        elif move.move == "restock":
            await self._move(drop, "restock", quantity=move.quantity)
        else:
            await self._move(drop, move.move)
