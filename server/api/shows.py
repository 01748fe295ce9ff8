"""Endpoints of shows: make, list, look, move, pin, figures, orders."""

from __future__ import annotations

from typing import Any

import msgspec

from server import ids
from server.api.bodies import Figures, NewShow, Pins
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import MAX_PAGE, PAGE, Id, Page, after, cursor
from server.api.video import require_playable
from server.auth import Right
from server.catalog import money, products
from server.errors import Code
from server.protocol.shapes import Order, Product, Show, UnixMs


async def create(call: Call) -> Answer:
    """Schedule a show; the caller becomes its host."""
    body: NewShow = call.body
    money.currency_code(body.currency)
    if body.video_url is not None:
        require_playable(body.video_url, call.rooms.settings, "video_url")
    show = ids.repeated_show(call.identity.subject, call.key) if call.key else ids.new_show()
    terms: dict[str, Any] = {"title": body.title, "currency": body.currency}
    for name in ("locale", "starts_at", "limit_per_viewer", "video_url"):
        if getattr(body, name) is not None:
            terms[name] = getattr(body, name)
    view = await call.rooms.shows.create(show, call.identity.subject, terms)
    return Answer(view, 201, {"Location": f"/v1/shows/{show}"})


async def listed(call: Call) -> Answer:
    """List the shows that the token speaks for, newest first."""
    limit = call.number("limit", PAGE, MAX_PAGE)
    place = after(call.query.get("cursor"), tuple[Id])
    rows, following = await call.rooms.shows.listed(place[0] if place else None, limit)
    items = [view for view, host in rows if call.identity.covers(view["id"], host)]
    return Answer({"items": items, "next_cursor": cursor(following) if following is not None else None})


async def look(call: Call) -> Answer:
    """Return one show."""
    return Answer(await call.show())


async def move(call: Call, verb: str) -> Answer:
    """Apply a verb of the show's state machine."""
    await call.show()
    return Answer(await call.rooms.shows.move(call.path["show"], verb))


async def start(call: Call) -> Answer:
    """Go live."""
    return await move(call, "start")


async def pause(call: Call) -> Answer:
    """Halt the show."""
    return await move(call, "pause")


async def resume(call: Call) -> Answer:
    """Go on."""
    return await move(call, "resume")


async def end(call: Call) -> Answer:
    """End the show and close its drops."""
    return await move(call, "end")


async def pin(call: Call) -> Answer:
    """Put up to three products before the viewers' eyes."""
    body: Pins = call.body
    await call.show()
    found = [
        msgspec.to_builtins(await products.get(call.rooms.ledger, sku)) for sku in dict.fromkeys(body.skus)
    ]
    await call.rooms.shows.pin(call.path["show"], found)
    return Answer({"items": found, "next_cursor": None})


async def figures(call: Call) -> Answer:
    """Return what the show earned so far."""
    await call.show()
    return Answer(await call.rooms.shows.figures(call.path["show"]))


async def orders(call: Call) -> Answer:
    """List the show's orders, newest first; also once the show itself is long over."""
    await call.require_books(call.path["show"])
    limit = call.number("limit", PAGE, MAX_PAGE)
    place = after(call.query.get("cursor"), tuple[UnixMs, Id])
    items = await call.rooms.orders.of_show(call.path["show"], limit, place)
    last = items[-1] if len(items) == limit else None
    return Answer({"items": items, "next_cursor": cursor(last["created_at"], last["id"]) if last else None})


def _moved(verb: str, handler: Any, summary: str) -> Operation:
    return Operation(
        "POST",
        f"/v1/shows/{{show}}/{verb}",
        f"show_{verb}",
        summary,
        handler,
        Right.RUN,
        Show,
        keyed=Keyed.ACCEPTED,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE),
    )


PAGING = {"limit": f"items per page, 1 to {MAX_PAGE}", "cursor": "`next_cursor` of the page before"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/shows",
        "show_create",
        "Schedule a show",
        create,
        Right.RUN,
        Show,
        body=NewShow,
        status=201,
        keyed=Keyed.ACCEPTED,
    ),
    Operation("GET", "/v1/shows", "show_list", "List shows", listed, Right.LOOK, Page[Show], query=PAGING),
    Operation(
        "GET",
        "/v1/shows/{show}",
        "show",
        "Look at a show",
        look,
        Right.LOOK,
        Show,
        problems=(Code.NOT_FOUND,),
    ),
    _moved("start", start, "Go live"),
    _moved("pause", pause, "Halt the show"),
    _moved("resume", resume, "Go on with the show"),
    _moved("end", end, "End the show"),
    Operation(
        "PUT",
        "/v1/shows/{show}/pinned",
        "show_pin",
        "Pin up to three products",
        pin,
        Right.RUN,
        Page[Product],
        body=Pins,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE),
    ),
    Operation(
        "GET",
        "/v1/shows/{show}/metrics",
        "show_metrics",
        "What the show earned so far",
        figures,
        Right.RUN,
        Figures,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "GET",
        "/v1/shows/{show}/orders",
        "show_orders",
        "List a show's orders",
        orders,
        Right.RUN,
        Page[Order],
        query=PAGING,
        problems=(Code.NOT_FOUND,),
    ),
)
