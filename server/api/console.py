"""Endpoints of the host's console: the order in which the drops are to come, and the show's figures over time."""

from __future__ import annotations

from server.api.bodies import Point, Run
from server.api.http import Answer, Call, Operation
from server.api.paging import Page
from server.auth import Right
from server.errors import Code
from server.protocol.codec import invalid
from server.protocol.shapes import Drop

MAX_MOMENT = 14  # digits of a Unix time in ms


async def arrange(call: Call) -> Answer:
    """Put the drops in an order; return all of them, those that were named first."""
    body: Run = call.body
    await call.show()
    if len(set(body.drops)) < len(body.drops):
        raise invalid("drops: a drop has one place in the run of the show, and is named once.")
    await call.rooms.shows.arrange(call.path["show"], body.drops)
    place = {drop: number for number, drop in enumerate(body.drops)}
    drops = await call.rooms.drops.listed(call.path["show"])
    items = sorted(drops, key=lambda drop: place.get(drop["id"], len(place)))
    return Answer({"items": items, "next_cursor": None})


async def series(call: Call) -> Answer:
    """Return the show's figures over time."""
    await call.show()
    since = call.query.get("since_at", "0")
    if not (since.isascii() and since.isdecimal() and len(since) <= MAX_MOMENT):
        raise invalid(f"since_at: Unix milliseconds are expected, given {since[:20]!r}.")
    return Answer(
        {"items": await call.rooms.series.points(call.path["show"], int(since)), "next_cursor": None}
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "PUT",
        "/v1/shows/{show}/run",
        "show_arrange",
        "Put the drops into the order in which they are to come",
        arrange,
        Right.RUN,
        Page[Drop],
        body=Run,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE),
    ),
    Operation(
        "GET",
        "/v1/shows/{show}/metrics/series",
        "show_series",
        "A show's figures over time, every 10 s while it is on",
        series,
        Right.RUN,
        Page[Point],
        query={"since_at": "only what came after this moment (Unix ms)"},
        problems=(Code.NOT_FOUND,),
    ),
)
