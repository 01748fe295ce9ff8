"""Where the payment of an order is at Stripe, which gives payments names of its own.

Asked in this order: what is remembered here; Stripe's search by metadata, which lags behind by up to a minute (in an
outage by an hour); the list of the last hour, which does not lag. Only where all of them know nothing is there no
payment: where search is not to be had (in India it is not), or the hour has more than the list may be long, the
outcome is unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import stripe

from server import ids
from server.payments.provider import Status, UnknownOutcomeError
from server.payments.stripe_answers import answering
from server.payments.stripe_intents import ORDER, Intent, intent_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stripe import PaymentIntentService
    from stripe.params import PaymentIntentListParams

LAG_MS = 3_600_000  # how far Stripe's search may lag behind
PAGE = 100  # the most that Stripe lists at a time
RECENT_PAGES = 20  # of the last hour, newest first; a payment behind them is unknown, not absent
REMEMBERED = 10_000  # orders whose payment is known here; the oldest are forgotten, and looked up again
SAME_ORDER = 5  # payments of one order that are read; there is one, unless Stripe forgot its key

# Of several payments of one order the furthest counts.
RANKS = (
    Status.DECLINED,
    Status.VOIDED,
    Status.REQUIRES_ACTION,
    Status.PENDING,
    Status.AUTHORIZED,
    Status.CAPTURED,
)


class Lookup:
    """Finds payments by our orders. `now` gives Unix milliseconds."""

    def __init__(self, intents: PaymentIntentService, now: Callable[[], int]) -> None:
        self._intents = intents
        self._now = now
        self._references: OrderedDict[str, str] = OrderedDict()

    def remember(self, order: str, reference: str) -> None:
        """Keep where an order's payment is, as Stripe told."""
        self._references[order] = reference
        self._references.move_to_end(order)
        if len(self._references) > REMEMBERED:
            self._references.popitem(last=False)

    async def read(self, reference: str) -> Intent:
        """Return a payment as it is now."""
        return intent_of(await self._intents.retrieve_async(reference, {"expand": ["latest_charge"]}))

    async def find(self, order: str) -> Intent | None:
        """Return the payment of an order as it is now, or None where there is certainly none."""
        if order in self._references:
            return await self.read(self._references[order])
        if ids.show_of(order, "or") is None:
            return None
        found, complete = await self._searched(order)
        if found is None:
            found = await self._listed_recently(order)
        if found is not None:
            self.remember(order, found.id)
        elif not complete:
            raise UnknownOutcomeError(
                f"Stripe lists no payment of order {order} in an hour, and cannot search."
            )
        return found

    async def listed(self, since: int, pages: int) -> AsyncIterator[Intent]:
        """Give the payments of our orders since a time (Unix ms), newest first. Raises where they fill more pages."""
        asked: PaymentIntentListParams = {
            "created": {"gte": since // 1000},
            "limit": PAGE,
            "expand": ["data.latest_charge"],
        }
        for _ in range(pages):
            async with answering("list", f"since {since}"):
                page = await self._intents.list_async(asked)
                intents = [intent_of(each) for each in page.data]
            for intent in intents:
                if intent.order:
                    yield intent
            if not page.has_more:
                return
            asked["starting_after"] = intents[-1].id
        raise UnknownOutcomeError(
            f"Stripe has more than {pages * PAGE} payments since {since}: too many to list."
        )

    async def _searched(self, order: str) -> tuple[Intent | None, bool]:
        """Return what the search knows, read again as its states lag too, and whether there is a search."""
        try:
            found = await self._intents.search_async(
                {"query": f"metadata['{ORDER}']:'{order}'", "limit": PAGE}
            )
        except stripe.InvalidRequestError:
            return None, False
        intents = [await self.read(each.id) for each in found.data[:SAME_ORDER]]
        return max(intents, key=lambda intent: RANKS.index(intent.what), default=None), True

    async def _listed_recently(self, order: str) -> Intent | None:
        async for intent in self.listed(self._now() - LAG_MS, RECENT_PAGES):
            if intent.order == order:
                return intent
        return None
