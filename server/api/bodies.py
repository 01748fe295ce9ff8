"""What callers send: one struct per request body, checked for types and ranges before anything is done."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from server.auth import EVERY_SHOW, MAX_SUBJECT_LENGTH, MAX_TTL_SECONDS, Role
from server.inventory.asks import MAX_ITEMS
from server.protocol.shapes import (
    MAX_DROP_QUANTITY,
    MAX_RESERVATION_QUANTITY,
    MAX_UNIT_PRICE,
    DropMode,
    Identifier,
    Order,
    Quantity,
    Reservation,
    UnixMs,
    Waiting,
)

MAX_COUNTDOWN_MS = 3_600_000
MAX_HOLD_SECONDS = 86_400
MAX_PINNED = 3
MAX_RUN = 100  # drops: every viewer is told the order as a whole
MAX_RESERVATIONS_PER_ORDER = 20
MAX_WAVES = 20
MAX_URL = 2048
MAX_EVENTS = 32
MAX_AFTER_SECONDS = 604_800  # from a drop's opening to one of its waves

# Text without control characters: PostgreSQL holds no NUL, and a line break belongs in no header of a mail.
# `$` alone would let one pass at the end.
ONE_LINE = r"^[^\x00-\x1f\x7f]*(?!\n)$"
WEB_ADDRESS = r"^https?://[^\s\x00-\x1f\x7f]+(?!\n)$"
EMAIL = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+(?!\n)$"

Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=ONE_LINE)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")]
Locale = Annotated[str, Meta(min_length=2, max_length=35, pattern=ONE_LINE)]
Units = Annotated[int, Meta(ge=1, le=MAX_DROP_QUANTITY)]
Limit = Annotated[int, Meta(ge=1, le=MAX_RESERVATION_QUANTITY)]
VideoUrl = Annotated[str, Meta(min_length=1, max_length=MAX_URL, pattern=WEB_ADDRESS)]
Moment = Annotated[int, Meta(ge=0, le=10**14)]


class NewShow(Struct, kw_only=True, omit_defaults=True):
    """A show to be scheduled; its limit is of units over all its drops, its video an HLS list or an MP4 file."""

    title: Title
    currency: Currency
    locale: Locale | None = None
    starts_at: Moment | None = None
    limit_per_viewer: Limit | None = None
    video_url: VideoUrl | None = None


class Video(Struct, kw_only=True):
    """Where the show's video is: an HLS list or an MP4 file, by https; null: there is none."""

    url: VideoUrl | None


class Pins(Struct, kw_only=True):
    """The products that viewers see now."""

    skus: Annotated[list[Identifier], Meta(max_length=MAX_PINNED)]


class Run(Struct, kw_only=True):
    """The order in which the drops are to come; those that are not named come after them."""

    drops: Annotated[list[Identifier], Meta(max_length=MAX_RUN)]


class NewWave(Struct, kw_only=True, omit_defaults=True):
    """Units that are added later: at a moment, so long after the opening, or by hand where neither is said."""

    quantity: Units
    at: Moment | None = None
    after_seconds: Annotated[int, Meta(ge=1, le=MAX_AFTER_SECONDS)] | None = None


class NewDrop(Struct, kw_only=True):
    """A drop to be scheduled. Only `fifo` asks for the waitlist: a draw is one, who pays first needs none."""

    sku: Annotated[str, Meta(min_length=1, max_length=255)]
    quantity: Units
    unit_price: Annotated[int, Meta(ge=0, le=MAX_UNIT_PRICE)] | None = None
    limit_per_viewer: Limit = 1
    hold_seconds: Annotated[int, Meta(ge=1, le=MAX_HOLD_SECONDS)] = 120
    mode: DropMode = "fifo"
    waitlist: bool = True
    waves: Annotated[list[NewWave], Meta(max_length=MAX_WAVES)] = msgspec.field(default_factory=list)
    opens_at: Moment | None = None
    closes_at: Moment | None = None


class OpenDrop(Struct, kw_only=True):
    """How to open a drop."""

    countdown_ms: Annotated[int, Meta(ge=0, le=MAX_COUNTDOWN_MS)] = 0


class Restock(Struct, kw_only=True):
    """Units to add."""

    quantity: Units


class NewReservation(Struct, kw_only=True):
    """Units to take; `part`: what is left, and a place in the queue for the rest; `receipt`: a signed answer."""

    quantity: Quantity
    part: bool = False
    receipt: bool = False


class Reserved(Reservation):
    """What was taken; `waiting` is the place for the rest, `receipt` the answer as a JWS, where they were asked for."""

    waiting: Waiting | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


class Queued(Waiting):
    """A viewer's own place in a drop's queue, or entry into its draw."""

    drop: str
    receipt: str | UnsetType = UNSET


class Item(Struct, kw_only=True):
    """Units of one drop."""

    drop: Identifier
    quantity: Quantity


Items = Annotated[list[Item], Meta(min_length=1, max_length=MAX_ITEMS)]


class NewBundle(Struct, kw_only=True):
    """Units of several drops, no drop twice: all of them or none."""

    items: Items


class NewPlace(Struct, kw_only=True):
    """How many units to wait for."""

    quantity: Quantity = 1


class PaymentChoice(Struct, kw_only=True):
    """How the buyer pays: the token is the provider's own, `return_url` is where who had to leave comes back to."""

    method: Annotated[str, Meta(min_length=1, max_length=32, pattern=ONE_LINE)]
    token: Annotated[str, Meta(min_length=1, max_length=255, pattern=ONE_LINE)]
    return_url: Annotated[str, Meta(max_length=2000, pattern=WEB_ADDRESS)] | None = None


class Address(Struct, kw_only=True, omit_defaults=True):
    """Where to send it."""

    name: Annotated[str, Meta(max_length=200, pattern=ONE_LINE)] = ""
    line1: Annotated[str, Meta(max_length=200, pattern=ONE_LINE)] = ""
    line2: Annotated[str, Meta(max_length=200, pattern=ONE_LINE)] = ""
    city: Annotated[str, Meta(max_length=100, pattern=ONE_LINE)] = ""
    region: Annotated[str, Meta(max_length=100, pattern=ONE_LINE)] = ""
    postal_code: Annotated[str, Meta(max_length=20, pattern=ONE_LINE)] = ""
    country: Annotated[str, Meta(max_length=2, pattern=ONE_LINE)] = ""
    phone: Annotated[str, Meta(max_length=40, pattern=ONE_LINE)] = ""


class NewCheckout(Struct, kw_only=True):
    """What to pay as one order: reservations, or items of drops in which the first who pays gets it."""

    payment: PaymentChoice
    reservations: (
        Annotated[list[Identifier], Meta(min_length=1, max_length=MAX_RESERVATIONS_PER_ORDER)] | None
    ) = None
    items: Items | None = None
    email: Annotated[str, Meta(max_length=254, pattern=EMAIL)] | None = None
    shipping_address: Address | None = None
    locale: Locale | None = None
    expected_total: Annotated[int, Meta(ge=0)] | None = None


class CheckedOut(Struct, kw_only=True):
    """The order that a checkout made, or goes on with."""

    order: Order


class NewToken(Struct, kw_only=True):
    """A token for somebody else; `anonymous` where nobody knows who that is: they may have to do work to come in."""

    sub: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT_LENGTH)]
    role: Role
    shows: Annotated[list[Identifier], Meta(max_length=100)]
    ttl_seconds: Annotated[int, Meta(ge=1, le=MAX_TTL_SECONDS)] = 3600
    anonymous: bool = False


class MintedToken(Struct, kw_only=True):
    """A fresh token and its end."""

    token: str
    expires_at: UnixMs


class NewRevocation(Struct, kw_only=True):
    """Whose tokens count no longer: for these shows, where they were issued up to `before`, or until now."""

    sub: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT_LENGTH)]
    shows: Annotated[list[Identifier], Meta(min_length=1, max_length=100)] = msgspec.field(
        default_factory=lambda: [EVERY_SHOW]
    )
    before: Annotated[int, Meta(ge=1, le=10**14)] | None = None


class RevokedTokens(Struct, kw_only=True):
    """Whose tokens count no longer, for which shows, and up to which moment they were issued."""

    sub: str
    shows: list[str]
    before: UnixMs


class RejectedRow(Struct, kw_only=True):
    """A row of a feed that could not be taken; `line` is the physical line on which it starts."""

    line: int
    reason: str


class Imported(Struct, kw_only=True):
    """What a feed changed, counted by SKU."""

    created: int
    updated: int
    unchanged: int
    rejected: list[RejectedRow] = msgspec.field(default_factory=list)


class Figures(Struct, kw_only=True):
    """What a show earned so far; gmv in minor units, conversion as the share of viewers who ordered."""

    viewers: int
    peak_viewers: int
    orders: int
    units_sold: int
    gmv: int
    currency: str
    conversion: float
    unmet_demand: int
    waitlist: int
    taken: int  # reservations that were given, whatever became of them
    waiting_room: int  # viewers who wait for a seat, where shows have a capacity


class Point(Struct, kw_only=True):
    """A show's figures at a moment."""

    at: UnixMs
    viewers: int
    orders: int
    units_sold: int
    gmv: int
    conversion: float
    unmet_demand: int
    waitlist: int
    taken: int


class PaymentMethod(Struct, kw_only=True):
    """A way to pay that checkout takes."""

    method: str
    provider: str
    synchronous: bool


class NewWebhook(Struct, kw_only=True):
    """Where to tell what happens: a URL, and the types of messages; none named: all."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL)]
    events: Annotated[list[str], Meta(max_length=MAX_EVENTS)] = msgspec.field(default_factory=list)


class Delivery(Struct, kw_only=True):
    """A message to an endpoint: its `webhook-id`, how often it was tried, and what came of the last try."""

    id: str
    type: str
    at: UnixMs
    status: Literal["waiting", "delivered", "parked"]
    attempts: int
    answer: int | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    next_at: UnixMs | UnsetType = UNSET


class Webhook(Struct, kw_only=True):
    """An endpoint with its newest deliveries, newest first; `reason`: why it is disabled."""

    id: str
    url: str
    events: list[str]
    status: Literal["enabled", "disabled"]
    created_at: UnixMs
    deliveries: list[Delivery]
    reason: str | UnsetType = UNSET


class SecretWebhook(Webhook):
    """An endpoint with its new secret, which is shown this once."""

    secret: str


class WebhookTest(Struct, kw_only=True):
    """What came of a test message: the answer's status where there was one, else the problem."""

    delivered: bool
    took_ms: int
    answer: int | UnsetType = UNSET
    problem: str | UnsetType = UNSET


class Replay(Struct, kw_only=True):
    """From when on to send everything again."""

    since_at: Moment


class Replayed(Struct, kw_only=True):
    """How many messages are sent again; with `next_since_at` where there are more: from when to go on."""

    messages: int
    next_since_at: UnixMs | UnsetType = UNSET
