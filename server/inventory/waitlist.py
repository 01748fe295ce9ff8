"""The waitlist: who is next when units come back, and the entries of a draw.

Nobody calls anybody: the step that brings units back gives them to the first in the queue, each with a hold and a
timer of their own, and tells them wherever they are connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.errors import Code, Problem
from server.inventory import asks
from server.inventory.outcomes import Bundle, Held, Waiting
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.inventory.batcher import Batches
    from server.store.redis import Redis

FIRST = 2**40  # of a drop's places in the index of all queues, times its number


class Waitlist:
    """The door to the queues of all drops."""

    def __init__(self, client: Redis, batches: Batches) -> None:
        self._client = client
        self._batches = batches

    async def join(  # noqa: PLR0913  an operation is its fields
        self, show: str, viewer: str, operation: str, drop: str, quantity: int, *, address: str = ""
    ) -> Waiting | Problem:
        """Wait for units; who waits already keeps the place, with the new quantity. Position 0: given at once.

        The place is told to the viewer's sockets.
        """
        wanted = asks.join(show, viewer, operation, drop, quantity, address=address)
        wanted.apart = True
        outcome = await self._batches.ask(wanted)
        assert not isinstance(outcome, Bundle | Held)  # noqa: S101  nothing of the kind was asked for
        return outcome

    async def leave(self, show: str, viewer: str, drop: str) -> Waiting | Problem:
        """Give the place up; repeating changes nothing more."""
        outcome = await self._batches.ask(asks.leave(show, viewer, drop))
        assert not isinstance(outcome, Bundle | Held)  # noqa: S101  nothing of the kind was asked for
        return outcome

    async def place(self, show: str, viewer: str, drop: str) -> Waiting:
        """Return where a viewer stands; position 0 for who does not. Raises `not-found` where the drop is not there."""
        return (await self.places(show, drop, [viewer]))[0]

    async def places(self, show: str, drop: str, viewers: list[str]) -> list[Waiting]:
        """Return where viewers stand in one drop's queue; two round trips for all of them."""
        with reaching("reading the queue"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hget(key("drops", show=show), drop)
                pipe.hget(key("stock", show=show), drop)
                packed, stock = await pipe.execute()
        if packed is None:
            raise Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")
        terms, length = unpacked(packed), unpacked(stock)[10]
        names = [f"{terms['number']} {viewer}" for viewer in viewers]
        with reaching("reading the queue"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hmget(key("waiting", show=show), names)
                for name in names:
                    pipe.zrank(key("waitlist", show=show), name)
                pipe.zcount(key("waitlist", show=show), "-inf", f"({terms['number'] * FIRST}")
                records, *ranks, before = await pipe.execute()
        if terms["status"] == "closed":
            return [Waiting(drop, 0, 0, 0) for _ in viewers]
        drawn = terms["mode"] == "draw"  # then there is no order yet: which entry it is
        return [
            Waiting(drop, unpacked(record)[-1] if drawn else rank - before + 1, length, unpacked(record)[1])
            if record is not None and rank is not None
            else Waiting(drop, 0, length, 0)
            for record, rank in zip(records, ranks, strict=True)
        ]
