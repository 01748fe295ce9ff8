"""What every feed reader gives: products, and the rows that could not become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from server.protocol.shapes import Product

__all__ = ["Feed", "Product", "Reader", "Rejected", "quoted"]

QUOTED = 60  # characters of a cell that a reason repeats


class Rejected(msgspec.Struct, frozen=True):
    """A row that was left out: the physical line it starts on, from 1, and a sentence that says why."""

    line: int
    reason: str


@dataclass(slots=True)
class Feed:
    """A file's content: products in the order of their rows, rejected rows in the order of their lines."""

    products: list[Product] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


# From the file's bytes and, for feeds whose prices name none, the currency. Raises `invalid-message` when the
# whole file is of no use; a bad row alone becomes a `Rejected`.
Reader = Callable[[bytes, str | None], Feed]


def quoted(text: str) -> str:
    """Return the start of a cell for a reason: on one line, control characters escaped."""
    return repr(text if len(text) <= QUOTED else text[:QUOTED] + "…")
