"""Holds: the way of every unit between available and sold, for who waits for one answer at a time.

Each operation is part of one atomic step and repeatable: a reservation's id is derived from viewer and operation id,
so a repeat meets the hold that its first run made. Refusals are values, a `Problem` with its numbers; "we do not
know" (`unavailable`) and "come back later" (`rate-limited`) are values here too, and raised where something is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from server.inventory import asks
from server.inventory.outcomes import Bundle, Held, Reservation, Swept, Waiting, unknown
from server.store import reads
from server.store.answers import ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.errors import Problem
    from server.inventory.batcher import Batches
    from server.store.redis import Redis
    from server.store.scripts import Scripts

SWEEP_LIMIT = 200  # reservations per sweep: one step stays around a millisecond of Redis
STATES = ("", "held", "paying", "sold", "released", "expired")  # as a record numbers them


class Holds:
    """The inventory's door."""

    def __init__(
        self, client: Redis, scripts: Scripts, batches: Batches, *, skip_absent: bool = False
    ) -> None:
        self._client = client
        self._scripts = scripts
        self._batches = batches
        self._skip = int(skip_absent)

    async def reserve(  # noqa: PLR0913  an operation is its fields
        self,
        show: str,
        viewer: str,
        operation: str,
        drop: str,
        quantity: int,
        *,
        part: bool = False,
        exact: bool = False,
        address: str = "",
    ) -> Held | Waiting | Problem:
        """Take `quantity` units of `drop` for `viewer` and hold them; atomic, idempotent by (viewer, operation).

        In part: take what is left and wait for the rest; `Waiting` where nothing was left. Exact: what a refusal says
        is true at its moment, and not what this process saw a moment before. A place is told to the viewer's sockets.
        """
        wanted = asks.reserve(
            show, viewer, operation, drop, quantity, part=part, exact=exact, address=address
        )
        wanted.apart = True
        outcome = await self._batches.ask(wanted)
        assert not isinstance(outcome, Bundle)  # noqa: S101  nothing of the kind was asked for
        return outcome

    async def bundle(  # noqa: PLR0913  an operation is its fields
        self,
        show: str,
        viewer: str,
        operation: str,
        items: list[tuple[str, int]],
        *,
        claim: bool = False,
        address: str = "",
    ) -> Bundle | Problem:
        """Take units of several drops, no drop twice, all or nothing; idempotent by (viewer, operation).

        As a claim: of drops that hold nothing, for as long as a payment may take.
        """
        wanted = asks.bundle(show, viewer, operation, items, claim=claim, address=address)
        outcome = await self._batches.ask(wanted)
        assert not isinstance(outcome, Held | Waiting)  # noqa: S101  nothing of the kind was asked for
        return outcome

    async def release(self, reservation: str, viewer: str) -> Held | Problem:
        """Give a held reservation back; repeating returns it as it is (released, or expired in the meantime)."""
        show = ids.show_of(reservation, "rs")
        if show is None:
            return unknown(reservation)
        outcome = await self._batches.ask(asks.release(show, viewer, reservation))
        assert not isinstance(outcome, Bundle | Waiting)  # noqa: S101  nothing of the kind was asked for
        return outcome

    async def find(self, reservation: str) -> tuple[Reservation, str] | None:
        """Return a reservation and its viewer, or None."""
        show = ids.show_of(reservation, "rs")
        if show is None:
            return None
        holds = key("holds", show=show)
        raw = await reads.field(self._client, holds, ids.own(reservation), "reading the reservation")
        if raw is None:
            return None
        number, viewer, quantity, state, unit_price, expires_at, *_ = unpacked(raw)
        drop, terms = await self._terms(show, number)
        view = {
            "id": reservation,
            "drop": drop,
            "sku": terms["sku"],
            "quantity": quantity,
            "state": STATES[state],
            "unit_price": unit_price,
            "currency": terms["currency"],
            "expires_at": expires_at,
        }
        return view, viewer

    async def _terms(self, show: str, number: int) -> tuple[str, dict[str, str]]:
        """Return a drop and its terms by its number in the show."""
        name = await reads.field(
            self._client, key("numbers", show=show), str(number), "reading the drop's name"
        )
        drop = (name or b"").decode()
        packed = await reads.field(self._client, key("drops", show=show), drop, "reading the drop")
        return drop, unpacked(packed or b"")

    async def sweep(self, show: str) -> Swept:
        """Let about `SWEEP_LIMIT` lapsed reservations of a show go; two sweepers never take one twice."""
        answer = await ask(self._scripts, "hold_sweep", {"show": show}, limit=SWEEP_LIMIT, skip=self._skip)
        return Swept(answer["lapsed"], answer["lag_ms"], answer["next_at"], bool(answer["more"]))
