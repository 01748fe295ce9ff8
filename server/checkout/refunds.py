"""Money back, and units back on sale: a small saga whose steps are recorded before they are tried.

    asked (units reserved in the ledger) → provider → paid (state, history, entries, message) → units in stock → settled

The refund's id is the provider's idempotency key, so an unknown outcome is repeated and moves once. The ledger says how
many units of a reservation came back so far and the store takes that number, not a difference: repeats, late answers
and two workers at once put units on sale once. What a dead process left, a worker goes on with. A refund that the
provider will not do frees its units; no money has moved then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.errors import Code, Problem, unavailable
from server.orders.refund_book import PAID, RefundBook, Wanted
from server.orders.writing import ASKED
from server.payments.provider import CALL_SECONDS, RefusedError, UnknownOutcomeError
from server.store.answers import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.orders.orders import Orders
    from server.orders.refund_book import Part, Refund
    from server.payments.methods import Methods
    from server.store.redis_clock import RedisClock
    from server.store.scripts import Scripts

LEASE_MS = (
    30_000  # longer than a provider call: so long nobody else takes up a refund, and then it is tried again
)
RESUME_LIMIT = 20  # refunds that a worker takes at a time

log = structlog.get_logger(__name__)


class Refunds:
    """The door to refunds: `refund` and `cancel` for a host, `waiting` and `resume` for a worker."""

    def __init__(  # noqa: PLR0913  each is a room or a setting of its own
        self,
        scripts: Scripts,
        clock: RedisClock,
        orders: Orders,
        book: RefundBook,
        methods: Methods,
        *,
        skip_absent: bool = False,
    ) -> None:
        self._scripts = scripts
        self._clock = clock
        self._orders = orders
        self._book = book
        self._methods = methods
        self._skip = int(skip_absent)  # whether units that come back pass over who waits and is not here

    async def refund(
        self, order: str, refund: str, by: str, parts: Sequence[Part] = (), *, restock: bool = False
    ) -> bool:
        """Give the money of some units back, of all that are left where no parts are named; idempotent by the id.

        Returns whether it has moved; where that is not known yet a worker goes on. Raises the problems of
        `RefundBook.ask`, `wrong-state` where the provider will not, `unavailable` where nothing is known.
        """
        at = await self._clock.sync()
        wanted = Wanted(refund, order, by, at, at + LEASE_MS, tuple(parts), restock=restock)
        return await self._carry_out(await self._book.ask(wanted))

    async def cancel(self, order: str, refund: str, by: str) -> bool:
        """Give the money of a whole paid order back and its units on sale again, as `refund` does."""
        at = await self._clock.sync()
        wanted = Wanted(refund, order, by, at, at + LEASE_MS, cancel=True)
        return await self._carry_out(await self._book.ask(wanted))

    async def fulfil(self, order: str, shipment: dict[str, str], by: str) -> None:
        """Record that an order was shipped, and tell its viewer. Raises as `Orders.fulfil`."""
        await self._orders.fulfil(order, shipment, by, await self._clock.sync())
        await self._tell(order)

    async def waiting(self) -> list[str]:
        """Return refunds that nobody works on."""
        return await self._book.due(await self._clock.sync(), RESUME_LIMIT)

    async def resume(self, refund: str) -> None:
        """Go on with a refund that nobody works on; of two workers one does."""
        now = await self._clock.sync()
        claimed = await self._book.claim(refund, now, now + LEASE_MS)
        if claimed is None:
            return
        try:
            moved = await self._carry_out(claimed)
        except Problem as problem:
            log.warning("refund.not_resumed", refund=refund, reason=problem.detail)
            return
        log.info("refund.resumed", refund=refund, moved=moved)

    async def _carry_out(self, refund: Refund) -> bool:
        """Walk a refund from where it is as far as it goes now; say whether its money has moved."""
        if refund.status == ASKED and not await self._pay(refund):
            return False
        if refund.status not in {ASKED, PAID}:
            raise Problem(Code.WRONG_STATE, f"Refund {refund.id} was refused by the provider.")
        if refund.restock and not refund.settled:
            try:
                await self._put_back(refund)
            except Problem as problem:
                # The money has moved, and that is written down: a worker brings the units.
                log.warning("refund.units_wait", refund=refund.id, reason=problem.detail)
        return True

    async def _pay(self, refund: Refund) -> bool:
        """Let the money move and write that down; say whether it has. Raises `wrong-state` where it never will."""
        provider = self._methods.provider(refund.provider)
        try:
            if refund.amount:
                async with asyncio.timeout(CALL_SECONDS):
                    await provider.refund(refund.reference, refund.id, refund.amount)
            await self._book.paid(refund.id, await self._clock.sync())
        except RefusedError as error:
            await self._book.refused(refund.id, await self._clock.sync())
            log.warning("refund.refused", refund=refund.id, reason=str(error))
            raise Problem(Code.WRONG_STATE, f"The provider refused the refund: {error}") from error
        except (Problem, UnknownOutcomeError, TimeoutError) as error:
            # Unknown, not failed: the refund stands, and is tried again under the same id.
            log.warning("refund.waits", refund=refund.id, reason=str(error))
            return False
        await self._tell(refund.order)
        return True

    async def _put_back(self, refund: Refund) -> None:
        """Put a paid refund's units on sale again, and note that nothing is left to do."""
        answer = await ask(
            self._scripts,
            "hold_return",
            {"show": refund.show},
            order=refund.order,
            returned=await self._book.returned(refund.order),
            skip=self._skip,
        )
        if answer["outcome"] == "frozen":
            raise unavailable(f"The stock of show {refund.show} is being rebuilt.")
        await self._book.settle(refund.id, await self._clock.sync())

    async def _tell(self, order: str) -> None:
        """Tell an order's viewer what it is now; who is not reached is told when they look."""
        try:
            found = await self._orders.find(order)
            if found is not None:
                view, viewer = found
                await ask(self._scripts, "order_tell", {"show": view["show"]}, viewer=viewer, view=view)
        except Problem as problem:
            log.warning("order.not_told", order=order, reason=problem.detail)
