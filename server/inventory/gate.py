"""The sold-out gate: what a process has just seen to be gone it refuses itself, instead of making Redis say it again.

It never awards anything and never decides about a repeat. What it knows of a drop is younger than `TRUST_SECONDS`, and
before it refuses anybody, one look for all of them, a tenth of a step's work, tells whose operation was applied before,
who has something already and so may be at their limit, and whether the drop is still on sale and still has nothing:
those go into a step like any other. So stock that came back is not hidden at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.inventory.outcomes import out_of_stock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.errors import Problem
    from server.inventory.asks import Ask
    from server.inventory.outcomes import Seen

TRUST_SECONDS = 0.2  # from the moment before the step that saw it
MOST_DROPS = 500  # known at a time per show: as many as it can have


class Gate:
    """What one process knows of one show's drops that are sold out."""

    def __init__(self) -> None:
        self._gone: dict[str, tuple[float, Seen]] = {}  # drop -> until when it is believed, and what was seen

    def learn(self, seen: Iterable[Seen], asked_at: float) -> None:
        """Take in what a step saw that was sent at `asked_at` (monotonic seconds)."""
        for one in seen:
            if one.available == 0 and one.gone_at and len(self._gone) < MOST_DROPS:
                self._gone[one.drop] = asked_at + TRUST_SECONDS, one
            else:
                self._gone.pop(one.drop, None)

    def hear(self, drop: str, revision: int) -> None:
        """Take in that a drop has this revision: a newer one than was seen may have units."""
        known = self._gone.get(drop)
        if known is not None and known[1].revision < revision:
            del self._gone[drop]

    def open(self) -> None:
        """Forget everything: this process has changed the show's stock itself."""
        self._gone.clear()

    def refusal(self, ask: Ask, now: float) -> Problem | None:
        """Return what to tell somebody who asks for what is gone, or None where only the script can say."""
        if not self._gone or ask.verb != "reserve" or ask.bundle or ask.exact:
            return None
        _own, drop, quantity = ask.items[0]
        known = self._gone.get(drop)
        if known is None:
            return None
        until, seen = known
        if until <= now:
            del self._gone[drop]
            return None
        return out_of_stock(quantity, 0, seen.held, seen)
