"""Endpoints of drops: plan, list, look, and the moves of their state machine."""

from __future__ import annotations

from typing import Any

from server import ids
from server.api.bodies import NewDrop, OpenDrop, Restock
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.auth import Right
from server.catalog import products
from server.errors import Code
from server.protocol.codec import invalid
from server.protocol.shapes import Drop, Product

MOVES = (Code.NOT_FOUND, Code.WRONG_STATE)
FURTHER = {"open": (Code.SHOW_NOT_LIVE,), "restock": (Code.LIMIT_REACHED,)}


async def create(call: Call) -> Answer:
    """Plan a drop of a product of the catalog."""
    body: NewDrop = call.body
    show = await call.show()
    product = await products.get(call.rooms.ledger, body.sku)
    terms: dict[str, Any] = {
        "sku": body.sku,
        "title": product.title,
        "unit_price": _price(body, product, show),
        "currency": show["currency"],
        "limit_per_viewer": body.limit_per_viewer,
        "hold_seconds": body.hold_seconds,
        "mode": body.mode,
        "waitlist": body.waitlist,
    }
    if product.options:
        terms["options"] = product.options
    if product.images:
        terms["image"] = product.images[0]
    if body.opens_at is not None:
        terms["opens_at"] = body.opens_at
    if body.closes_at is not None:
        terms["closes_at"] = body.closes_at
    if body.closes_at is not None and body.closes_at <= (body.opens_at or 0):
        raise invalid(f"closes_at: {body.closes_at} is not after opens_at, {body.opens_at}.")
    caller = call.identity.subject
    drop = ids.repeated_drop(show["id"], caller, call.key) if call.key else ids.new_drop(show["id"])
    view = await call.rooms.drops.create(show["id"], drop, terms, body.quantity)
    return Answer(view, 201, {"Location": f"/v1/shows/{show['id']}/drops/{drop}"})


def _price(body: NewDrop, product: Product, show: dict[str, Any]) -> int:
    if body.unit_price is not None:
        return body.unit_price
    if product.currency != show["currency"]:
        raise invalid(
            f"unit_price: {body.sku} is priced in {product.currency}, the show sells in {show['currency']}; "
            "name a price."
        )
    return product.unit_price


async def listed(call: Call) -> Answer:
    """List a show's drops in the order in which they were planned."""
    await call.show()
    return Answer({"items": await call.rooms.drops.listed(call.path["show"]), "next_cursor": None})


async def look(call: Call) -> Answer:
    """Return one drop with its four numbers."""
    await call.show()
    return Answer(await call.rooms.drops.find(call.path["show"], call.path["drop"]))


async def open_(call: Call) -> Answer:
    """Open a drop now or after a countdown."""
    body: OpenDrop = call.body
    await call.show()
    return Answer(await call.rooms.drops.open(call.path["show"], call.path["drop"], body.countdown_ms))


async def pause(call: Call) -> Answer:
    """Stop taking units for a while."""
    await call.show()
    return Answer(await call.rooms.drops.pause(call.path["show"], call.path["drop"]))


async def resume(call: Call) -> Answer:
    """Let units be taken again."""
    await call.show()
    return Answer(await call.rooms.drops.resume(call.path["show"], call.path["drop"]))


async def close(call: Call) -> Answer:
    """Close a drop for good."""
    await call.show()
    return Answer(await call.rooms.drops.close(call.path["show"], call.path["drop"]))


async def restock(call: Call) -> Answer:
    """Add units."""
    body: Restock = call.body
    await call.show()
    operation = f"{call.identity.subject} {call.key}" if call.key else ""
    path = call.path
    return Answer(await call.rooms.drops.restock(path["show"], path["drop"], body.quantity, operation))


def _moved(verb: str, handler: Any, summary: str, body: Any = None, *, optional: bool = False) -> Operation:
    return Operation(
        "POST",
        f"/v1/shows/{{show}}/drops/{{drop}}/{verb}",
        f"drop_{verb}",
        summary,
        handler,
        Right.RUN,
        Drop,
        body=body,
        optional_body=optional,
        keyed=Keyed.ACCEPTED,
        problems=(*MOVES, *FURTHER.get(verb, ())),
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/shows/{show}/drops",
        "drop_create",
        "Plan a drop",
        create,
        Right.RUN,
        Drop,
        body=NewDrop,
        status=201,
        keyed=Keyed.ACCEPTED,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE, Code.LIMIT_REACHED),
    ),
    Operation(
        "GET",
        "/v1/shows/{show}/drops",
        "drop_list",
        "List a show's drops",
        listed,
        Right.LOOK,
        Page[Drop],
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "GET",
        "/v1/shows/{show}/drops/{drop}",
        "drop",
        "Look at a drop",
        look,
        Right.LOOK,
        Drop,
        problems=(Code.NOT_FOUND,),
    ),
    _moved("open", open_, "Open a drop now or after a countdown", OpenDrop, optional=True),
    _moved("pause", pause, "Stop taking units for a while"),
    _moved("resume", resume, "Let units be taken again"),
    _moved("close", close, "Close a drop for good"),
    _moved("restock", restock, "Add units", Restock),
)
