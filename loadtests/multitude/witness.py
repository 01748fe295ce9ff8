"""What one viewer has been told across connections, and whether it can be true: no sockets, no clock of its own.

The same promises as `loadtests.audience.watch` holds its viewers' messages to, kept in a few words per viewer and at a
fraction of the cost: ten thousand of these share two cores with the server that they watch. The show has one drop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.audience.wire import BINARY

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message
    from loadtests.audience.wire import Stock, Told, Welcome

EXAMPLES = 12  # sentences kept; the rest is counted


@dataclass(slots=True)
class Book:
    """What all viewers have found together."""

    gaps: int = 0  # places where events were left out
    duplicates: int = 0  # events that came a second time
    stale: int = 0  # live numbers that were older than the one before
    wrong: int = 0  # anything else that may not be
    recovered: int = 0  # welcomes that picked a place up
    pictures: int = 0  # welcomes with a snapshot
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # connections that did not come about, by reason
    examples: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Keep a sentence as evidence, unless there are enough."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(sentence)


class Witness:
    """One viewer. `begin` a connection, then `take` every message of it, in order."""

    __slots__ = (
        "binary",
        "book",
        "epoch",
        "joined",
        "live",
        "name",
        "place",
        "stock",
        "stock_at",
        "welcomed",
    )

    def __init__(self, name: str, book: Book, *, binary: bool) -> None:
        self.name = name
        self.book = book
        self.binary = binary
        self.epoch = ""
        self.place = 0  # the newest event's offset
        self.stock: Stock | None = None  # the newest numbers of the drop
        self.stock_at = 0  # and when they came
        self.joined = -1  # revision of this connection's first numbers
        self.live = -1  # and of its newest live number
        self.welcomed = False  # on this connection

    @property
    def since(self) -> Message | None:
        """The place to come back to, or None before the first welcome."""
        return {"epoch": self.epoch, "offset": self.place} if self.epoch else None

    def begin(self) -> None:
        """Know that a new connection begins."""
        self.welcomed = False
        self.joined = self.live = -1

    def take(self, told: Told, now: int) -> None:
        """Learn from a message that came at `now`, and write down what is wrong with it."""
        if told.offset:
            self._advance(told.offset)
        elif told.live and told.stock is not None:
            self._live_number(told.stock)
        if told.welcome is not None:
            self._welcome(told.welcome)
        if told.stock is not None:
            self._learn(told.stock, now)
        if (
            told.wrong
            or told.kind == "error"
            or not self.welcomed
            or (told.opcode == BINARY) is not self.binary
        ):
            self._object(told)

    def _advance(self, offset: int) -> None:
        book, due = self.book, self.place + 1
        book.events += 1
        if offset == due:
            self.place = offset
        elif offset > due:
            book.gaps += 1
            book.note(f"{self.name}: event {offset} came where {due} was due")
            self.place = offset
        else:
            book.duplicates += 1
            book.note(f"{self.name}: event {offset} came again, {due} was due")

    def _live_number(self, stock: Stock) -> None:
        # What was on its way while the viewer joined may be older than what they joined with.
        if self.joined < stock.revision < self.live:
            self.book.stale += 1
            self.book.note(f"{self.name}: stock revision {stock.revision} came after {self.live}")
        self.live = max(self.live, stock.revision)

    def _learn(self, stock: Stock, now: int) -> None:
        if self.joined < 0:
            self.joined = stock.revision
        if self.stock is None or stock > self.stock:
            self.stock, self.stock_at = stock, now

    def _welcome(self, welcome: Welcome) -> None:
        if self.welcomed:
            self._say("was welcomed twice")
        self.welcomed = True
        if not welcome.recovered:
            self.book.pictures += 1
            self.epoch, self.place = welcome.epoch, welcome.offset
            return
        self.book.recovered += 1
        if welcome.epoch != self.epoch:
            self._say(f"was recovered into epoch {welcome.epoch}, and had asked for {self.epoch}")
        if welcome.offset - welcome.missed != self.place:
            first = welcome.offset - welcome.missed
            self._say(f"was recovered from {first}, and had asked for {self.place}")

    def _object(self, told: Told) -> None:
        for sentence in told.wrong:
            self._say(sentence)
        if told.kind == "error":
            self._say(f"error {told.message['code']}: {told.message['message']}")
        if not self.welcomed:
            self._say("was told something before the welcome")
        if (told.opcode == BINARY) is not self.binary:
            self._say(f"was sent opcode {told.opcode} against the subprotocol")

    def _say(self, sentence: str) -> None:
        self.book.wrong += 1
        self.book.note(f"{self.name}: {sentence}")
