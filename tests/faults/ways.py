"""Ways through a checkout, found in its own table: to every act of every step, and to every answer that it can have.

So a step or an answer that is new in the table has its crash tests by itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from server.checkout.steps import BEGINS, FIRST, TABLE, Act, Heard, Step

UNDONE = frozenset({Step.VOIDING, Step.UNDOING, Step.REFUSED})


@dataclass(frozen=True, slots=True)
class Leg:
    """One act of a way and what it brings; None: the process dies before it is tried."""

    step: Step
    act: Act
    heard: Heard | None


@dataclass(frozen=True, slots=True)
class Way:
    """Legs to an act, and where the process dies at last: before it is tried, or after it brought `heard`."""

    legs: tuple[Leg, ...]
    step: Step
    act: Act
    heard: Heard | None = None

    @property
    def name(self) -> str:
        """Where the process dies, in words."""
        at = f"{self.step} {self.act}"
        return f"before {at}" if self.heard is None else f"after {at} {self.heard}"

    @property
    def lost(self) -> bool:
        """Whether others have the units."""
        return Heard.LOST in {self.heard, *(leg.heard for leg in self.legs)}

    @property
    def undone(self) -> bool:
        """Whether the order comes to nothing on this way, whoever goes on with it."""
        steps = {self.step, *(leg.step for leg in self.legs)}
        heard = {self.heard, *(leg.heard for leg in self.legs)}
        return bool(steps & UNDONE or heard & {Heard.NO, Heard.REFUSED, Heard.LOST})


def ways() -> list[Way]:
    """Return a short way to each act of the table, to die before it, and after each of its answers."""
    found: dict[tuple[Step, Act], tuple[Leg, ...]] = {}
    waiting: deque[tuple[Step, Act, tuple[Leg, ...]]] = deque([(Step.CLAIMED, FIRST, ())])
    while waiting:
        step, act, legs = waiting.popleft()
        if (step, act) in found:
            continue
        found[step, act] = legs
        for heard, move in TABLE[step, act].items():
            if isinstance(move.then, Act):
                waiting.append((move.step, move.then, (*legs, Leg(step, act, heard))))
            else:
                waiting.append((move.step, BEGINS[move.step], (*legs, Leg(step, act, heard))))
        # Whoever comes after a crash begins where the record stands.
        waiting.append((step, BEGINS[step], (*legs, Leg(step, act, None))))
    assert found.keys() == TABLE.keys(), f"no way leads to {TABLE.keys() - found.keys()}"
    return [
        Way(legs, step, act, heard)
        for (step, act), legs in found.items()
        for heard in (None, *TABLE[step, act])
    ]
