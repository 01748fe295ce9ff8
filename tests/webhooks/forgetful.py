"""A worker that writes a message down as delivered before it sends it: `python -m tests.webhooks.forgetful work`.

For negative controls: what it was sending when it died is never sent again.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from server.cli import main
from server.webhooks import deliveries
from server.webhooks.sending import Outcome, Result
from server.workers.webhooks import Deliveries

if TYPE_CHECKING:
    from server.webhooks.deliveries import Claim, Parcel


def install() -> None:
    """Let this process' worker be so."""
    deliver = Deliveries._deliver

    @wraps(deliver)
    async def deliver_forgetfully(self: Deliveries, claim: Claim, parcel: Parcel) -> None:
        now, done = self._clock.now_ms(), Result(Outcome.DELIVERED, 200)
        await self._ledger.write(
            lambda connection: deliveries.record(connection, parcel, self._worker, now, done)
        )
        await deliver(self, claim, parcel)

    Deliveries._deliver = deliver_forgetfully  # type: ignore[method-assign]  # the point of this module


if __name__ == "__main__":
    install()
    main()
