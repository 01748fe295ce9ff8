"""A show's figures over time: a note every 10 s while it is on, kept with the show, so that every host sees one curve.

Workers write it; of several, whoever comes first. It is for the eye alone: what a lost store takes of it is gone, and
what was sold stands in the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from server.store import reads
from server.store.answers import ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.shows.shows import Shows
    from server.store.redis import Redis
    from server.store.scripts import Scripts

APART_MS = (
    9_000  # two notes at least, and as a rule a second more: workers look every 10 s, each at its own beat
)
KEPT = 2160  # notes: the last six hours of a show
MOST_POINTS = 360  # told at once; of more, evenly chosen ones, always with the newest
# What is noted, in this order; figures of a show as `Shows.figures` has them.
NAMES: Final = (
    "viewers",
    "orders",
    "units_sold",
    "gmv",
    "conversion",
    "unmet_demand",
    "waitlist",
    "taken",
)

ON = frozenset({b"live", b"paused"})

View = dict[str, Any]


class Series:
    """The door to a show's figures over time."""

    def __init__(self, client: Redis, scripts: Scripts, shows: Shows) -> None:
        self._client = client
        self._scripts = scripts
        self._shows = shows

    async def sample(self, show: str) -> bool:
        """Note a show's figures as they are now, and say whether that was due: it is on, and nobody was here since."""
        status = await reads.field(self._client, key("show", show=show), "status", "reading the show's state")
        if status not in ON:
            return False
        figures = await self._shows.figures(show)
        answer = await ask(
            self._scripts,
            "show_sample",
            {"show": show},
            point=msgpack.packb([figures[name] for name in NAMES]),
            every_ms=APART_MS,
            most=KEPT,
        )
        return bool(answer["outcome"] == "noted")

    async def points(self, show: str, since: int = 0) -> list[View]:
        """Return the notes after a moment (Unix ms), oldest first: {at, viewers, …}, at most `MOST_POINTS`."""
        place = key("series", show=show)
        rows = await reads.stream_after(self._client, place, since, KEPT, "reading the figures over time")
        step = -(-len(rows) // MOST_POINTS) or 1
        chosen = rows[::-1][::step][::-1]
        return [
            {"at": int(name.partition(b"-")[0]), **dict(zip(NAMES, unpacked(fields[b"p"]), strict=True))}
            for name, fields in chosen
        ]
