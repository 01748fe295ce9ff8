"""What one viewer has seen of a show, and whether it can be true: no sockets, no clock.

Held against every message: offsets are gapless and never repeat, `available + held + sold == quantity`, no number
is below zero, and the revision of a drop's live numbers never goes back. Only what was on its way while the viewer
joined may be older than the picture they joined with. What is wrong comes back as sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Message = dict[str, Any]

STATUS_AFTER = {
    "drop.scheduled": "scheduled",
    "drop.countdown": "countdown",
    "drop.opened": "open",
    "drop.paused": "paused",
    "drop.resumed": "open",
    "drop.closed": "closed",
}


@dataclass(slots=True)
class SeenDrop:
    """The newest that is known of a drop."""

    status: str = "scheduled"
    available: int = 0
    revision: int = -1
    joined_revision: int = -1  # of the first numbers on this connection; what is older is old news
    live_revision: int = -1  # of the newest live number on this connection


class Watch:
    """The state of one viewer across connections. Call `take` with every message, in order."""

    def __init__(self) -> None:
        self.epoch = ""
        self.offset = 0
        self.live_from = 0  # events above this offset happened while this viewer was connected
        self.drops: dict[str, SeenDrop] = {}
        self.reservations: dict[str, Message] = {}
        self.welcomes = 0
        self.recovered = False  # whether the last welcome picked up our place

    @property
    def place(self) -> Message | None:
        """The place in the log to come back to, or None before the first welcome."""
        return {"epoch": self.epoch, "offset": self.offset} if self.epoch else None

    def take(self, message: Message) -> list[str]:
        """Learn from a message and return what is wrong with it, as sentences; an empty list where nothing is."""
        wrong = [sentence for drop, stock in stocks_in(message) for sentence in wrong_stock(drop, stock)]
        if message["type"] == "welcome":
            wrong += self._welcome(message)
        elif "offset" in message:
            wrong += self._advance(message["offset"])
        if message["type"] == "stock.updated":
            wrong += self._live_number(message)
        self._learn(message)
        return wrong

    def on_offer(self, without: set[str]) -> str | None:
        """Return a drop that can be taken from, as far as this viewer knows, or None."""
        return self._first("open", without, at_least=1)

    def announced(self, without: set[str]) -> str | None:
        """Return a drop whose countdown runs, or None."""
        return self._first("countdown", without, at_least=0)

    def _first(self, status: str, without: set[str], at_least: int) -> str | None:
        fits = (
            name
            for name, drop in self.drops.items()
            if drop.status == status and drop.available >= at_least and name not in without
        )
        return next(fits, None)

    def _welcome(self, message: Message) -> list[str]:
        known, self.live_from = self.offset, message["offset"]
        self.welcomes += 1
        self.recovered = message["recovered"]
        for drop in self.drops.values():
            drop.joined_revision = drop.live_revision = -1
        if not message["recovered"]:
            self.epoch, self.offset = message["epoch"], message["offset"]
            self.drops.clear()
            return []
        first = message["offset"] - message["missed"]
        if message["epoch"] != self.epoch:
            return [f"recovered into epoch {message['epoch']}, asked for {self.epoch}"]
        return [] if first == known else [f"recovered from offset {first}, asked for {known}"]

    def _advance(self, offset: int) -> list[str]:
        expected, self.offset = self.offset + 1, offset
        return [] if offset == expected else [f"offset {offset} came where {expected} was due"]

    def _live_number(self, message: Message) -> list[str]:
        drop = self.drops.setdefault(message["drop_id"], SeenDrop())
        before, revision = drop.live_revision, message["revision"]
        drop.live_revision = max(before, revision)
        if revision >= before or revision <= drop.joined_revision:
            return []
        return [f"{message['drop_id']}: revision {revision} came after {before}"]

    def _learn(self, message: Message) -> None:
        missed = "offset" in message and message["offset"] <= self.live_from and message["type"] != "welcome"
        for name, stock in stocks_in(message):
            drop = self.drops.setdefault(name, SeenDrop())
            drop.status = stock.get("status", drop.status)
            if drop.joined_revision < 0 and not missed:
                drop.joined_revision = stock["revision"]
            if stock["revision"] >= drop.revision:
                drop.available, drop.revision = stock["available"], stock["revision"]
        status = STATUS_AFTER.get(message["type"])
        if status is not None:
            name = message.get("drop_id") or message["drop"]["id"]
            self.drops.setdefault(name, SeenDrop()).status = status
        if message["type"] == "reservation":
            self.reservations[message["reservation"]["id"]] = message["reservation"]


def stocks_in(message: Message) -> Iterator[tuple[str, Message]]:
    """Yield (drop, its numbers) for every place where a message of the live socket carries stock."""
    if message["type"] == "stock.updated":
        yield message["drop_id"], message
    if "stock" in message:
        yield message["stock"]["drop_id"], message["stock"]
    if isinstance(message.get("drop"), dict):
        yield message["drop"]["id"], message["drop"]
    for drop in message.get("snapshot", {}).get("drops", ()):
        yield drop["id"], drop


def wrong_stock(drop: str, stock: Message) -> list[str]:
    """Return what is wrong with four numbers, as sentences."""
    available, held, sold, quantity = (stock[name] for name in ("available", "held", "sold", "quantity"))
    wrong = []
    if available + held + sold != quantity:
        wrong.append(f"{drop}: available {available} + held {held} + sold {sold} is not quantity {quantity}")
    if min(available, held, sold) < 0:
        wrong.append(f"{drop}: a number is below zero: {available}, {held}, {sold}")
    return wrong
