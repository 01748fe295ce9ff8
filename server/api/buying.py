"""Endpoints of buyers: check out, and how one can pay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server import ids, metrics
from server.api.bodies import CheckedOut, NewCheckout, PaymentMethod
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.api.reservations import REFUSED, show_of, wanted
from server.auth import Right
from server.checkout.saga import Paid, Pending, Request
from server.clock import monotonic
from server.errors import Code, Problem
from server.protocol.codec import invalid

if TYPE_CHECKING:
    from server.payments.methods import Method


async def check_out(call: Call) -> Answer:
    """Turn the caller's reservations of one show, or items of drops that hold nothing, into one order."""
    began = monotonic()
    request = await _request(call)
    outcome = await call.rooms.checkout.pay(request)
    seconds = monotonic() - began
    metrics.CHECKOUT_SECONDS.observe(seconds)
    tap = call.rooms.taps.tap
    if tap is not None:
        code = outcome.code.value if isinstance(outcome, Problem) else type(outcome).__name__.lower()
        tap.paid(
            request.show, request.viewer, request.reservations, request.items, seconds=seconds, code=code
        )
    match outcome:
        case Paid(order):
            return Answer({"order": order}, 201)
        case Pending(order):
            return Answer({"order": order}, 202)
        case problem:
            raise problem


async def _request(call: Call) -> Request:
    body: NewCheckout = call.body
    show = _show(call, body)
    method = await _method(call, body, show)
    details: dict[str, Any] = {
        "provider": method.provider,
        "method": method.name,
        "token": body.payment.token,
    }
    if body.payment.return_url is not None:
        details["return_url"] = body.payment.return_url
    if body.locale is not None:
        details["locale"] = body.locale
    viewer = call.identity.subject
    # The order's id stands for what is paid and how, not for the key alone: a key that is used for something else
    # once its first answer is forgotten makes another order, never the first one again.
    operation = f"{call.key} {ids.fingerprint(msgspec.json.encode(body, order='sorted'))}"
    order = ids.order(show, viewer, operation)
    contact = {"email": body.email, "shipping_address": body.shipping_address}
    told = {name: value for name, value in contact.items() if value}
    if told:
        # Nobody reads it on its way: the store keeps an unfinished order, and the ledger this text.
        details["contact"] = call.rooms.contacts.seal(msgspec.json.encode(told), order)
    return Request(
        order=order,
        show=show,
        viewer=viewer,
        reservations=body.reservations or [],
        details=details,
        expected_total=body.expected_total,
        items=tuple(wanted(body.items or [])),
        operation=operation,
        address=call.address,
    )


def _show(call: Call, body: NewCheckout) -> str:
    """Return the show that everything to be paid belongs to."""
    if (body.reservations is None) == (body.items is None):
        raise invalid("reservations, items: exactly one of the two says what is paid.")
    if body.items is not None:
        wanted(body.items)
        named, field = [item.drop for item in body.items], "items"
        kind: ids.Kind = "dr"
    else:
        named, field, kind = body.reservations or [], "reservations", "rs"
        if len(set(named)) != len(named):
            raise invalid(f"reservations: {len(named)} are named, one of them more than once.")
    if len({ids.show_of(each, kind) for each in named}) > 1:
        raise invalid(f"{field}: all of an order belong to one show.")
    if body.items is None:
        return show_of(call, named[0])
    show = ids.show_of(named[0], kind)
    if show is None:
        raise Problem(Code.NOT_FOUND, f"There is no drop {named[0][:64]!r}.")
    call.require_show(show)
    return show


async def _method(call: Call, body: NewCheckout, show: str) -> Method:
    """Return how the buyer pays, if that is offered in the show's currency and the country that it is sent to."""
    method = call.rooms.methods.find(body.payment.method)
    if method.everywhere:
        return method
    view, _host = await call.rooms.shows.find(show)
    country = body.shipping_address.country.upper() if body.shipping_address else ""
    return call.rooms.methods.require(method.name, view["currency"], country)


async def methods(call: Call) -> Answer:
    """List the payment methods that checkout takes."""
    currency = _code(call, "currency", 3, "an ISO 4217 code such as EUR")
    country = _code(call, "country", 2, "an ISO 3166-1 alpha-2 code such as DE")
    offered = call.rooms.methods.offered(currency, country)
    items = [
        PaymentMethod(method=method.name, provider=method.provider, synchronous=method.synchronous)
        for method in offered
    ]
    return Answer({"items": items, "next_cursor": None})


def _code(call: Call, name: str, length: int, expected: str) -> str:
    """Return a code of capital letters in the query, empty where none is given."""
    text = call.query.get(name, "")
    if text and not (len(text) == length and text.isascii() and text.isalpha() and text.isupper()):
        raise invalid(f"{name}: {expected} is expected, given {text[:20]!r}.")
    return text


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/checkout",
        "checkout",
        "Pay reservations, or items of drops that hold nothing, as one order",
        check_out,
        Right.BUY,
        CheckedOut,
        body=NewCheckout,
        status=201,
        also={202: CheckedOut},
        keyed=Keyed.REQUIRED,
        problems=(
            *REFUSED,
            Code.PAYMENT_DECLINED,
            Code.TOTAL_CHANGED,
            Code.RESERVATION_EXPIRED,
        ),
    ),
    Operation(
        "GET",
        "/v1/payments/methods",
        "payment_methods",
        "List the payment methods",
        methods,
        Right.LOOK,
        Page[PaymentMethod],
        query={
            "currency": "ISO 4217; left out: methods of any currency",
            "country": "ISO 3166-1 alpha-2, where the buyer is; left out: methods that work in every country",
        },
    ),
)
