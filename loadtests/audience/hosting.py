"""What the host does: makes the drops of the plan, opens each at its time, restocks it, and closes it."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

from loadtests import habits
from loadtests.audience.asking import NO_VERDICT
from loadtests.audience.http import HttpError
from loadtests.audience.measures import HOSTING
from loadtests.audience.venue import problem
from loadtests.habits import chance
from server import ids

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue
    from loadtests.plan import Sale

AHEAD_SECONDS = 2.0  # before its countdown a drop is made
TRIES = 10
AGAIN_SECONDS = 0.5
MULTIPLE_CHOICES = 300
WRONG_STATE = "wrong-state"


class Host:
    """The one host of a run, who sells what its plan has through the HTTP door."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._random = Random(f"{venue.plan.seed}/host")
        self._skus: list[str] = []

    async def live(self) -> None:
        """Sell everything, each at its time; sales may overlap."""
        listed = await self._call("GET", "/v1/catalog/products?limit=50", None)
        self._skus = [product["sku"] for product in (listed or {}).get("items", ())]
        if self._skus:
            await asyncio.gather(
                *(self._sell(number, sale) for number, sale in enumerate(self._venue.plan.sales))
            )

    async def _sell(self, number: int, sale: Sale) -> None:
        """Sell one drop, from its making (where it is not planned yet) to its end; a step that fails ends it early."""
        began, countdown = self._venue.began + sale.at, sale.countdown_ms / 1000
        pauses = chance(self._random, habits.PAUSED_AFTER_RESTOCK)
        await self._venue.until(began - countdown - AHEAD_SECONDS)
        drop = sale.drop or await self._make(self._skus[number % len(self._skus)], sale)
        if drop is None:
            return
        await self._venue.until(began - countdown)
        try:
            if await self._move(drop, "open", countdown_ms=sale.countdown_ms) is None or not sale.restock:
                return
            await self._venue.until(began + sale.seconds / 2)
            await self._move(drop, "restock", quantity=sale.restock)
            if pauses:
                await self._move(drop, "pause")
                await asyncio.sleep(habits.PAUSE_SECONDS)
                await self._move(drop, "resume")
        finally:
            await self._venue.until(began + sale.seconds)
            await self._move(drop, "close")

    async def _make(self, sku: str, sale: Sale) -> str | None:
        terms = {
            "sku": sku,
            "quantity": sale.quantity,
            "limit_per_viewer": sale.limit_per_viewer,
            "hold_seconds": sale.hold_seconds,
        }
        made = await self._call("POST", f"/v1/shows/{self._venue.show}/drops", terms)
        return made["id"] if made else None

    async def _move(self, drop: str, verb: str, **body: int) -> Message | None:
        return await self._call("POST", f"/v1/shows/{self._venue.show}/drops/{drop}/{verb}", body or None)

    async def _call(self, method: str, path: str, body: Message | None) -> Message | None:
        """Send a request until there is a verdict; None, and a failure, where it is no or never comes."""
        key, said = ids.secret(12), ""
        measures, verb = self._venue.measures, path.rpartition("/")[2].partition("?")[0]
        for turn in range(TRIES):
            began = time.monotonic()
            try:
                answer = await self._venue.call(
                    method, path, body=body, key=key if method == "POST" else None
                )
            except HttpError as error:
                said = str(error)
            else:
                if answer.status < MULTIPLE_CHOICES:
                    measures.took(HOSTING, time.monotonic() - began)
                    return answer.body
                if turn and answer.code == WRONG_STATE:
                    return answer.body  # an attempt without an answer has done it
                said = problem(answer)
                if answer.code not in NO_VERDICT:
                    break
            await asyncio.sleep(AGAIN_SECONDS)
        measures.failed(f"host {verb}", said)
        return None
