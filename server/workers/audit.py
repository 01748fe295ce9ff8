"""Do the books balance? Stock, holds, queues, award log and ledger of every drop; live shows are read until they stand.

An order between its sale and its ledger row is in flight: it explains a difference of exactly its units, for the
moment that it takes. What does not go away within a few looks is a difference.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.inventory.books import read_books

if TYPE_CHECKING:
    from server.inventory.records import DropBooks
    from server.orders.orders import Orders
    from server.store.redis import Redis

LOOKS = 5
BETWEEN_LOOKS_SECONDS = 0.3


class AuditedDrop:
    """One drop's books beside the ledger's count."""

    def __init__(self, show: str, books: DropBooks, ledger_units: int) -> None:
        self.show = show
        self.books = books
        self.ledger_units = ledger_units
        missing = books.sold - ledger_units
        self.differences = list(books.differences)
        if not 0 <= missing <= books.in_flight:
            self.differences.append(
                f"sold is {books.sold}, the ledger has {ledger_units} and {books.in_flight} are in flight"
            )


async def audit(client: Redis, orders: Orders, show: str) -> list[AuditedDrop]:
    """Return every drop of a show with its differences; none means that the books balance."""
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
        books = await read_books(client, show)
        units = await orders.units_by_drop(show)
        audited = [AuditedDrop(show, drop, units.get(drop.drop, 0)) for drop in books]
        if not any(drop.differences for drop in audited):
            break
    return audited
