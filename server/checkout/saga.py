"""From held reservations to one paid order: steps that are recorded before they are tried, and their undoing.

`steps.py` says what follows what, `acts.py` tries it, and here orders are walked from their recorded step: by who asks
to pay, by a worker for what a dead process left, and by whoever heard that a payment may have moved (the provider's
webhook, the buyer's return): all of them do the same, and all of them may come at once.

Of a drop that holds nothing (the first who pays gets it) the units are taken at the claim, for the provider's time.
A process that dies between that and the order's record leaves plain holds: a repeat goes on with them, else they lapse.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from server import ids, tracing
from server.checkout.acts import LEASE_MS, Acts, ElsewhereError, Order, Terms
from server.checkout.endings import came_to_nothing, undone
from server.checkout.steps import BEGINS, FIRST, Act, End, Step, follows
from server.checkout.turns import InTurn, Turns
from server.errors import Code, Problem, unavailable
from server.payments.provider import UnknownOutcomeError
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.inventory.holds import Holds
    from server.orders.orders import Orders, Record, View
    from server.payments.methods import Methods
    from server.store.redis import Redis
    from server.store.scripts import Scripts

RESUME_LIMIT = 20  # orders that a worker takes at a time
FRESH_MS = 1000  # how long a buyer who asks again is told what the provider said the last time
# Steps in which the provider has said yes and the money can still move.
RESERVED = frozenset({Step.AUTHORIZED, Step.FINALIZED, Step.COMMITTED})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What a viewer asks to pay: reservations, or items (drop, units) of drops that hold nothing."""

    order: str
    show: str
    viewer: str
    reservations: list[str]
    details: dict[str, Any]  # provider, method, token, return_url?, contact? (sealed), locale?
    expected_total: int | None
    items: tuple[tuple[str, int], ...] = ()
    operation: str = ""  # what the items are taken under: the order's own
    address: str = ""  # the buyer's network address, where units per address are limited


@dataclass(frozen=True, slots=True)
class Paid:
    """The money has moved and the ledger has the order."""

    order: View


@dataclass(frozen=True, slots=True)
class Pending:
    """The buyer has to act, or money or ledger is not settled yet; a worker goes on with it."""

    order: View


Outcome = Paid | Pending | Problem


class Checkout:
    """The door to checkout: `pay` for a viewer's request, `look` for news, `resume` for what a dead process left."""

    def __init__(  # noqa: PLR0913  each is a room or a setting of its own
        self,
        client: Redis,
        scripts: Scripts,
        holds: Holds,
        orders: Orders,
        methods: Methods,
        *,
        provider_seconds: float,
        action_seconds: float,
        skip_absent: bool = False,
        turns: Turns | None = None,
    ) -> None:
        self._client = client
        self._scripts = InTurn(scripts, turns or Turns())
        self._holds = holds
        self._orders = orders
        self._provider_ms = int(provider_seconds * 1000)
        self._acts = Acts(
            self._scripts, orders, methods, Terms(self._provider_ms, int(action_seconds * 1000), skip_absent)
        )

    async def pay(self, request: Request) -> Outcome:
        """Turn reservations of one show and viewer into one order, all or nothing; idempotent by the order's id."""
        if not request.items:
            return await self._pay(request)
        taken = await self._holds.bundle(
            request.show,
            request.viewer,
            request.operation,
            list(request.items),
            claim=True,
            address=request.address,
        )
        if isinstance(taken, Problem):
            return taken
        reservations = [reservation["id"] for reservation in taken.reservations]
        outcome = await self._pay(replace(request, reservations=reservations))
        if isinstance(outcome, Problem) and outcome.code is not Code.UNAVAILABLE:
            # No order came of it: what it took goes to others now, and not when the provider's time is over.
            for reservation in reservations:
                await self._holds.release(reservation, request.viewer)
        return outcome

    async def _pay(  # noqa: PLR0911  one per outcome
        self, request: Request, *, supersedes: bool = True
    ) -> Outcome:
        expected = request.expected_total
        answer = await self._scripts.ask(
            "hold_checkout",
            {"show": request.show},
            order=request.order,
            viewer=request.viewer,
            reservations=request.reservations,
            details=request.details,
            expected_total=-1 if expected is None else expected,
            provider_ms=self._provider_ms,
            lease_ms=LEASE_MS,
        )
        match answer["outcome"]:
            case "claimed":
                return await self._walk(Order(request.show, answer["order"], answer["now"]), FIRST)
            case "resumed" if answer["leased"]:
                return Pending(unsettled(request.show, answer["order"]))
            case "resumed":
                return await self._go_on(Order(request.show, answer["order"], answer["now"]))
            case "done":
                return await self._finished(request.order)
            case "in-progress" if answer["acting"] and supersedes:
                await self._supersede(request.show, answer["order"])
                return await self._pay(request, supersedes=False)
            case "undone":
                return undone(answer["reason"])
            case _:
                return _refusal(answer, request.expected_total)

    async def _supersede(self, show: str, order: str) -> None:
        """Undo an order that waits for its buyer, who pays in another way now; one that was paid meanwhile is finished.

        The old payment is let go before anything is asked of the new one: its time is over, as at its deadline.
        """
        answer = await self._scripts.ask(
            "order_take", {"show": show}, order=order, fresh_ms=0, lease_ms=LEASE_MS
        )
        if answer["outcome"] == "taken" and answer["order"]["step"] == Step.ACTING:
            await self._go_on(Order(show, answer["order"], now=answer["order"]["deadline_at"]))

    async def look(self, order: str, fresh_ms: int = 0) -> None:
        """Go on with an order whose payment may have moved: ask the provider, and walk from the recorded step.

        Nothing happens where somebody works on it, where it has come to its end, or where there is no such order; nor
        where its buyer has to act and the provider was asked within the last `fresh_ms`. Raises `unavailable` where the
        store cannot say.
        """
        show = ids.show_of(order, "or")
        if show is None:
            return
        answer = await self._scripts.ask(
            "order_take", {"show": show}, order=order, fresh_ms=fresh_ms, lease_ms=LEASE_MS
        )
        if answer["outcome"] not in {"busy", "gone"}:
            await self._go_on(Order(show, answer["order"], answer["now"]))

    async def resume(self, show: str) -> int:
        """Go on with a show's orders that nobody works on any more; return how many were taken up."""
        leased = await self._scripts.ask("order_lease", {"show": show}, lease_ms=LEASE_MS, limit=RESUME_LIMIT)
        orders = [Order(show, record, leased["now"]) for record in leased["orders"]]
        await asyncio.gather(*(self._resume(order) for order in orders))
        return len(orders)

    async def _resume(self, order: Order) -> None:
        try:
            outcome = await self._go_on(order)
        except Exception:
            # What one order brings out must not keep the others waiting; its lease runs out and it is tried again.
            log.exception("checkout.not_resumed", order=order.id, step=order.step)
            return
        log.info("checkout.resumed", order=order.id, outcome=type(outcome).__name__)

    async def find(self, order: str) -> tuple[View, str] | None:
        """Return an order and its viewer: from the ledger, or as far as its checkout has come; None if unknown.

        Where its buyer has to act, the provider is asked whether they did: this is where they come back to.
        """
        found = await self._find(order)
        if found is None or found[0]["status"] != "requires_action":
            return found
        await self.look(order, FRESH_MS)
        return await self._find(order)

    async def _find(self, order: str) -> tuple[View, str] | None:
        show = ids.show_of(order, "or")
        if show is None:
            return None
        found = await self._orders.find(order)
        if found is not None:
            return found
        raw = await reads.field(self._client, key("orders", show=show), order, "reading the order")
        record = unpacked(raw) if raw is not None else None
        if record is None or record["step"] == "undone":
            # It may have come to its end between the two looks.
            return await self._orders.find(order)
        return unsettled(show, record), record["viewer"]

    async def _go_on(self, order: Order) -> Outcome:
        """Walk an order from its recorded step."""
        return await self._walk(order, BEGINS[order.step])

    async def _walk(self, order: Order, act: Act) -> Outcome:
        """Walk an order from an act as far as it goes now."""
        with tracing.order("checkout", order.id):
            return await self._walked(order, act)

    async def _walked(self, order: Order, act: Act) -> Outcome:
        following: Act | End = act
        try:
            while isinstance(following, Act):
                step = order.step
                with tracing.part("checkout", following):
                    heard = await self._acts.attempt(order, following)
                move = follows(step, following, heard, overdue=order.overdue)
                await self._acts.record(order, move)
                following = move.then
        except (Problem, UnknownOutcomeError) as error:
            # Unknown, not failed: the record stands, and a worker tries the same again with the same key.
            log.warning(
                "checkout.waits", order=order.id, step=order.step, act=str(following), reason=str(error)
            )
            return Pending(unsettled(order.show, order.record))
        except ElsewhereError as error:
            log.info("checkout.elsewhere", order=order.id, reason=str(error))
            return await self._elsewhere(order)
        if following is End.WAITS:
            return Pending(unsettled(order.show, order.record))
        if following is End.PAID and order.view is not None:
            return Paid(order.view)
        return undone(order.record["reason"], order.sentence)

    async def _elsewhere(self, order: Order) -> Outcome:
        """Return what somebody else has made of an order meanwhile."""
        try:
            found = await self._find(order.id)
        except Problem:
            return Pending(unsettled(order.show, order.record))
        if found is None:
            # A decline that somebody else heard, or the store lost its record: then the audit names what is reserved.
            log.warning("checkout.unknown", order=order.id, reference=order.record["reference"])
            return unavailable(f"Order {order.id} is not known any more; the same request may be repeated.")
        return _settled(found[0])

    async def _finished(self, order: str) -> Outcome:
        found = await self._orders.find(order)
        if found is None:
            return unavailable(f"Order {order} is sold, and the ledger does not have it yet.")
        return _settled(found[0])


def _settled(view: View) -> Outcome:
    """Return the outcome of an order that can be read."""
    if view["status"] in {"confirming", "requires_action"}:
        return Pending(view)
    return came_to_nothing() if view["payment"]["status"] == "voided" else Paid(view)


def unsettled(show: str, record: Record) -> View:
    """Return the view of an order whose checkout is still under way."""
    step = Step(record["step"])
    view = {
        "id": record["id"],
        "show": show,
        "status": "requires_action" if step is Step.ACTING else "confirming",
        "lines": record["lines"],
        "total": record["total"],
        "currency": record["currency"],
        "payment": {
            "provider": record["details"]["provider"],
            "status": "authorized" if step in RESERVED else "pending",
        },
        "created_at": record["created_at"],
    }
    return {**view, "action_url": record["action_url"]} if step is Step.ACTING else view


def _refusal(  # noqa: PLR0911  one per outcome
    answer: dict[str, Any], expected_total: int | None
) -> Problem:
    """Return the problem of reservations that cannot be paid now."""
    match answer["outcome"]:
        case "not-allowed":
            return Problem(Code.NOT_ALLOWED, f"Reservation {answer['reservation']} is somebody else's.")
        case "repeated":
            sentence = f"Reservation {answer['reservation']} is named more than once."
            return Problem(Code.INVALID_MESSAGE, sentence)
        case "in-progress":
            return Problem(
                Code.IN_PROGRESS, f"Reservation {answer['reservation']} is being paid.", retry_after_ms=1000
            )
        case "wrong-state":
            return Problem(Code.WRONG_STATE, f"Reservation {answer['reservation']} is {answer['state']}.")
        case "reservation-expired":
            return Problem(Code.RESERVATION_EXPIRED, f"Reservation {answer['reservation']} has lapsed.")
        case "frozen":
            return unavailable("The show's stock is being rebuilt: nothing can be sold until it is.")
        case "total-changed":
            total = answer["current_total"]
            return Problem(
                Code.TOTAL_CHANGED,
                f"The total is {total}, not {expected_total} minor units.",
                current_total=total,
            )
        case _:
            return Problem(Code.NOT_FOUND, f"There is no reservation {answer.get('reservation', '')!r}.")
