"""What a checkout does in recorded steps, taken apart: for the negative controls of the payment bugs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.payments.provider import Authorized, Charge, Status
from server.store.lua import load
from tests.faulty_scripts import faulty_folder
from tests.till import Entry, Till

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House

PRICE = 1250


class Forgetful(Till):
    """A provider without idempotency keys: what it is asked twice it does twice."""

    async def authorize(self, charge: Charge) -> Any:
        """Reserve once more."""
        self._note(Entry("reserved", charge.order, charge.amount))
        return await super().authorize(charge)

    async def capture(self, charge: Charge, reference: str) -> None:
        """Move it once more."""
        if self.captures[charge.order]:
            self.say(charge.order, Status.CAPTURED)
        await super().capture(charge, reference)


async def pay_at_once(
    look: Callable[[], Awaitable[dict[str, Any]]],
    till: Till,
    one: Request,
    breath: Callable[[], Awaitable[object]],
) -> None:
    """Look what a reservation is, take a breath, and take the money: without claim, record or steps."""
    found = await look()
    await breath()
    if found["state"] == "held":
        charge = Charge(one.order, PRICE * found["quantity"], "EUR", "card", one.details["token"])
        answer = await till.authorize(charge)
        assert isinstance(answer, Authorized)
        await till.capture(charge, answer.reference)


def with_a_fault(house: House, folder: Path, file: str, line: str, instead: str) -> None:
    """Let a house have a line of a script put in the place of the right one."""
    house.scripts._scripts = load(faulty_folder(folder, [(file, line, instead)]))
