"""What one buyer asks for, under one id, however often; and whether all that they heard about it can be true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Message = dict[str, Any]

UNKNOWN = frozenset(
    {"unavailable", "rate-limited", "in-progress"}
)  # of the codes: ask again under the same id


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: an error's code or an empty string, and which units of which reservations it named."""

    code: str
    reservations: tuple[tuple[str, int], ...] = ()
    order: str = ""

    @property
    def known(self) -> bool:
        """Whether it says what became of the operation."""
        return self.code not in UNKNOWN


NOTHING = Heard("unavailable")  # cut off, timed out, or given up


def heard(fields: Message, code: str = "") -> Heard:
    """Return what an answer of either door says."""
    views: Iterable[Message] = fields.get("reservations") or fields.get("items") or ()
    if "reservation" in fields:
        views = [fields["reservation"]]
    elif str(fields.get("id", "")).startswith("rs_"):
        views = [fields]
    order = fields["order"]["id"] if "order" in fields else ""
    return Heard(code, tuple((view["id"], view["quantity"]) for view in views), order)


@dataclass(slots=True)
class Deed:
    """One operation: as the socket has it (`message`), or as the HTTP door has it (`path` and `body`)."""

    kind: str
    name: str  # the operation's id, the buyer's own
    message: Message = field(default_factory=dict)
    path: str = ""
    body: Message = field(default_factory=dict)
    first: Heard | None = None  # the first answer that was no refusal
    refusals: int = 0
    doubts: int = 0  # how often no answer came

    @property
    def open(self) -> bool:
        """Whether nobody knows yet what became of it."""
        return self.first is None and not self.refusals

    def hear(self, answer: Heard) -> str:
        """Take in an answer; return what cannot be true about it, or an empty string."""
        if not answer.known:
            self.doubts += 1
            return ""
        given = self.first.reservations or self.first.order if self.first else None
        if answer.code:
            self.refusals += 1
            return f"{self.name}: {given} was given, now {answer.code}" if given else ""
        if given and given != (answer.reservations or answer.order):
            return f"{self.name}: {given} was given, now {answer}"
        if not given:  # nothing before; or a place in the queue, which becomes a reservation
            self.first = answer
        return ""
