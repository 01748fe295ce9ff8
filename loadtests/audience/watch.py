"""What one viewer has seen of a show, and whether it can be true: no sockets, no clock.

Held against every message: offsets are gapless and never repeat, `available + held + sold == quantity`, no number
is below zero, and the revision of a drop's live numbers never goes back. Only what was on its way while the viewer
joined may be older than the picture they joined with. What is wrong comes back as sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.audience.wire import BINARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.audience.numbers import Message
    from loadtests.audience.wire import Numbers, Told, Welcome

STATUS_AFTER = {
    "drop.scheduled": "scheduled",
    "drop.countdown": "countdown",
    "drop.opened": "open",
    "drop.paused": "paused",
    "drop.resumed": "open",
    "drop.closed": "closed",
}
RIGHT: tuple[str, ...] = ()


class SeenDrop:
    """The newest that is known of a drop."""

    __slots__ = ("available", "joined_revision", "live_revision", "revision", "status")

    def __init__(self) -> None:
        self.status = "scheduled"
        self.available = 0
        self.revision = -1
        self.joined_revision = -1  # of the first numbers on this connection; what is older is old news
        self.live_revision = -1  # of the newest live number on this connection


class Watch:
    """The state of one viewer across connections. `begin` each, then `take` every message of it, in order."""

    __slots__ = (
        "binary",
        "drops",
        "epoch",
        "forgotten",
        "gaps",
        "live_from",
        "offset",
        "recovered",
        "repeats",
        "snapshots",
        "welcomed",
    )

    def __init__(self, *, binary: bool) -> None:
        self.binary = binary  # whether messages of this viewer's subprotocol are
        self.epoch = ""
        self.offset = 0  # the newest event's
        self.forgotten = False  # whether the place is given up: the next welcome starts over
        self.live_from = 0  # events above this offset happened while this viewer was connected
        self.drops: dict[str, SeenDrop] = {}
        self.welcomed = False  # on this connection
        self.recovered = False  # whether the last welcome picked up our place
        self.snapshots = 0  # welcomes after the first that could not
        self.gaps = 0  # offsets that were left out
        self.repeats = 0  # offsets that came again

    @property
    def place(self) -> Message | None:
        """The place in the log to come back to, or None where there is none (any more)."""
        return {"epoch": self.epoch, "offset": self.offset} if self.epoch and not self.forgotten else None

    @property
    def caught_up(self) -> bool:
        """Whether all that was missed before the last welcome has been told."""
        return self.welcomed and self.offset >= self.live_from

    def forget(self) -> None:
        """Give the place up: the server has said that it is lost."""
        self.forgotten = True

    def begin(self) -> None:
        """Know that a new connection begins."""
        self.welcomed = False
        for drop in self.drops.values():
            drop.joined_revision = drop.live_revision = -1

    def take(self, told: Told) -> Sequence[str]:
        """Learn from a message and return what is wrong with it, as sentences; nothing where nothing is."""
        wrong: Sequence[str] = told.wrong
        if told.live:
            wrong = self._live_number(told.drops[0], wrong)
        elif told.offset:
            if told.offset == self.offset + 1:
                self.offset = told.offset
            else:
                wrong = [*wrong, self._misplaced(told.offset)]
            self._learn(told)
        elif told.welcome is not None:
            wrong = [*wrong, *self._welcome(told.welcome)]
            self._learn(told)
        if not self.welcomed:
            wrong = [*wrong, f"{told.kind} came before the welcome"]
        if (told.opcode == BINARY) is not self.binary:
            wrong = [*wrong, f"opcode {told.opcode} is not of the subprotocol"]
        return wrong

    def _misplaced(self, offset: int) -> str:
        due = self.offset + 1
        if offset > due:
            self.gaps += offset - due
            self.offset = offset
        else:
            self.repeats += 1
        return f"offset {offset} came where {due} was due"

    def _welcome(self, welcome: Welcome) -> list[str]:
        known, self.live_from = self.offset, welcome.offset
        wrong = ["a second welcome came"] if self.welcomed else []
        self.welcomed = True
        self.recovered = welcome.recovered
        if not welcome.recovered:
            self.snapshots += bool(self.epoch)
            self.epoch, self.offset, self.forgotten = welcome.epoch, welcome.offset, False
            self.drops.clear()
            return wrong
        first = welcome.offset - welcome.missed
        if welcome.epoch != self.epoch:
            wrong.append(f"recovered into epoch {welcome.epoch}, asked for {self.epoch}")
        elif first != known:
            wrong.append(f"recovered from offset {first}, asked for {known}")
        return wrong

    def _live_number(self, numbers: Numbers, wrong: Sequence[str]) -> Sequence[str]:
        drop = self.drops.get(numbers.drop)
        if drop is None:
            drop = self.drops[numbers.drop] = SeenDrop()
        revision, before = numbers.stock.revision, drop.live_revision
        if drop.joined_revision < 0:
            drop.joined_revision = revision
        if revision >= drop.revision:
            drop.available, drop.revision = numbers.stock.available, revision
        if revision >= before:
            drop.live_revision = revision
        elif revision > drop.joined_revision:
            return [*wrong, f"{numbers.drop}: revision {revision} came after {before}"]
        return wrong

    def _learn(self, told: Told) -> None:
        missed = told.welcome is None and told.offset <= self.live_from
        for name, stock, status in told.drops:
            drop = self.drops.setdefault(name, SeenDrop())
            drop.status = status or drop.status
            if drop.joined_revision < 0 and not missed:
                drop.joined_revision = stock.revision
            if stock.revision >= drop.revision:
                drop.available, drop.revision = stock.available, stock.revision
        after = STATUS_AFTER.get(told.kind)
        if after is not None:
            self.drops.setdefault(drop_of(told.message), SeenDrop()).status = after


def drop_of(event: Message) -> str:
    """Return the drop that an event of the log is about; empty where it is about none."""
    drop: str = event.get("drop_id") or event.get("drop", {}).get("id", "")
    return drop
