"""Endpoints of receipts: one for an award that was made, the public keys, and what a receipt says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.api.http import Answer, Call, Operation
from server.auth import Right
from server.errors import Code
from server.inventory.outcomes import unknown
from server.protocol.shapes import Shape
from server.receipts import MAX_LENGTH, Receipt, ReceiptError, sentence

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from server.api.rooms import Rooms

KEYS_SECONDS = 3600  # how long the public keys may be kept by who asks: they change with the secret alone


class SignedReceipt(Shape):
    """A receipt as a JWS, what it says, and the same in words."""

    receipt: str
    facts: Receipt
    sentence: str


class GivenReceipt(Struct, kw_only=True):
    """A receipt to look at."""

    receipt: Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)]


class CheckedReceipt(Shape):
    """Whether this server signed a receipt: what it says, or the reason why not."""

    valid: bool
    facts: Receipt | UnsetType = UNSET
    sentence: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


async def award(call: Call) -> Answer:
    """Return a receipt for the award that made the caller's reservation, whatever became of it since."""
    facts = await call.rooms.awards.find(call.path["reservation"])
    if facts is None:
        raise unknown(call.path["reservation"])
    await call.require_own(facts.sub, facts.show, "reservation")
    return Answer(
        SignedReceipt(receipt=call.rooms.receipts.sign(facts), facts=facts, sentence=sentence(facts))
    )


async def verify(call: Call) -> Answer:
    """Say whether this server signed a receipt, and what it says."""
    body: GivenReceipt = call.body
    try:
        facts = call.rooms.receipts.verify(body.receipt)
    except ReceiptError as error:
        return Answer(CheckedReceipt(valid=False, reason=str(error)))
    return Answer(CheckedReceipt(valid=True, facts=facts, sentence=sentence(facts)))


def routes(rooms: Rooms) -> list[Route]:
    """Return the route to the public keys: for everybody, without a token, as a JWK set."""

    async def keys(_request: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={KEYS_SECONDS}"}
        return JSONResponse(rooms.receipts.jwks, headers=headers)

    return [Route("/v1/receipts/keys", keys)]


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/v1/reservations/{reservation}/receipt",
        "reservation_receipt",
        "Get a signed receipt of the award that made a reservation",
        award,
        Right.LOOK,
        SignedReceipt,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "POST",
        "/v1/receipts/verify",
        "receipt_verify",
        "Say whether a receipt is this server's, and what it says",
        verify,
        Right.LOOK,
        CheckedReceipt,
        body=GivenReceipt,
    ),
)
