"""How long, how many, from which seed: all that a run is made from, and what it counted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

ANSWERS, LOOKS = 101, 5  # of a short run: fewer prove nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. From the seed comes what everybody does; at what moment the machine decides."""

    seed: int
    seconds: float = 60.0
    gateways: int = 4
    buyers: int = 32
    kill_every: float = 2.5  # seconds, about
    stop_every: float = 6.0  # seconds, about: everybody stands still and the books are read
    answers: int = 0  # that there must have been: on a busy machine it takes longer
    looks: int = 0  # likewise, at the books
    fault: str = ""  # of `tests.flows.named.broken`, which the books must show

    @property
    def skip_absent(self) -> bool:
        """Whether queues pass over who is not here: every second seed."""
        return self.seed % 2 == 1

    def chance(self, who: str) -> random.Random:
        """Return somebody's own source of decisions."""
        return random.Random(f"{self.seed} {who}")  # noqa: S311  deeds, no secrets


def short(seed: int | None = None) -> Plan:
    """Return the run that is part of the suite."""
    return Plan(
        fresh(seed), seconds=8.0, buyers=24, kill_every=2.5, stop_every=2.5, answers=ANSWERS, looks=LOOKS
    )


def fresh(seed: int | None) -> int:
    """Return the given seed, or one of this moment."""
    return random.SystemRandom().getrandbits(32) if seed is None else seed


@dataclass(slots=True)
class Outcome:
    """What a run came to. It passed where nobody complains."""

    complaints: list[str] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)
    looks: int = 0  # at the books
    kills: int = 0

    def complain(self, when: str, found: list[str]) -> None:
        """Note what was found wrong, and when."""
        self.complaints += [f"{when}: {each}" for each in found]
