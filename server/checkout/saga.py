"""From held reservations to one paid order: steps that are recorded before they are tried, and their undoing.

    claim → authorize → finalize → ledger commit → capture → settle

Of a drop that holds nothing (the first who pays gets it) the units are taken at the claim, for the provider's time.
A process that dies between that and the order's record leaves plain holds: a repeat goes on with them, else they lapse.

The record in Redis says which step may have been tried last, so any worker can go on from there: every step is
idempotent by the order's id. No lock is held over a provider call; the state is read again after it, inside the
next script. Where units were lost while the provider thought, the authorization is voided and no money moves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from server import ids
from server.clock import now_ms
from server.errors import Code, Problem, unavailable
from server.orders.orders import Record, View, unsettled
from server.payments.provider import CALL_SECONDS, Charge, Declined, UnknownOutcomeError
from server.store import reads
from server.store.answers import ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from server.inventory.holds import Holds
    from server.orders.orders import Orders
    from server.payments.methods import Methods
    from server.payments.provider import Provider
    from server.store.redis import Redis
    from server.store.scripts import Scripts

LEASE_MS = 15_000  # longer than a provider call: nobody resumes an order that is being worked on
RESUME_LIMIT = 20  # orders that a worker takes at a time

log = structlog.get_logger(__name__)


class Step(StrEnum):
    """How far an order has come; each names what may have been tried after it was recorded."""

    CLAIMED = "claimed"  # authorize may have been tried
    AUTHORIZED = "authorized"  # finalize may have been tried
    FINALIZED = "finalized"  # the units are sold; the ledger may have the order
    COMMITTED = "committed"  # the ledger has it; capture may have been tried
    VOIDING = "voiding"  # the units were lost; void may have been tried


@dataclass(frozen=True, slots=True)
class Request:
    """What a viewer asks to pay: reservations, or items (drop, units) of drops that hold nothing."""

    order: str
    show: str
    viewer: str
    reservations: list[str]
    details: dict[str, Any]  # provider, method, token, contact? (sealed), locale?
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
    """Money or ledger is not settled yet; a worker goes on with it."""

    order: View


class Checkout:
    """The door to checkout: `pay` for a viewer's request, `resume` for what a dead process left."""

    def __init__(  # noqa: PLR0913  each is a room or a setting of its own
        self,
        client: Redis,
        scripts: Scripts,
        holds: Holds,
        orders: Orders,
        methods: Methods,
        *,
        provider_seconds: float,
        skip_absent: bool = False,
    ) -> None:
        self._client = client
        self._scripts = scripts
        self._holds = holds
        self._orders = orders
        self._methods = methods
        self._provider_ms = int(provider_seconds * 1000)
        self._skip = int(skip_absent)  # whether units of an undone claim pass over who waits and is not here

    async def pay(self, request: Request) -> Paid | Pending | Problem:
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

    async def _pay(self, request: Request) -> Paid | Pending | Problem:
        expected = request.expected_total
        answer = await ask(
            self._scripts,
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
                return await self.advance(request.show, answer["order"])
            case "resumed" if answer["leased"]:
                return Pending(unsettled(request.show, answer["order"]))
            case "resumed":
                return await self.advance(request.show, answer["order"])
            case "done":
                return await self._finished(request.order)
            case _:
                return _refusal(answer, request)

    async def resume(self, show: str) -> int:
        """Go on with a show's orders that nobody works on any more; return how many were taken up."""
        leased = await ask(
            self._scripts, "order_lease", {"show": show}, lease_ms=LEASE_MS, limit=RESUME_LIMIT
        )
        await asyncio.gather(*(self._resume(show, record) for record in leased["orders"]))
        return len(leased["orders"])

    async def _resume(self, show: str, record: Record) -> None:
        try:
            outcome = await self.advance(show, record)
        except Exception:
            # What one order brings out must not keep the others waiting; its lease runs out and it is tried again.
            log.exception("checkout.not_resumed", order=record["id"], step=record["step"])
            return
        log.info("checkout.resumed", order=record["id"], outcome=type(outcome).__name__)

    async def find(self, order: str) -> tuple[View, str] | None:
        """Return an order and its viewer: from the ledger, or as far as its checkout has come; None if unknown."""
        show = ids.show_of(order, "or")
        found = await self._orders.find(order) if show is not None else None
        if found is not None or show is None:
            return found
        raw = await reads.field(self._client, key("orders", show=show), order, "reading the order")
        if raw is None:
            return None
        record = unpacked(raw)
        return unsettled(show, record), record["viewer"]

    async def advance(self, show: str, record: Record) -> Paid | Pending | Problem:
        """Walk an order from its recorded step as far as it goes now."""
        try:
            return await self._walk(show, record)
        except (Problem, UnknownOutcomeError) as error:
            # Unknown, not failed: the record stands, and a worker repeats the same step with the same key.
            log.warning("checkout.waits", order=record["id"], step=record["step"], reason=str(error))
            return Pending(unsettled(show, record))

    async def _walk(self, show: str, record: Record) -> Paid | Pending | Problem:
        provider = self._methods.provider(record["details"]["provider"])
        charge = _charge(record)
        if record["step"] == Step.CLAIMED:
            verdict = await _bounded(provider.authorize(charge))
            if isinstance(verdict, Declined):
                await self._unclaim(show, record)
                return Problem(Code.PAYMENT_DECLINED, verdict.reason)
            await self._record(show, record, Step.AUTHORIZED, verdict.reference)
        if record["step"] == Step.AUTHORIZED:
            answer = await ask(self._scripts, "hold_finalize", {"show": show}, order=record["id"])
            if answer["outcome"] == "finalized":
                record["step"] = Step.FINALIZED
            else:
                await self._record(show, record, Step.VOIDING)
        if record["step"] == Step.VOIDING:
            return await self._void(show, record, provider)
        if record["step"] == Step.FINALIZED:
            await self._orders.commit(show, record)
            await self._record(show, record, Step.COMMITTED)
        await _bounded(provider.capture(charge, record["reference"]))
        await self._orders.captured(record["id"], now_ms())
        return await self._settle(show, record)

    async def _void(self, show: str, record: Record, provider: Provider) -> Problem:
        await _bounded(provider.void(_charge(record), record["reference"]))
        await self._orders.cancel_unpaid(show, record)
        await self._unclaim(show, record)
        return Problem(
            Code.RESERVATION_EXPIRED,
            "The reservation lapsed while the payment was being authorized; no money was taken.",
        )

    async def _settle(self, show: str, record: Record) -> Paid:
        found = await self._orders.find(record["id"])
        if found is None:
            raise unavailable(f"Order {record['id']} was committed and cannot be read back.")
        view, viewer = found
        await ask(self._scripts, "order_settle", {"show": show}, order=record["id"], viewer=viewer, view=view)
        return Paid(view)

    async def _finished(self, order: str) -> Paid | Pending | Problem:
        found = await self._orders.find(order)
        if found is None:
            return unavailable(f"Order {order} is sold, and the ledger does not have it yet.")
        return Paid(found[0]) if found[0]["status"] != "confirming" else Pending(found[0])

    async def _record(self, show: str, record: Record, step: Step, reference: str = "") -> None:
        answer = await ask(
            self._scripts,
            "order_step",
            {"show": show},
            order=record["id"],
            known_step=record["step"],
            next_step=step.value,
            reference=reference,
            lease_ms=LEASE_MS,
        )
        if answer["outcome"] != "moved":
            raise unavailable(f"Order {record['id']} is worked on by somebody else.")
        record["step"] = step
        record["reference"] = reference or record["reference"]

    async def _unclaim(self, show: str, record: Record) -> None:
        answer = await ask(self._scripts, "hold_unclaim", {"show": show}, order=record["id"], skip=self._skip)
        if answer["outcome"] != "unclaimed":
            raise unavailable(f"Order {record['id']} is {answer['step']} by now; somebody else works on it.")


async def _bounded(call: Awaitable[Any]) -> Any:
    """Wait for a provider's answer, but not for ever: no answer is an unknown outcome."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call
    except TimeoutError:
        raise UnknownOutcomeError(f"No answer from the provider within {CALL_SECONDS:g} s.") from None


def _charge(record: Record) -> Charge:
    details = record["details"]
    return Charge(
        order=record["id"],
        amount=record["total"],
        currency=record["currency"],
        method=details["method"],
        token=details["token"],
    )


def _refusal(  # noqa: PLR0911  one per outcome
    answer: dict[str, Any], request: Request
) -> Problem:
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
        case "total-changed":
            total = answer["current_total"]
            return Problem(
                Code.TOTAL_CHANGED,
                f"The total is {total}, not {request.expected_total} minor units.",
                current_total=total,
            )
        case _:
            return Problem(Code.NOT_FOUND, f"There is no reservation {answer.get('reservation', '')!r}.")
