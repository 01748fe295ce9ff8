"""What is to be told to the shop: written in the transaction of the change itself, so neither is without the other.

A worker brings it to the webhook endpoints. A message's id follows from what it tells, so writing it again writes
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.ledger.tables import outbox
from server.ledger.upsert import insert_new

if TYPE_CHECKING:
    from sqlalchemy import Connection

TYPES = (
    "order.paid",
    "order.cancelled",
    "order.refunded",
    "order.fulfilled",
    "order.shortfall",
    "reservation.expired",
    "drop.opened",
    "drop.sold_out",
    "drop.closed",
    "show.started",
    "show.ended",
)


@dataclass(frozen=True, slots=True)
class Message:
    """What happened: one of the `TYPES`, about a `subject` (an order, a show, a reservation) and told in order of it.

    `id` is the `webhook-id`, and follows from the change: `or_… paid`. `data` holds the contract's views; `at` is
    Unix ms.
    """

    id: str
    type: str
    show: str
    subject: str
    data: dict[str, Any]
    at: int


def tell(connection: Connection, message: Message) -> None:
    """Write a message in this transaction, once for its id."""
    row = {name: getattr(message, name) for name in Message.__slots__}
    insert_new(connection, outbox, {**row, "spread": False}, "id")
