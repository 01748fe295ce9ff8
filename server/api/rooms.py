"""Everything that requests need, wired by the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.auth import Tokens
    from server.checkout.idempotency import Idempotency
    from server.checkout.refunds import Refunds
    from server.checkout.saga import Checkout
    from server.inventory.awards import Awards
    from server.inventory.draw_log import Draws
    from server.inventory.holds import Holds
    from server.inventory.waitlist import Waitlist
    from server.ledger.actions import Actions
    from server.ledger.database import Ledger
    from server.limits.limits import Limits
    from server.orders.orders import Orders
    from server.payments.methods import Methods
    from server.receipts import Receipts
    from server.seal import Seal
    from server.settings import Settings
    from server.shows.drops import Drops
    from server.shows.revocations import Revocations
    from server.shows.series import Series
    from server.shows.shows import Shows
    from server.shows.tap import Taps
    from server.shows.waiting_room import WaitingRoom
    from server.webhooks.endpoints import Webhooks


@dataclass(frozen=True, slots=True)
class Rooms:
    """The use cases behind the HTTP door. `ready` raises a Problem that says why this process cannot sell."""

    settings: Settings
    tokens: Tokens
    revocations: Revocations
    actions: Actions
    now_ms: Callable[[], int]  # the store's clock
    limits: Limits
    shows: Shows
    drops: Drops
    series: Series
    holds: Holds
    waitlist: Waitlist
    waiting_room: WaitingRoom | None
    draws: Draws
    awards: Awards
    receipts: Receipts
    contacts: Seal
    checkout: Checkout
    refunds: Refunds
    orders: Orders
    methods: Methods
    idempotency: Idempotency
    webhooks: Webhooks
    ledger: Ledger
    taps: Taps
    ready: Callable[[], Awaitable[None]]
