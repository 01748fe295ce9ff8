"""What the server says of a show after a run, as its doors and its audit give it: shapes alone.

Times that end with `_at` are the contract's, Unix milliseconds; an event's and a place's are Unix seconds.
"""

from __future__ import annotations

from msgspec import Struct, field

HELD_GOOD = frozenset(
    {"paid", "fulfilled", "partially_refunded", "refunded"}
)  # states of an order that was paid
CANCELLED = "cancelled"
GIVEN_BACK = frozenset({"partially_refunded", "refunded", "cancelled"})


class DropView(Struct, frozen=True, kw_only=True):
    """A drop as the HTTP door shows it."""

    id: str
    status: str
    mode: str
    waitlist: bool
    quantity: int
    available: int
    held: int
    sold: int
    limit_per_viewer: int
    hold_seconds: int
    opened_at: int = 0
    closed_at: int = 0


class Line(Struct, frozen=True):
    """One reservation of an order."""

    drop: str
    reservation: str
    quantity: int


class Order(Struct, frozen=True):
    """An order as the host's list shows it. One that came to nothing has no lines."""

    id: str
    status: str
    lines: list[Line]


class AuditedDrop(Struct, frozen=True):
    """What `livedrop audit --json` finds wrong with one drop's books."""

    drop: str
    differences: list[str]


class Difference(Struct, frozen=True):
    """What does not agree between the ledger and a payment provider."""

    sentence: str


class Money(Struct, frozen=True):
    """What the audit says of payments."""

    differences: list[Difference] = field(default_factory=list)


class Audit(Struct, frozen=True):
    """The audit of a show."""

    balanced: bool
    drops: list[AuditedDrop]
    money: Money = Money()


class Event(Struct, frozen=True):
    """An event of the show's log: what it says of a drop, where it is about one. `quantity`: offered from now on."""

    offset: int
    at: float
    kind: str
    drop: str = ""
    quantity: int | None = None


class Top(Struct, frozen=True):
    """Where the log stands: a viewer with this epoch and offset has everything."""

    epoch: str
    offset: int


class Books(Struct, frozen=True, kw_only=True):
    """Everything that the server says. `events` is empty where the log does not reach back to its first one."""

    drops: dict[str, DropView]
    orders: list[Order]
    audit: Audit
    top: Top
    events: list[Event] = field(default_factory=list)
    settled_at: float  # when drops and orders were read
