"""Endpoints of orders: look at one; the host cancels it, pays it back in part or whole, and says that it was shipped.

What the buyer said of themselves is opened here alone, and only where an order is looked at: the answers to the host's
changes are kept for a day under their Idempotency-Key, so they have none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from server import ids
from server.api.http import Answer, Call, Keyed, Operation
from server.api.order_bodies import KnownOrder, NewRefund, NewShipment, OwnOrder, RefundPart
from server.auth import Right, Role
from server.errors import Code, Problem
from server.orders.orders import Detail
from server.orders.refund_book import Part
from server.orders.sold import BY as REBUILD
from server.orders.states import still_confirming
from server.orders.writing import CHECKOUT, unknown
from server.protocol.codec import invalid
from server.seal import SealError

if TYPE_CHECKING:
    from server.orders.orders import View

OURS = frozenset({CHECKOUT, REBUILD})  # who writes into an order's history unasked
CHANGES = (Code.NOT_FOUND, Code.WRONG_STATE, Code.IN_PROGRESS)

log = structlog.get_logger(__name__)


async def look(call: Call) -> Answer:
    """Return an order to its buyer, or to the show's host."""
    order, orders = call.path["order"], call.rooms.orders
    detail = await orders.detail(order)
    if detail is None:
        # Not in the ledger yet: as far as its checkout has come, which may be just there by now.
        found = await call.rooms.checkout.find(order)
        if found is None:
            raise unknown(order)
        detail = await orders.detail(order) or Detail(*found, contact=None, history=[], refunds=[])
    await call.require_own(detail.viewer, detail.view["show"], "order")
    shown = _shown(detail)
    if call.identity.role is Role.VIEWER:
        # Who of the shop did it is the shop's own matter.
        shown["history"] = [
            {**change, "by": change["by"] if change["by"] in OURS else "host"} for change in detail.history
        ]
    return Answer({**shown, **_contact(call, detail)})


def _shown(detail: Detail) -> View:
    shown = {**detail.view, "history": detail.history, "refunds": detail.refunds}
    return shown if detail.fulfilment is None else {**shown, "fulfilment": detail.fulfilment}


def _contact(call: Call, detail: Detail) -> dict[str, Any]:
    """Return what the buyer said of themselves; nothing where the secret that sealed it is another one by now."""
    if detail.contact is None:
        return {}
    try:
        opened: dict[str, Any] = msgspec.json.decode(
            call.rooms.contacts.open(detail.contact, detail.view["id"])
        )
    except SealError:
        log.warning("order.contact_not_opened", order=detail.view["id"])
        return {}
    return opened


async def cancel(call: Call) -> Answer:
    """Pay a whole order back and put its units on sale again, before anything of it was shipped or paid back."""
    order = await _own(call)
    moved = await call.rooms.refunds.cancel(order, _refund(call, order, b"cancel"), call.identity.subject)
    return await _changed(call, order, moved=moved)


async def refund(call: Call) -> Answer:
    """Pay units of an order back, all that are left where no lines are named."""
    body: NewRefund = call.body
    parts = [_part(at, line) for at, line in enumerate(body.lines or [])]
    order = await _own(call)
    name = _refund(call, order, msgspec.json.encode(body))
    moved = await call.rooms.refunds.refund(order, name, call.identity.subject, parts, restock=body.restock)
    return await _changed(call, order, moved=moved)


async def fulfil(call: Call) -> Answer:
    """Note that an order was shipped."""
    body: NewShipment = call.body
    told = {"carrier": body.carrier, "tracking_number": body.tracking_number}
    order = await _own(call)
    shipment = {name: value for name, value in told.items() if value is not None}
    await call.rooms.refunds.fulfil(order, shipment, call.identity.subject)
    return await _changed(call, order, moved=True)


def _part(at: int, line: RefundPart) -> Part:
    if (line.reservation is None) == (line.position is None):
        raise invalid(f"lines[{at}]: exactly one of reservation and position says which line is meant.")
    named = line.reservation if line.reservation is not None else line.position
    assert named is not None  # noqa: S101  one of the two is there
    return Part(named, line.quantity)


async def _own(call: Call) -> str:
    """Return the id of an order in the ledger whose show the caller runs."""
    order = call.path["order"]
    found = await call.rooms.orders.find(order)
    if found is not None:
        await call.require_books(found[0]["show"])
        return order
    unsettled = await call.rooms.checkout.find(order)
    if unsettled is None:
        raise unknown(order)
    view, _viewer = unsettled
    await call.require_books(view["show"])
    raise still_confirming(order, view["status"])


def _refund(call: Call, order: str, body: bytes) -> str:
    """Return a refund's id. It stands for what is asked, not for the key alone: another body is another refund."""
    if call.key is None:
        return ids.new_refund(order)
    return ids.refund(order, call.identity.subject, f"{call.key} {ids.fingerprint(body)}")


async def _changed(call: Call, order: str, *, moved: bool) -> Answer:
    """Return the order as it now is: 202 where its money has not moved yet, or that is not known."""
    detail = await call.rooms.orders.detail(order)
    if detail is None:
        raise Problem(Code.UNAVAILABLE, f"Order {order} cannot be read back.")
    return Answer(_shown(detail), 200 if moved else 202)


def _change(
    verb: str, summary: str, handler: Any, body: Any = None, also: dict[int, Any] | None = None
) -> Operation:
    return Operation(
        "POST",
        f"/v1/orders/{{order}}/{verb}",
        f"order_{verb}",
        summary,
        handler,
        Right.RUN,
        KnownOrder,
        body=body,
        optional_body=body is not None,
        also=also or {},
        keyed=Keyed.ACCEPTED,
        problems=CHANGES,
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/v1/orders/{order}",
        "order",
        "Look at an order",
        look,
        Right.LOOK,
        OwnOrder,
        problems=(Code.NOT_FOUND,),
    ),
    _change("cancel", "Pay an order back and put its units on sale again", cancel, also={202: KnownOrder}),
    _change("refund", "Pay an order back, in part or whole", refund, NewRefund, {202: KnownOrder}),
    _change("fulfil", "Note that an order was shipped", fulfil, NewShipment),
)
