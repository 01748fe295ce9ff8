"""The waiting room of a show with a capacity: who may come in, and who stands where until there is a seat.

A seat is taken by a viewer who is here, or kept for one who has got a turn or has just left. Who comes before the show
begins is put into the line by lot once it does, who comes later stands behind them. All of it is one script's matter;
this is its door.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server import ids
from server.errors import Code, Problem
from server.store.answers import ask, unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.settings import Settings
    from server.store.redis import Redis
    from server.store.scripts import Scripts

LONGEST = 100_000  # places in a show's line: 20 MB of the store
KNOWN_TURNS = 1 / 600  # per second: where turns are rarer, nobody can say when the next one comes
MOST_ESTIMATE_MS = 2 * 3_600_000  # likewise
RETRY_MS = 5000  # to come back after, where nobody knows better


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands who asked to come in: `place` 0 has a seat, 1 is next, None has no place: the line is full.

    `waiting` counts the whole line. Before the show has begun (`begun`) there is a line but no order. Times in ms.
    """

    place: int | None
    waiting: int = 0
    begun: bool = True
    opens_at: int | None = None
    estimate_ms: int | None = None
    title: str = ""  # of the show: they see nothing else of it


class WaitingRoom:
    """The door of all shows; `capacity` viewers are in a show at once, over all processes."""

    def __init__(self, client: Redis, scripts: Scripts, settings: Settings) -> None:
        self._client = client
        self._scripts = scripts
        self._capacity = settings.show_capacity
        self._per_second = settings.joins_per_second
        self.keep_ms = settings.turn_seconds * 1000

    async def enter(self, show: str, viewers: list[str]) -> list[Standing]:
        """Return how each of these stands, who comes for the first time or asks again; each named once.

        A place is kept for `keep_ms` after its viewer was named last. Raises `unavailable`.
        """
        answer = await ask(
            self._scripts,
            "room_enter",
            {"show": show},
            viewers=viewers,
            lots=[ids.lot() for _ in viewers],
            capacity=self._capacity,
            per_second=self._per_second,
            keep_ms=self.keep_ms,
            longest=LONGEST,
        )
        if answer["outcome"] == "gone":  # whoever joins it is told
            return [Standing(0)] * len(viewers)
        waiting, begun = answer["waiting"], answer["open"]
        rate = answer.get("rate", 0.0)
        opens_at = None if begun else answer.get("starts_at")
        return [
            Standing(
                place if place >= 0 else None,
                waiting,
                begun,
                opens_at,
                estimate(place, rate),
                answer["title"],
            )
            for place in answer["places"]
        ]

    async def require_seat(self, show: str, viewer: str) -> None:
        """Raise `rate-limited` for a viewer of a full show who is not in it: its waiting room is the live socket's.

        Who has units there may go on with them from anywhere.
        """
        with reaching("looking for a viewer's seat"):
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.hlen(key("viewers", show=show))
                pipe.zcard(key("line", show=show))
                pipe.hexists(key("viewers", show=show), viewer)
                pipe.zscore(key("seats", show=show), viewer)
                pipe.hget(key("mine", show=show), viewer)
                here, waiting, *seats, mine = await pipe.execute()
        full = here >= self._capacity or waiting
        if full and not any(seats) and not has_units(mine):
            sentence = f"The show has room for {self._capacity} viewers and is full; {waiting} wait."
            raise Problem(Code.RATE_LIMITED, f"{sentence} Wait on the live socket.", retry_after_ms=RETRY_MS)

    async def waiting(self, show: str) -> int:
        """Return how many wait."""
        with reaching("counting who waits"):
            count: int = await self._client.zcard(key("line", show=show))
        return count


def has_units(mine: bytes | None) -> bool:
    """Whether somebody has units of a show: by their record there, which also has what was let go and their places."""
    fields = unpacked(mine) if mine else []
    return any(number > 0 and units > 0 for number, units in zip(fields[::3], fields[1::3], strict=True))


def estimate(place: int, rate: float) -> int | None:
    """Return the time until a place's turn at so many turns per second, ms; None where nobody can say.

    Two digits of it: more would be news every second to everybody, and no truer.
    """
    if place < 1 or rate < KNOWN_TURNS:
        return None
    estimated = int(float(f"{place / rate * 1000:.2g}"))
    return estimated if estimated <= MOST_ESTIMATE_MS else None
