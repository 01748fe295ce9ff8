"""The acts of a checkout, each tried once: with the provider, in the store, in the ledger. `steps.py` has what follows.

No lock is held over a provider call. What a script finds when it runs is what counts, not what was read before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server import tracing
from server.checkout.steps import Act, Heard, Reason, Step, told
from server.errors import unavailable
from server.payments.provider import (
    CALL_SECONDS,
    ActionRequired,
    Charge,
    Declined,
    Payment,
    RefusedError,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.checkout.steps import Move
    from server.checkout.turns import InTurn
    from server.orders.orders import Orders, Record, View
    from server.payments.methods import Methods
    from server.payments.provider import Provider
    from server.store.answers import Answer

MOVED = frozenset({"captured", "refunded"})  # what a payment is in the ledger once its money has moved
LEASE_MS = 15_000  # longer than a provider call: nobody resumes an order that is being worked on


class ElsewhereError(Exception):
    """Somebody else has moved the order on, or has come to its end."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things may take, ms, and whether units that come back pass over who waits and is not here."""

    provider_ms: int
    action_ms: int
    skip_absent: bool = False


@dataclass(slots=True)
class Order:
    """An order under way: its record as the store has it, and the time of the last look (Unix ms, Redis clock).

    `sentence` is what the provider said to a buyer whom it declined, `view` what the ledger had at the end.
    """

    show: str
    record: Record
    now: int
    sentence: str = ""
    view: View | None = None

    @property
    def id(self) -> str:
        """The order's id."""
        found: str = self.record["id"]
        return found

    @property
    def step(self) -> Step:
        """The step that is recorded."""
        return Step(self.record["step"])

    @property
    def overdue(self) -> bool:
        """Whether its deadline is over."""
        return bool(self.record["deadline_at"] <= self.now)

    @property
    def charge(self) -> Charge:
        """What the provider is asked for."""
        details = self.record["details"]
        return Charge(
            order=self.id,
            amount=self.record["total"],
            currency=self.record["currency"],
            method=details["method"],
            token=details["token"],
            return_url=details.get("return_url", ""),
            asked_at=self.record["created_at"],
        )


class Acts:
    """Tries the acts.

    Raises `Problem` or `UnknownOutcomeError` where it is not known what an act brought: the order stays as it is.
    """

    def __init__(self, scripts: InTurn, orders: Orders, methods: Methods, terms: Terms) -> None:
        self._scripts = scripts
        self._orders = orders
        self._methods = methods
        self._terms = terms
        self._ways: dict[Act, Callable[[Order], Awaitable[Heard]]] = {
            Act.AUTHORIZE: self._authorize,
            Act.LOOK: self._look,
            Act.REPEAT: self._authorize,
            Act.AWAIT: self._await,
            Act.FINALIZE: self._finalize,
            Act.COMMIT: self._commit,
            Act.CAPTURE: self._capture,
            Act.BOOK: self._book,
            Act.SETTLE: self._settle,
            Act.VOID: self._void,
            Act.REFUND: self._refund,
            Act.CANCEL: self._cancel,
            Act.UNCLAIM: self._unclaim,
            Act.RETURN: self._return,
        }

    async def attempt(self, order: Order, act: Act) -> Heard:
        """Try an act and return what it brought."""
        return await self._ways[act](order)

    async def record(self, order: Order, move: Move) -> None:
        """Record the step that an order goes to, before anything of it is tried."""
        record = order.record
        if move.reason is not Reason.NONE:
            record["reason"] = move.reason.value
        if record["step"] == move.step:
            return  # it is there, or the act's own script has recorded it
        answer = await self._scripts.ask(
            "order_step",
            {"show": order.show},
            order=order.id,
            known_step=record["step"],
            next_step=move.step.value,
            reference=record["reference"],
            reason=record["reason"],
            lease_ms=LEASE_MS,
        )
        _require(answer, "moved")
        record["step"] = move.step.value
        order.now = answer["now"]

    # -- with the provider

    async def _authorize(self, order: Order) -> Heard:
        answer = await _bounded(self._provider(order).authorize(order.charge))
        if isinstance(answer, Declined):
            order.sentence = answer.reason
        else:
            order.record["reference"] = answer.reference
        if isinstance(answer, ActionRequired):
            order.record["action_url"] = answer.url
        return told(answer)

    async def _look(self, order: Order) -> Heard:
        payment: Payment | None = await _bounded(self._provider(order).find(order.id))
        if payment is not None:
            order.sentence = payment.reason
            order.record["reference"] = payment.reference or order.record["reference"]
            order.record["action_url"] = payment.url or order.record.get("action_url", "")
        return told(payment)

    async def _capture(self, order: Order) -> Heard:
        call = self._provider(order).capture(order.charge, order.record["reference"])
        heard = await _unless_refused(call)
        if heard is Heard.REFUSED and (await self._view(order))[0]["payment"]["status"] in MOVED:
            return Heard.DONE  # it moved before, and has been given back since
        return heard

    async def _void(self, order: Order) -> Heard:
        call = self._provider(order).void(order.charge, order.record["reference"])
        return await _unless_refused(call)

    async def _refund(self, order: Order) -> Heard:
        """Give all of it back, under the order's own id: there is no other refund of an order that never was."""
        call = self._provider(order).refund(order.record["reference"], order.id, order.record["total"])
        return await _unless_refused(call)

    def _provider(self, order: Order) -> Provider:
        return self._methods.provider(order.record["details"]["provider"])

    # -- in the store

    async def _await(self, order: Order) -> Heard:
        answer = await self._ask(
            "order_await",
            order,
            reference=order.record["reference"],
            url=order.record["action_url"],
            action_ms=self._terms.action_ms,
            provider_ms=self._terms.provider_ms,
            lease_ms=LEASE_MS,
        )
        if answer["outcome"] == "lost":
            return Heard.LOST
        _require(answer, "waits")
        order.record = answer["order"]
        return Heard.DONE

    async def _finalize(self, order: Order) -> Heard:
        answer = await self._ask("hold_finalize", order)
        if answer["outcome"] == "lost":
            return Heard.LOST
        _require(answer, "finalized")
        order.record["step"] = Step.FINALIZED.value
        return Heard.DONE

    async def _unclaim(self, order: Order) -> Heard:
        # Only of an order that the ledger has as cancelled did anybody hear.
        view = (await self._view(order))[0] if order.step is Step.UNDOING else {}
        answer = await self._ask("hold_unclaim", order, skip=int(self._terms.skip_absent), view=view)
        _require(answer, "unclaimed")
        return Heard.DONE

    async def _return(self, order: Order) -> Heard:
        returned = [[line["reservation"], line["quantity"]] for line in order.record["lines"]]
        skip = int(self._terms.skip_absent)
        # `gone`: the show's keys have gone with everything else that could be bought in it.
        answer = await self._ask("hold_return", order, returned=returned, skip=skip)
        _require(answer, "returned", "gone")
        return Heard.DONE

    async def _settle(self, order: Order) -> Heard:
        view, viewer = await self._view(order)
        await self._ask("order_settle", order, viewer=viewer, view=view)
        return Heard.DONE

    async def _ask(self, script: str, order: Order, **fields: Any) -> Answer:
        return await self._scripts.ask(script, {"show": order.show}, order=order.id, **fields)

    # -- in the ledger

    async def _commit(self, order: Order) -> Heard:
        await self._orders.commit(order.show, order.record)
        return Heard.DONE

    async def _book(self, order: Order) -> Heard:
        await self._orders.captured(order.id, order.now)
        return Heard.DONE

    async def _cancel(self, order: Order) -> Heard:
        if order.step is Step.REFUSED:
            await self._orders.uncaptured(order.id, order.now)
        else:
            short = order.record["reason"] == Reason.LOST
            await self._orders.cancel_unpaid(order.show, order.record, order.now, shortfall=short)
        return Heard.DONE

    async def _view(self, order: Order) -> tuple[View, str]:
        found = await self._orders.find(order.id)
        if found is None:
            raise unavailable(f"Order {order.id} was committed and cannot be read back.")
        order.view = found[0]
        return found


async def _bounded(call: Awaitable[Any]) -> Any:
    """Wait for a provider's answer, but not for ever: no answer is an unknown outcome."""
    try:
        with tracing.part("provider"):
            async with asyncio.timeout(CALL_SECONDS):
                return await call
    except TimeoutError:
        raise UnknownOutcomeError(f"No answer from the provider within {CALL_SECONDS:g} s.") from None


async def _unless_refused(call: Awaitable[None]) -> Heard:
    try:
        await _bounded(call)
    except RefusedError:
        return Heard.REFUSED
    return Heard.DONE


def _require(answer: Answer, *outcomes: str) -> None:
    if answer["outcome"] == "frozen":
        raise unavailable("The show's stock is being rebuilt: the order waits.")
    if answer["outcome"] not in outcomes:
        raise ElsewhereError(f"It is {answer.get('step', answer['outcome'])} by now.")
