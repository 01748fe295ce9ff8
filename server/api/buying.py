"""Endpoints of buyers: reserve, look, release, check out, and what became of an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server import ids, metrics
from server.api.bodies import CheckedOut, NewCheckout, NewReservation, PaymentMethod
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.auth import Right, Role
from server.checkout.saga import Paid, Pending, Request
from server.clock import monotonic
from server.errors import Code, Problem
from server.inventory import holds
from server.protocol.codec import invalid
from server.protocol.shapes import Order, Reservation

if TYPE_CHECKING:
    from server.inventory.holds import Held


async def reserve(call: Call) -> Answer:
    """Take units of a drop for the caller; repeating the Idempotency-Key takes nothing more."""
    body: NewReservation = call.body
    await call.show()
    began = monotonic()
    # The key's scope is the path: the same key on another drop is another operation.
    operation = f"{call.path['drop']} {call.key}"
    outcome = await call.rooms.holds.reserve(
        call.path["show"], call.identity.subject, operation, call.path["drop"], body.quantity
    )
    metrics.RESERVATION_SECONDS.observe(monotonic() - began)
    return Answer(_kept(outcome), 201)


async def reservation(call: Call) -> Answer:
    """Return the caller's own reservation."""
    found = await call.rooms.holds.find(call.path["reservation"])
    if found is None:
        raise holds.unknown(call.path["reservation"])
    view, viewer = found
    await _require_own(call, viewer, ids.show_of(view["id"]) or "", "reservation")
    return Answer(view)


async def release(call: Call) -> Answer:
    """Give the caller's reservation back; repeating changes nothing more."""
    wanted = call.path["reservation"]
    _show_of(call, wanted)
    return Answer(_kept(await call.rooms.holds.release(wanted, call.identity.subject)))


async def check_out(call: Call) -> Answer:
    """Turn the caller's reservations of one show into one order."""
    began = monotonic()
    outcome = await call.rooms.checkout.pay(_request(call))
    metrics.CHECKOUT_SECONDS.observe(monotonic() - began)
    match outcome:
        case Paid(order):
            return Answer({"order": order}, 201)
        case Pending(order):
            return Answer({"order": order}, 202)
        case problem:
            raise problem


def _request(call: Call) -> Request:
    body: NewCheckout = call.body
    if len(set(body.reservations)) != len(body.reservations):
        raise invalid(f"reservations: {len(body.reservations)} are named, one of them more than once.")
    if len({ids.show_of(reservation) for reservation in body.reservations}) > 1:
        raise invalid("reservations: all of an order belong to one show.")
    show = _show_of(call, body.reservations[0])
    provider = call.rooms.methods.provider_of(body.payment.method)
    details: dict[str, Any] = {
        "provider": provider,
        "method": body.payment.method,
        "token": body.payment.token,
    }
    for name in ("email", "locale"):
        if getattr(body, name) is not None:
            details[name] = getattr(body, name)
    address = msgspec.to_builtins(body.shipping_address) if body.shipping_address else {}
    if address:
        details["shipping_address"] = address
    viewer = call.identity.subject
    # The order's id stands for what is paid and how, not for the key alone: a key that is used for something else
    # once its first answer is forgotten makes another order, never the first one again.
    operation = f"{call.key} {ids.fingerprint(msgspec.json.encode(body, order='sorted'))}"
    return Request(
        order=ids.order(show, viewer, operation),
        show=show,
        viewer=viewer,
        reservations=body.reservations,
        details=details,
        expected_total=body.expected_total,
    )


async def order(call: Call) -> Answer:
    """Return an order to its buyer, or to the show's host."""
    found = await call.rooms.checkout.find(call.path["order"])
    if found is None:
        raise Problem(Code.NOT_FOUND, f"There is no order {call.path['order'][:64]!r}.")
    view, viewer = found
    await _require_own(call, viewer, view["show"], "order")
    return Answer(view)


async def methods(call: Call) -> Answer:
    """List the payment methods that checkout takes."""
    offered = call.rooms.methods.offered(call.query.get("currency", ""), call.query.get("country", ""))
    items = [
        PaymentMethod(method=method.name, provider=method.provider, synchronous=method.synchronous)
        for method in offered
    ]
    return Answer({"items": items, "next_cursor": None})


def _kept(outcome: Held | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        raise outcome
    return outcome.reservation


async def _require_own(call: Call, viewer: str, show: str, what: str) -> None:
    if call.identity.role is Role.VIEWER and viewer == call.identity.subject:
        _require_show(call, show)
        return
    if call.identity.may(Right.RUN):
        await call.owned_show(show)
        return
    raise Problem(Code.NOT_ALLOWED, f"This {what} is somebody else's.")


def _show_of(call: Call, reservation: str) -> str:
    """Return a reservation's show; raise `not-found` where the id names none, `not-allowed` as `_require_show`."""
    show = ids.show_of(reservation)
    if show is None:
        raise holds.unknown(reservation)
    _require_show(call, show)
    return show


def _require_show(call: Call, show: str) -> None:
    """Refuse a buyer whose token is for other shows: a subject is somebody only where the token says so.

    Whoever may mint tokens for one show could otherwise act for the same subject in another.
    """
    if not call.identity.covers(show):
        raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.")


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/shows/{show}/drops/{drop}/reservations",
        "reserve",
        "Take units of a drop",
        reserve,
        Right.BUY,
        Reservation,
        body=NewReservation,
        status=201,
        keyed=Keyed.REQUIRED,
        problems=(
            Code.NOT_FOUND,
            Code.OUT_OF_STOCK,
            Code.LIMIT_REACHED,
            Code.DROP_NOT_OPEN,
            Code.DROP_CLOSED,
            Code.SHOW_NOT_LIVE,
        ),
    ),
    Operation(
        "GET",
        "/v1/reservations/{reservation}",
        "reservation",
        "Look at a reservation",
        reservation,
        Right.LOOK,
        Reservation,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "DELETE",
        "/v1/reservations/{reservation}",
        "release",
        "Give a reservation back",
        release,
        Right.BUY,
        Reservation,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE, Code.IN_PROGRESS),
    ),
    Operation(
        "POST",
        "/v1/checkout",
        "checkout",
        "Pay reservations as one order",
        check_out,
        Right.BUY,
        CheckedOut,
        body=NewCheckout,
        status=201,
        also={202: CheckedOut},
        keyed=Keyed.REQUIRED,
        problems=(
            Code.NOT_FOUND,
            Code.PAYMENT_DECLINED,
            Code.WRONG_STATE,
            Code.TOTAL_CHANGED,
            Code.RESERVATION_EXPIRED,
        ),
    ),
    Operation(
        "GET",
        "/v1/orders/{order}",
        "order",
        "Look at an order",
        order,
        Right.LOOK,
        Order,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "GET",
        "/v1/payments/methods",
        "payment_methods",
        "List the payment methods",
        methods,
        Right.LOOK,
        Page[PaymentMethod],
        query={"currency": "ISO 4217", "country": "ISO 3166-1 alpha-2"},
    ),
)
