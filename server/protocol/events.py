"""What the server says on the live socket: one struct per message, told apart by `type`.

Log events carry `offset` (gapless per show) and `at`; live numbers carry neither, and only the newest counts.
The structs are the AsyncAPI document's source. Log events are packed by the Lua scripts and pass through this
process as bytes, so nothing here is built per viewer.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from server.errors import Code, Problem
from server.protocol.shapes import (
    Count,
    Drop,
    Order,
    Place,
    Product,
    Reservation,
    Snapshot,
    Stock,
    UnixMs,
    Waiting,
)

Message = dict[str, Any]


class ServerMessage(Struct, tag_field="type", kw_only=True, omit_defaults=True):
    """The base of everything that the server says."""


class Welcome(ServerMessage, tag="welcome"):
    """The answer to `hello`: `missed` events follow as messages of their own, then the stream from `offset + 1`."""

    session: str
    viewer: str
    epoch: str
    offset: Count
    server_time_at: UnixMs
    recovered: bool
    snapshot: Snapshot | UnsetType = UNSET
    missed: Count | UnsetType = UNSET
    reservations: list[Reservation] | UnsetType = UNSET
    waitlist: list[Place] | UnsetType = UNSET


class Challenge(ServerMessage, tag="challenge"):
    """A viewer whom nobody knows has work to do first: `hello` again, until `answer_by_at`, with its `proof`.

    An answer of decimal digits for which SHA-256 of `nonce:answer` begins with `bits` zero bits; until `expires_at`
    later hellos of the same viewer to the same show may bring the same proof.
    """

    nonce: str
    bits: Count
    answer_by_at: UnixMs
    expires_at: UnixMs


class WaitingRoom(ServerMessage, tag="waiting"):
    """The welcome has to wait for a seat: where this viewer stands among those who `waiting` tells, 1 is the next.

    Before the show's opening, at `opens_at`, nobody has a place: they are drawn by lot. `estimate_ms` is null while
    nobody knows; for `keep_ms` the place is kept for a viewer whose connection has gone. `title` is the show's.
    """

    status: Literal["before_opening", "in_line"]
    place: Count | None
    waiting: Count
    estimate_ms: Count | None
    opens_at: UnixMs | None
    keep_ms: Count
    title: str


class ReservationChanged(ServerMessage, tag="reservation"):
    """A reservation as it now is; with `id` where it answers a command.

    `waiting` is the place in the queue for the rest, where only a part was left; `receipt` a signed account (JWS).
    """

    reservation: Reservation
    replayed: bool
    id: str | UnsetType = UNSET
    waiting: Waiting | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


class BundleTaken(ServerMessage, tag="bundle"):
    """Reservations that were taken together, in the order in which they were asked for."""

    id: str
    reservations: list[Reservation]
    replayed: bool


class WaitlistPlace(ServerMessage, tag="waitlist"):
    """Where a viewer stands in a drop's queue: 1 is the next, 0 for who is in none (any more); in a draw: which entry.

    With `id` where it answers a command; without it where the queue has moved.
    """

    drop: str
    position: Count
    length: Count
    quantity: Count
    id: str | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


class WaitlistPromoted(ServerMessage, tag="waitlist.promoted"):
    """Who waited has got units: held for them as any other reservation."""

    drop: str
    reservation: Reservation


class ErrorMessage(ServerMessage, tag="error"):
    """A command that was refused, or could not be done."""

    code: Code
    message: str
    id: str | UnsetType = UNSET
    retry_after_ms: Count | UnsetType = UNSET
    available: Count | UnsetType = UNSET
    held: Count | UnsetType = UNSET  # by others: some may come back
    opens_at: UnixMs | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


class Pong(ServerMessage, tag="pong"):
    """A sign of life with the Redis clock as this process knows it."""

    server_time_at: UnixMs
    id: str | UnsetType = UNSET


class Ok(ServerMessage, tag="ok"):
    """The fresh token is taken."""


class LogEvent(ServerMessage):
    """The base of the log's events."""

    offset: Count
    at: UnixMs


class ShowStarted(LogEvent, tag="show.started"):
    """The show is live."""


class ShowPaused(LogEvent, tag="show.paused"):
    """Nothing can be taken for now."""


class ShowResumed(LogEvent, tag="show.resumed"):
    """The show goes on."""


class ShowEnded(LogEvent, tag="show.ended"):
    """The show is over."""


class ShowArranged(LogEvent, tag="show.arranged"):
    """The hosts mean to bring the drops in this order; those that are not named come after them."""

    drops: list[str]


class VideoChanged(LogEvent, tag="video.changed"):
    """The show's video is elsewhere now; without an address it has none any more."""

    video_url: str | UnsetType = UNSET


class ProductPinned(LogEvent, tag="product.pinned"):
    """These products are before the viewers' eyes now."""

    products: list[Product]


class DropScheduled(LogEvent, tag="drop.scheduled"):
    """A drop is planned, or its countdown was called off: it is planned again."""

    drop: Drop


class DropCountdown(LogEvent, tag="drop.countdown"):
    """The drop opens at `opens_at`."""

    drop: Drop
    opens_at: UnixMs


class DropOpened(LogEvent, tag="drop.opened"):
    """Units can be taken now."""

    drop: Drop


class DropPaused(LogEvent, tag="drop.paused"):
    """No units can be taken for now."""

    drop_id: str


class DropResumed(LogEvent, tag="drop.resumed"):
    """Units can be taken again."""

    drop_id: str


class DropRestocked(LogEvent, tag="drop.restocked"):
    """There are more units; with `wave` where they were planned: which of the waves it is, from 1."""

    drop_id: str
    stock: Stock
    wave: Count | UnsetType = UNSET


class DropSoldOut(LogEvent, tag="drop.sold_out"):
    """Nothing is available at this moment; held units may come back."""

    drop_id: str


class DropDrawn(LogEvent, tag="drop.drawn"):
    """A draw is over: its secret, by which anybody can draw again; the winners' reservations follow."""

    drop_id: str
    seed: str
    seed_hash: str
    entries: Count
    units: Count
    chain: str  # the head of the award log at this moment: the entries cannot be rewritten behind it


class DropClosed(LogEvent, tag="drop.closed"):
    """Nothing can be taken any more."""

    drop_id: str
    stock: Stock


class StockUpdated(ServerMessage, tag="stock.updated"):
    """A drop's newest numbers."""

    drop_id: str
    available: Count
    held: Count
    sold: Count
    quantity: Count
    revision: Count
    waitlist_length: Count


class ViewersUpdated(ServerMessage, tag="viewers.updated"):
    """How many viewers are here, by viewer and not by socket."""

    count: Count


class Reactions(ServerMessage, tag="reactions"):
    """How often each kind was sent since the show began."""

    counts: dict[str, Count]


class OrderUpdated(ServerMessage, tag="order.updated"):
    """An order of this viewer changed."""

    order: Order


LOG_EVENTS: tuple[type[LogEvent], ...] = (
    ShowStarted,
    ShowPaused,
    ShowResumed,
    ShowEnded,
    ShowArranged,
    VideoChanged,
    ProductPinned,
    DropScheduled,
    DropCountdown,
    DropOpened,
    DropPaused,
    DropResumed,
    DropRestocked,
    DropSoldOut,
    DropDrawn,
    DropClosed,
)
SERVER_MESSAGES: tuple[type[ServerMessage], ...] = (
    Welcome,
    Challenge,
    WaitingRoom,
    ReservationChanged,
    BundleTaken,
    WaitlistPlace,
    WaitlistPromoted,
    ErrorMessage,
    Pong,
    Ok,
    *LOG_EVENTS,
    StockUpdated,
    ViewersUpdated,
    Reactions,
    OrderUpdated,
)

ERROR_FIELDS = ("retry_after_ms", "available", "held", "opens_at")


def error_message(problem: Problem, operation: str | None = None) -> Message:
    """Return a problem as the socket's `error` message, answering the operation where one is known."""
    message: Message = {"type": "error", "code": problem.code.value, "message": problem.detail}
    if operation is not None:
        message["id"] = operation
    message.update({name: problem.extras[name] for name in ERROR_FIELDS if name in problem.extras})
    return message
