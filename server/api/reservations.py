"""Endpoints of reservations: take units of one drop or of several, look, give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server import ids, metrics
from server.api.bodies import Item, NewBundle, NewReservation, Queued, Reserved
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.auth import Right
from server.clock import monotonic
from server.errors import Code, Problem
from server.inventory.facts import receipt
from server.inventory.outcomes import Waiting, unknown
from server.protocol.codec import invalid
from server.protocol.shapes import Reservation

if TYPE_CHECKING:
    from server.inventory.outcomes import Held, Outcome

REFUSED = (
    Code.NOT_FOUND,
    Code.OUT_OF_STOCK,
    Code.LIMIT_REACHED,
    Code.DROP_NOT_OPEN,
    Code.DROP_CLOSED,
    Code.SHOW_NOT_LIVE,
    Code.WRONG_STATE,
    Code.RATE_LIMITED,
)


async def reserve(call: Call) -> Answer:
    """Take units of a drop for the caller; repeating the Idempotency-Key takes nothing more.

    201 with the reservation. In part, where nothing is left: 202 with the place in the queue. Whatever it is comes
    with a receipt where one is asked for and anything was decided.
    """
    body: NewReservation = call.body
    await call.seated_show()
    began = monotonic()
    path = call.path
    # The key's scope is the path: the same key on another drop is another operation.
    operation = f"{path['drop']} {call.key}"
    outcome = await call.rooms.holds.reserve(
        path["show"],
        call.identity.subject,
        operation,
        path["drop"],
        body.quantity,
        part=body.part,
        exact=body.receipt,
        address=call.address,
    )
    metrics.RESERVATION_SECONDS.observe(monotonic() - began)
    signed = _signed(call, body.quantity, outcome) if body.receipt else {}
    if isinstance(outcome, Problem):
        # Another one, because who waited in the same line may have been told the same.
        raise Problem(outcome.code, outcome.detail, **outcome.extras, **signed) if signed else outcome
    if isinstance(outcome, Waiting):
        return Answer({**place(outcome), **signed}, 202)
    return Answer({**_reserved(outcome), **signed}, 201)


def _signed(call: Call, quantity: int, outcome: Outcome) -> dict[str, str]:
    facts = receipt(call.path["show"], call.identity.subject, call.key or "", quantity, outcome)
    return {"receipt": call.rooms.receipts.sign(facts)} if facts is not None else {}


def _reserved(held: Held) -> dict[str, Any]:
    if held.waiting is None:
        return held.reservation
    waiting = place(held.waiting)
    del waiting["drop"]
    return {**held.reservation, "waiting": waiting}


def place(waiting: Waiting) -> dict[str, Any]:
    """Return a place in a queue as it is shown."""
    return {
        "drop": waiting.drop,
        "position": waiting.position,
        "length": waiting.length,
        "quantity": waiting.quantity,
    }


async def reserve_bundle(call: Call) -> Answer:
    """Take units of several drops of one show, all of them or none; repeating the key takes nothing more."""
    body: NewBundle = call.body
    await call.seated_show()
    began = monotonic()
    outcome = await call.rooms.holds.bundle(
        call.path["show"],
        call.identity.subject,
        f"bundle {call.key}",
        wanted(body.items),
        address=call.address,
    )
    metrics.RESERVATION_SECONDS.observe(monotonic() - began)
    if isinstance(outcome, Problem):
        raise outcome
    return Answer({"items": outcome.reservations, "next_cursor": None}, 201)


def wanted(items: list[Item]) -> list[tuple[str, int]]:
    """Return items as the inventory takes them; raise `invalid-message` where a drop is named twice."""
    if len({item.drop for item in items}) != len(items):
        raise invalid(f"items: {len(items)} are named, one drop of them more than once.")
    return [(item.drop, item.quantity) for item in items]


async def look(call: Call) -> Answer:
    """Return the caller's own reservation."""
    found = await call.rooms.holds.find(call.path["reservation"])
    if found is None:
        raise unknown(call.path["reservation"])
    view, viewer = found
    await call.require_own(viewer, ids.show_of(view["id"], "rs") or "", "reservation")
    return Answer(view)


async def release(call: Call) -> Answer:
    """Give the caller's reservation back; repeating changes nothing more."""
    reservation = call.path["reservation"]
    show_of(call, reservation)
    outcome = await call.rooms.holds.release(reservation, call.identity.subject)
    if isinstance(outcome, Problem):
        raise outcome
    return Answer(outcome.reservation)


def show_of(call: Call, reservation: str) -> str:
    """Return a reservation's show; raise `not-found` where the id names none, `not-allowed` as `require_show`."""
    show = ids.show_of(reservation, "rs")
    if show is None:
        raise unknown(reservation)
    call.require_show(show)
    return show


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/shows/{show}/drops/{drop}/reservations",
        "reserve",
        "Take units of a drop; in part: 202 with the place in the queue where none are left",
        reserve,
        Right.BUY,
        Reserved,
        body=NewReservation,
        status=201,
        also={202: Queued},
        keyed=Keyed.REQUIRED,
        problems=REFUSED,
    ),
    Operation(
        "POST",
        "/v1/shows/{show}/reservations",
        "reserve_bundle",
        "Take units of several drops, all or nothing",
        reserve_bundle,
        Right.BUY,
        Page[Reservation],
        body=NewBundle,
        status=201,
        keyed=Keyed.REQUIRED,
        problems=REFUSED,
    ),
    Operation(
        "GET",
        "/v1/reservations/{reservation}",
        "reservation",
        "Look at a reservation",
        look,
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
        problems=(Code.NOT_FOUND, Code.WRONG_STATE, Code.IN_PROGRESS, Code.RATE_LIMITED),
    ),
)
