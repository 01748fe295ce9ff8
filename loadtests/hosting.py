"""What the host does: plan a drop, open it with a countdown, restock it, pause it now and then, close it; again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from loadtests.doors import BreachError
from loadtests.habits import PROGRAMME, chance
from loadtests.watch import wrong_stock

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.doors import Doors
    from loadtests.watch import Message

COUNTDOWN_GRACE_SECONDS = 3.0  # how late a countdown may end before it counts as broken


class Stagemaster:
    """The host of one show, who sells one drop after the other through the HTTP door."""

    def __init__(self, doors: Doors, show: str, quantity: int) -> None:
        self._doors = doors
        self._show = show
        self._quantity = quantity
        self._skus: list[str] = []

    def sell(self) -> None:
        """Sell one drop from its plan to its end; a step that fails ends it early."""
        drop = self._plan()
        if drop is None:
            return
        try:
            self._present(drop)
        finally:
            self._move(drop, "close")

    def _present(self, drop: str) -> None:
        if self._move(drop, "open", countdown_ms=PROGRAMME.countdown_ms) is None:
            return
        patience = PROGRAMME.countdown_ms / 1000 + COUNTDOWN_GRACE_SECONDS
        if not self._until(drop, patience, lambda view: view["status"] == "open"):
            self._doors.score("countdown", patience, BreachError(f"{drop} did not open in time"))
            return
        self._until(drop, PROGRAMME.sale_seconds, lambda view: view["available"] == 0)
        self._move(drop, "restock", quantity=max(1, round(self._quantity * PROGRAMME.restock_share)))
        if chance(PROGRAMME.pause_share):
            self._move(drop, "pause")
            time.sleep(PROGRAMME.pause_seconds)
            self._move(drop, "resume")
        self._until(drop, PROGRAMME.second_sale_seconds, lambda view: view["available"] == 0)

    def _plan(self) -> str | None:
        if not self._skus:
            listed = self._doors.call("GET", "/v1/catalog/products?limit=50", "/v1/catalog/products")
            self._skus = [product["sku"] for product in (listed or {}).get("items", ())]
            if not self._skus:
                return None
        terms = {
            "sku": random.choice(self._skus),
            "quantity": self._quantity,
            "limit_per_viewer": PROGRAMME.limit_per_viewer,
            "hold_seconds": PROGRAMME.hold_seconds,
        }
        made = self._doors.call("POST", f"/v1/shows/{self._show}/drops", "/v1/…/drops", body=terms)
        return made["id"] if made else None

    def _move(self, drop: str, verb: str, **body: int) -> Message | None:
        path = f"/v1/shows/{self._show}/drops/{drop}/{verb}"
        return self._doors.call("POST", path, f"/v1/…/{verb}", body=body or None)

    def _until(self, drop: str, seconds: float, reached: Callable[[Message], bool]) -> bool:
        """Look at the drop until it is so, for at most `seconds`; every look is held against the sum."""
        deadline = time.monotonic() + seconds
        while True:
            view = self._doors.call("GET", f"/v1/shows/{self._show}/drops/{drop}", "/v1/…/drops/{drop}")
            for sentence in wrong_stock(drop, view) if view else ():
                self._doors.score("stream", 0, BreachError(sentence))
            if view and reached(view):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(PROGRAMME.look_seconds)
