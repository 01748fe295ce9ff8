"""Orders in the ledger: written once, moved forward, found again. Every write is harmless to repeat.

The buyer's e-mail and address come here sealed and are kept so. They are opened in one place only, where an order is
shown to its buyer or its show's host; events and webhooks carry none of it, so nobody else has to keep it safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.orders import entries, views, writing
from server.orders.states import Status
from server.orders.views import Detail, View
from server.orders.writing import DifferentOrderError, Record

if TYPE_CHECKING:
    from server.ledger.database import Ledger

__all__ = ["Detail", "DifferentOrderError", "Orders", "Record", "View"]


class Orders:
    """The ledger's orders. Raises `unavailable` where the ledger cannot say or take. Times are Unix ms."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def commit(self, show: str, record: Record) -> None:
        """Write an authorized order with its lines; returns once that is on the disk. Repeating changes nothing."""
        await self._ledger.write(
            lambda connection: writing.insert(
                connection, show, record, Status.CONFIRMING, "authorized", at=record["created_at"]
            )
        )

    async def cancel_unpaid(self, show: str, record: Record, at: int, *, shortfall: bool = False) -> None:
        """Write an order that came to nothing at `at`, without lines: its reservations are free for another one.

        `shortfall`: the buyer could have paid and the units were gone by then; the shop is told (`order.shortfall`).
        """
        await self._ledger.write(
            lambda connection: writing.cancel_unpaid(connection, show, record, at, shortfall=shortfall)
        )

    async def uncaptured(self, order: str, at: int) -> None:
        """Cancel an order whose money its provider will not move: its units go on sale again. Repeatable."""
        await self._ledger.write(lambda connection: writing.mark_uncaptured(connection, order, at))

    async def captured(self, order: str, at: int) -> None:
        """Record that the order's money has moved: it is paid. Repeating changes nothing."""
        await self._ledger.write(lambda connection: writing.mark_paid(connection, order, at))

    async def fulfil(self, order: str, shipment: dict[str, str], by: str, at: int) -> None:
        """Record that an order was shipped, by whom and how. Raises `not-found`, `wrong-state`, `in-progress`."""
        await self._ledger.write(lambda connection: writing.fulfil(connection, order, shipment, by, at))

    async def find(self, order: str) -> tuple[View, str] | None:
        """Return an order and its viewer, or None."""
        found = await self._ledger.read(lambda connection: views.read(connection, [order]))
        return found[0] if found else None

    async def detail(self, order: str) -> Detail | None:
        """Return an order with its history, its refunds and the buyer's sealed contact, or None."""
        return await self._ledger.read(lambda connection: views.detail(connection, order))

    async def of_show(self, show: str, limit: int, after: tuple[int, str] | None) -> list[View]:
        """Return up to `limit` orders of a show, newest first, older than the (created_at, id) of `after`."""
        return await self._ledger.read(lambda connection: views.listed(connection, show, limit, after))

    async def host_of(self, show: str) -> str | None:
        """Return a show's host; empty where the ledger has only orders of it, None where it has not even those."""
        return await self._ledger.read(lambda connection: views.host_of(connection, show))

    async def units_by_drop(self, show: str) -> dict[str, int]:
        """Return the units of each drop that are sold and not on sale again: the ledger's own count for the audit."""
        return await self._ledger.read(lambda connection: views.units(connection, show))

    async def unbalanced(self) -> dict[tuple[str, str], int]:
        """Return (movement, currency) -> sum of every movement of money that does not sum to 0: there is none."""
        return await self._ledger.read(entries.unbalanced)
