"""Orders as their buyer and their host see and change them: one struct per body, and per thing shown."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from server.api.bodies import MAX_RESERVATIONS_PER_ORDER, ONE_LINE, Address
from server.protocol.shapes import Count, Identifier, Order, Quantity, Shape, UnixMs

Words = Annotated[str, Meta(min_length=1, max_length=100, pattern=ONE_LINE)]


class RefundPart(Struct, kw_only=True):
    """Units of one line of an order, which is named by its reservation or its position (from 0)."""

    quantity: Quantity
    reservation: Identifier | None = None
    position: Annotated[int, Meta(ge=0, le=1000)] | None = None


class NewRefund(Struct, kw_only=True):
    """What to give back: units of some lines, or all that is left; `restock`: its units go on sale again."""

    lines: Annotated[list[RefundPart], Meta(min_length=1, max_length=MAX_RESERVATIONS_PER_ORDER)] | None = (
        None
    )
    restock: bool = False


class NewShipment(Struct, kw_only=True):
    """How an order was shipped."""

    carrier: Words | None = None
    tracking_number: Words | None = None


class RefundLine(Shape):
    """Units of one line that were paid back."""

    position: Count
    reservation: str
    quantity: Quantity


class Refund(Shape):
    """Money that goes back: `asked` until it has moved, `refused` where the provider will not."""

    id: str
    status: Literal["asked", "paid", "refused"]
    amount: Count
    currency: str
    lines: list[RefundLine]
    restock: bool  # whether the units go on sale again
    created_at: UnixMs


class OrderChange(Shape):
    """A state that an order took: `by` a subject, which its buyer sees as `host`, or by `checkout` or `rebuild`."""

    status: Literal["confirming", "paid", "fulfilled", "cancelled", "refunded", "partially_refunded"]
    by: str
    at: UnixMs
    # A refund's id and amount, a shipment's carrier and number, how many units are missing, why it was cancelled.
    details: dict[str, str | int] | UnsetType = UNSET


class Fulfilment(Shape):
    """How and when an order was shipped."""

    at: UnixMs
    carrier: str | UnsetType = UNSET
    tracking_number: str | UnsetType = UNSET


class KnownOrder(Order):
    """An order with its history and refunds, oldest first; before the ledger has it there are none."""

    history: list[OrderChange] = msgspec.field(default_factory=list)
    refunds: list[Refund] = msgspec.field(default_factory=list)
    fulfilment: Fulfilment | UnsetType = UNSET


class OwnOrder(KnownOrder):
    """An order as its buyer and its show's host see it: with what the buyer said of themselves."""

    email: str | UnsetType = UNSET
    shipping_address: Address | UnsetType = UNSET
