"""The shapes of what both doors show: one struct per thing, from which OpenAPI and AsyncAPI are generated.

Money is integers in minor units beside an ISO 4217 currency; every `*_at` is Unix milliseconds UTC from the Redis
clock. Optional members are absent, not null. A test holds real answers against these structs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_RESERVATION_QUANTITY = 10_000
MAX_DROP_QUANTITY = 1_000_000
MAX_UNIT_PRICE = 10**11
MAX_OPERATION_ID_LENGTH = 64

OperationId = Annotated[str, Meta(min_length=1, max_length=MAX_OPERATION_ID_LENGTH)]
Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Quantity = Annotated[int, Meta(ge=1, le=MAX_RESERVATION_QUANTITY)]
Count = Annotated[int, Meta(ge=0)]
UnixMs = Annotated[int, Meta(ge=0, le=2**53)]

ShowStatus = Literal["scheduled", "live", "paused", "ended"]
DropStatus = Literal["scheduled", "countdown", "open", "paused", "closed"]
DropMode = Literal["fifo", "first_paid", "draw"]
HoldState = Literal["held", "paying", "sold", "released", "expired"]
OrderStatus = Literal[
    "confirming", "requires_action", "paid", "fulfilled", "cancelled", "refunded", "partially_refunded"
]


class Shape(Struct, kw_only=True, omit_defaults=True):
    """The base of all shapes: fields by name, absent members stay absent."""


class Product(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sellable variant, as the catalog stores and shows it. Prices are minor units of `currency`."""

    sku: str
    handle: str
    title: str
    description: str
    vendor: str
    options: dict[str, str]
    unit_price: int
    currency: str
    compare_at_price: int | None = None
    images: list[str]
    inventory_quantity: int | None = None
    tags: list[str]


class Show(Shape):
    """A show: scheduled → live ⇄ paused → ended."""

    id: str
    title: str
    currency: str
    status: ShowStatus
    created_at: UnixMs
    locale: str | UnsetType = UNSET
    starts_at: UnixMs | UnsetType = UNSET
    started_at: UnixMs | UnsetType = UNSET
    ended_at: UnixMs | UnsetType = UNSET
    limit_per_viewer: Count | UnsetType = UNSET  # units over all its drops
    video_url: str | UnsetType = UNSET
    run: list[str] | UnsetType = UNSET  # drops in the order in which the hosts mean to bring them


class Stock(Shape):
    """A drop's numbers: available + held + sold == quantity. The revision grows with every change."""

    drop_id: str
    available: Count
    held: Count
    sold: Count
    quantity: Count
    revision: Count
    waitlist_length: Count


class Wave(Shape):
    """Units that are added later: by the clock at `at`, or by hand where that is not set; `released_at`: they were.

    One that is planned `after_seconds` of the opening has its `at` once the drop is open.
    """

    quantity: Count
    at: UnixMs | UnsetType = UNSET
    after_seconds: Count | UnsetType = UNSET
    released_at: UnixMs | UnsetType = UNSET


class Drop(Shape):
    """A product in a limited quantity: scheduled → countdown → open ⇄ paused → closed."""

    id: str
    show: str
    sku: str
    title: str
    quantity: Count
    available: Count
    held: Count
    sold: Count
    revision: Count
    unit_price: Count
    currency: str
    limit_per_viewer: Count
    hold_seconds: Count
    mode: DropMode
    waitlist: bool
    waitlist_length: Count
    status: DropStatus
    created_at: UnixMs
    limit_per_address: Count | UnsetType = UNSET  # units per network address
    options: dict[str, str] | UnsetType = UNSET  # which variant of the product, where there are several
    handle: str | UnsetType = UNSET  # of that product: what its variants have in common
    image: str | UnsetType = UNSET
    opens_at: UnixMs | UnsetType = UNSET
    closes_at: UnixMs | UnsetType = UNSET
    opened_at: UnixMs | UnsetType = UNSET
    closed_at: UnixMs | UnsetType = UNSET
    waves: list[Wave] | UnsetType = UNSET
    seed_hash: str | UnsetType = UNSET  # of a draw's seed, SHA-256: told when it opens
    seed: str | UnsetType = UNSET  # once it is closed


class Reservation(Shape):
    """Units of a drop that are kept for one viewer until `expires_at`, or what became of them."""

    id: str
    drop: str
    sku: str
    quantity: Quantity
    state: HoldState
    unit_price: Count
    currency: str
    expires_at: UnixMs


class Waiting(Shape):
    """A place in a drop's queue, for so many units: 1 is the next, 0 none; in a draw: which entry it is."""

    position: Count
    length: Count
    quantity: Count


class Place(Shape):
    """A viewer's own place in the queue of a drop, or entry into its draw."""

    drop: str
    position: Count
    quantity: Count


class OrderLine(Shape):
    """One reservation of an order."""

    sku: str
    title: str
    drop: str
    reservation: str
    quantity: Quantity
    unit_price: Count


class Payment(Shape):
    """How an order's money stands with its provider."""

    provider: str
    status: Literal["pending", "authorized", "captured", "voided", "declined", "refunded"]


class Order(Shape):
    """Reservations of one show and viewer, paid together."""

    id: str
    show: str
    status: OrderStatus
    lines: list[OrderLine]
    total: Count
    currency: str
    payment: Payment
    created_at: UnixMs
    action_url: str | UnsetType = UNSET


class Snapshot(Shape):
    """Everything that a joining viewer needs to draw the show."""

    show: Show
    drops: list[Drop]
    pinned: list[Product]
    reservations: list[Reservation]
    waitlist: list[Place]
    viewers: Count
