"""Endpoints of drops: plan, list, look, the moves of their state machine, and what became of a draw."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from server import ids
from server.api.bodies import NewDrop, OpenDrop, Restock
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.auth import Right
from server.catalog import products
from server.errors import Code
from server.inventory.draw_log import Draw
from server.protocol.codec import invalid
from server.protocol.shapes import MAX_DROP_QUANTITY, Drop, Product

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
        "waitlist": body.waitlist and body.mode != "first_paid",
    }
    if call.rooms.settings.units_per_address:
        terms["limit_per_address"] = call.rooms.settings.units_per_address
    if product.options:
        terms["options"] = product.options
        terms["handle"] = product.handle
    if product.images:
        terms["image"] = product.images[0]
    for name in ("opens_at", "closes_at"):
        if getattr(body, name) is not None:
            terms[name] = getattr(body, name)
    if body.closes_at is not None and body.closes_at <= (body.opens_at or 0):
        raise invalid(f"closes_at: {body.closes_at} is not after opens_at, {body.opens_at}.")
    if body.waves:
        _check_waves(body)
        terms["waves"] = msgspec.to_builtins(body.waves)
    caller = call.identity.subject
    drop = ids.repeated_drop(show["id"], caller, call.key) if call.key else ids.new_drop(show["id"])
    view = await call.rooms.drops.create(show["id"], drop, terms, body.quantity)
    return Answer(view, 201, {"Location": f"/v1/shows/{show['id']}/drops/{drop}"})


def _check_waves(body: NewDrop) -> None:
    """Refuse waves that could not come in their order, or would bring more units than a drop may have."""
    units = body.quantity + sum(wave.quantity for wave in body.waves)
    if units > MAX_DROP_QUANTITY:
        raise invalid(
            f"waves: with them the drop has {units} units, at most {MAX_DROP_QUANTITY} are allowed."
        )
    moments = [wave.at for wave in body.waves if wave.at is not None]
    delays = [wave.after_seconds for wave in body.waves if wave.after_seconds is not None]
    if moments and delays:
        raise invalid("waves: all of a drop are planned by `at`, or all by `after_seconds`.")
    for earlier, later in [*pairwise(moments), *pairwise(delays)]:
        if later <= earlier:
            raise invalid(f"waves: {later} is not after {earlier}, which comes before it.")
    if moments and moments[0] <= (body.opens_at or 0):
        raise invalid(f"waves: {moments[0]} is not after opens_at, {body.opens_at}.")
    if moments and body.closes_at is not None and moments[-1] >= body.closes_at:
        raise invalid(f"waves: {moments[-1]} is not before closes_at, {body.closes_at}.")


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


async def cancel(call: Call) -> Answer:
    """Call a countdown off."""
    await call.show()
    return Answer(await call.rooms.drops.cancel(call.path["show"], call.path["drop"]))


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
    path = call.path
    return Answer(await call.rooms.drops.restock(path["show"], path["drop"], body.quantity, _operation(call)))


async def wave(call: Call) -> Answer:
    """Release the next wave now, whether or not it was planned for later."""
    await call.show()
    return Answer(await call.rooms.drops.wave(call.path["show"], call.path["drop"], _operation(call)))


def _operation(call: Call) -> str:
    """Return what the script knows a repeat by; empty where the caller named no key."""
    return f"{call.identity.subject} {call.key}" if call.key else ""


async def draw(call: Call) -> Answer:
    """Return a draw's log: who entered and, once it is drawn, who won, with the seed to check that by."""
    await call.show()
    return Answer(await call.rooms.draws.published(call.path["show"], call.path["drop"]))


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
    _moved("cancel", cancel, "Call a countdown off: the drop is planned again"),
    _moved("pause", pause, "Stop taking units for a while"),
    _moved("resume", resume, "Let units be taken again"),
    _moved("close", close, "Close a drop for good"),
    _moved("restock", restock, "Add units", Restock),
    _moved("wave", wave, "Release the next wave of units"),
    Operation(
        "GET",
        "/v1/shows/{show}/drops/{drop}/draw",
        "drop_draw",
        "Look at a draw: all its entries, and its winners once it is drawn",
        draw,
        Right.LOOK,
        Draw,
        problems=MOVES,
    ),
)
