"""The sold-out gate beside the model: the only answer that it may give is a fresh and true `out-of-stock`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from server.errors import Code, Problem

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome, Seen
    from tests.flows.machine_asking import Asking
    from tests.flows.model_steps import Wish

TRUST_SECONDS = 0.2  # for so long it may believe what it saw


class Sights:
    """What a house's gate has in mind before something is asked of it.

    A refusal that shows one of these sights is the gate's own. It must be to a plain reservation that was never
    applied, of a viewer who has nothing in the show, while the drop is on sale and sold out; and the sight must be
    young, because its number of held units is told. That it was true is looked at when it is new.
    """

    def __init__(self, show: Asking, house: int) -> None:
        self._show = show
        self._house = house % len(show.world.houses)
        self._known = self._sights()
        self._now = time.monotonic()
        for seen in self._known.values():
            self._note(seen)

    def refused(self, wish: Wish, outcome: Outcome) -> bool:
        """Whether this is the gate's refusal; it counts as asked for in vain."""
        seen: Seen | None = getattr(outcome, "seen", None)
        if seen is None or self._known.get(seen.drop) is not seen:
            return False
        assert isinstance(outcome, Problem)
        assert (wish.verb, wish.bundle) == ("reserve", False)
        model, (number, units) = self._show.model, wish.items[0]
        assert wish.name not in model.holds, "a repeat was refused"
        assert wish.viewer not in model.mine, "the limit, or a place, may have been the answer"
        drop = model.drops[number]
        assert (model.live, drop.status, drop.available) == (True, "open", 0), "it was not so"
        assert (outcome.code, outcome.extras) == (Code.OUT_OF_STOCK, {"available": 0, "held": seen.held})
        assert self._now - self._show.sighted[id(seen)] <= TRUST_SECONDS
        model.unmet += units
        return True

    def look(self) -> None:
        """Look at what the gate has in mind now: what is new must be so."""
        for drop, seen in self._sights().items():
            if self._known.get(drop) is not seen:
                model = self._show.model.drops[self._show.drop_ids.index(drop)]
                assert (seen.available, seen.held) == (0, model.held)
                assert model.available == 0
                self._note(seen)

    def _note(self, seen: Seen) -> None:
        if id(seen) not in self._show.sighted:
            self._show.sighted[id(seen)] = time.monotonic()
            self._show.kept.append(seen)

    def _sights(self) -> dict[str, Seen]:
        line = self._show.world.houses[self._house].batches._lines.get(self._show.show)
        return {drop: seen for drop, (_until, seen) in line.gate._gone.items()} if line else {}
