"""Endpoints of the waitlist: queue for units that may come back or enter a draw, look where one stands, leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from server.api.bodies import NewPlace, Queued
from server.api.http import Answer, Call, Keyed, Operation
from server.api.reservations import place
from server.auth import Right
from server.errors import Code, Problem

if TYPE_CHECKING:
    from server.inventory.outcomes import Waiting

PATH = "/v1/shows/{show}/drops/{drop}/waitlist"


async def join(call: Call) -> Answer:
    """Wait for units, or enter the draw; who waits already keeps the place. Position 0: the units are given already."""
    body: NewPlace = call.body
    await call.seated_show()
    path = call.path
    # Who names no key and asks twice keeps one place; only who was served in between would queue anew.
    operation = call.key or ids.secret(12)
    return _answer(
        await call.rooms.waitlist.join(
            path["show"],
            call.identity.subject,
            operation,
            path["drop"],
            body.quantity,
            address=call.address,
        )
    )


async def look(call: Call) -> Answer:
    """Return where the caller stands; position 0: nowhere."""
    await call.show()
    return _answer(
        await call.rooms.waitlist.place(call.path["show"], call.identity.subject, call.path["drop"])
    )


async def leave(call: Call) -> Answer:
    """Give the caller's place up; repeating changes nothing more."""
    await call.show()
    return _answer(
        await call.rooms.waitlist.leave(call.path["show"], call.identity.subject, call.path["drop"])
    )


def _answer(outcome: Waiting | Problem) -> Answer:
    if isinstance(outcome, Problem):
        raise outcome
    return Answer(place(outcome))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        PATH,
        "waitlist_join",
        "Wait for units of a drop, or enter its draw",
        join,
        Right.BUY,
        Queued,
        body=NewPlace,
        optional_body=True,
        keyed=Keyed.ACCEPTED,
        problems=(
            Code.NOT_FOUND,
            Code.LIMIT_REACHED,
            Code.DROP_NOT_OPEN,
            Code.DROP_CLOSED,
            Code.SHOW_NOT_LIVE,
            Code.WRONG_STATE,
            Code.RATE_LIMITED,
        ),
    ),
    Operation(
        "GET",
        PATH,
        "waitlist_place",
        "Look where one stands",
        look,
        Right.BUY,
        Queued,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "DELETE",
        PATH,
        "waitlist_leave",
        "Give the place up",
        leave,
        Right.BUY,
        Queued,
        problems=(Code.NOT_FOUND, Code.DROP_CLOSED, Code.RATE_LIMITED),
    ),
)
