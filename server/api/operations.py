"""The table of all endpoints, in the order in which the OpenAPI document shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.api import (
    actions,
    buying,
    catalog,
    console,
    drops,
    orders,
    payments,
    rates,
    receipts,
    reservations,
    shows,
    tokens,
    video,
    waitlist,
    webhooks,
)

if TYPE_CHECKING:
    from server.api.http import Operation

OPERATIONS: tuple[Operation, ...] = (
    *catalog.OPERATIONS,
    *rates.OPERATIONS,
    *shows.OPERATIONS,
    *video.OPERATIONS,
    *console.OPERATIONS,
    *actions.OPERATIONS,
    *drops.OPERATIONS,
    *reservations.OPERATIONS,
    *receipts.OPERATIONS,
    *waitlist.OPERATIONS,
    *buying.OPERATIONS,
    *payments.OPERATIONS,
    *orders.OPERATIONS,
    *tokens.OPERATIONS,
    *webhooks.OPERATIONS,
)
