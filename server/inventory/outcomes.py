"""What became of an operation on the inventory: values, one of which every caller gets, exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from server.errors import Code, Problem

Reservation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A drop at the moment of a step, as the step left it; every operation of the step shares it. Times in Unix ms."""

    drop: str
    at: int
    available: int
    held: int  # by anybody
    revision: int
    gone_at: int  # since when nothing is available, 0 where there is some or never was none
    waiting: int
    opened_at: int  # 0: never
    sku: str
    currency: str
    unit_price: int
    hold_seconds: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in a drop's queue: 1 is the next; 0 for who stands in none. In a draw: which entry it is."""

    drop: str
    position: int
    length: int
    quantity: int
    seen: Seen | None = field(default=None, compare=False, repr=False)  # where a step gave it


class Held(msgspec.Struct, frozen=True):
    """A reservation as it now is; `replayed` where this operation id had been applied before.

    `rank` is its place among the drop's awards, 0 where nothing was awarded now. `waiting` is the place for the rest
    where only a part could be taken.
    """

    reservation: Reservation
    replayed: bool
    rank: int = 0
    seen: Seen | None = None
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Reservations that were taken together, in the order in which they were asked for."""

    reservations: list[Reservation]
    replayed: bool


class Refusal(Problem):
    """Why somebody did not get what they asked for, and what was seen of the drop at that moment."""

    def __init__(self, code: Code, detail: str, seen: Seen | None = None, **extras: Any) -> None:
        super().__init__(code, detail, **extras)
        self.seen = seen


Outcome = Held | Waiting | Bundle | Problem


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: how many lapsed, how late the oldest was let go (ms), when the next is due (Unix ms, 0: none).

    `more` where the step was full and others may be due.
    """

    lapsed: int
    lag_ms: int
    next_at: int
    more: bool


def unknown(reservation: str) -> Problem:
    """Return the problem for a reservation that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no reservation {reservation[:64]!r}.")


def out_of_stock(quantity: int, available: int, held: int, seen: Seen | None = None) -> Refusal:
    """Return the refusal where there are not enough units: whether all are sold, or some may come back."""
    back = f"; {held} held by others may come back" if held else "; all are sold" if not available else ""
    detail = f"Asked for {quantity}, {available} available{back}."
    return Refusal(Code.OUT_OF_STOCK, detail, seen, available=available, held=held)
