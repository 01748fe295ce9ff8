"""The door of the payment providers: what they tell by webhook. No token: each signs in a way of its own."""

from __future__ import annotations

from server.api.http import Answer, Call, Operation
from server.errors import Code, Problem
from server.payments.provider import ForgedError


async def heard(call: Call) -> Answer:
    """Look at the payment that a webhook is about. It may come twice, late, in any order: it changes nothing itself."""
    named = call.path["provider"]
    provider = next((each for each in call.rooms.methods.providers() if each.name == named), None)
    if provider is None:
        raise Problem(Code.NOT_FOUND, f"There is no provider {named[:64]!r} here.")
    try:
        order = provider.heard(call.headers, call.body)
    except ForgedError as error:
        raise Problem(Code.UNAUTHENTICATED, str(error)) from None
    if order:
        await call.rooms.checkout.look(order)
    return Answer(None, 204)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/payments/{provider}/webhook",
        "payment_webhook",
        "Hear a payment provider's webhook, in the provider's own form",
        heard,
        None,
        None,
        status=204,
        problems=(Code.NOT_FOUND, Code.PAYLOAD_TOO_LARGE),
    ),
)
