"""The built-in provider that moves no real money: its tokens play what real cards do.

It decides by the token alone and names a payment after its order, so it answers a repeat like the first time,
also after a restart. Only "fails once" needs a memory; that one is bounded and may be forgotten.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from server.payments.provider import Authorized, Charge, Declined, UnknownOutcomeError

REMEMBERED = 10_000  # first attempts kept; the oldest are forgotten, and would then fail once more
SLOW_SECONDS = 10.0

DECLINES = {
    "tok_declined": "The card was declined.",
    "tok_insufficient_funds": "The card has insufficient funds.",
}
WORKING = frozenset({"tok_ok", "tok_slow_10s", "tok_timeout_then_ok", "tok_capture_fails_once"})


class Sandbox:
    """A provider for trying out and for tests. Money never moves."""

    name = "sandbox"

    def __init__(self) -> None:
        self._tried: OrderedDict[str, None] = OrderedDict()

    async def authorize(self, charge: Charge) -> Authorized | Declined:
        """Answer by the token: work, decline, take ten seconds, or time out the first time."""
        if charge.token in DECLINES:
            return Declined(DECLINES[charge.token])
        if charge.token not in WORKING:
            return Declined("The sandbox does not know this token.")
        if charge.token == "tok_slow_10s":  # noqa: S105  a published test token
            await asyncio.sleep(SLOW_SECONDS)
        if charge.token == "tok_timeout_then_ok":  # noqa: S105  a published test token
            self._fail_once(f"authorize {charge.order}")
        return Authorized(reference=f"sb_{charge.order}")

    async def capture(self, charge: Charge, reference: str) -> None:
        """Do nothing, except to fail the first time for the token that asks for it."""
        _require_known(charge, reference)
        if charge.token == "tok_capture_fails_once":  # noqa: S105  a published test token
            self._fail_once(f"capture {charge.order}")

    async def void(self, charge: Charge, reference: str) -> None:
        """Do nothing: there is no money to let go."""
        _require_known(charge, reference)

    def _fail_once(self, call: str) -> None:
        if call in self._tried:
            return
        self._tried[call] = None
        if len(self._tried) > REMEMBERED:
            self._tried.popitem(last=False)
        raise UnknownOutcomeError("The sandbox did not answer in time.")


def _require_known(charge: Charge, reference: str) -> None:
    if reference != f"sb_{charge.order}":
        raise UnknownOutcomeError("The sandbox does not know this payment.")
