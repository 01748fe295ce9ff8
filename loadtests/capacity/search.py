"""Where the knee is: the load grows by a factor until a goal breaks, then the gap is halved until it is narrow.

A load is only said to be too much when it was so every time it was tried, and the server, not whoever loaded it, was
why. Where the generator or the machine under both was at its end, the result is "at least".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests.capacity.goals import Broken, Figures
from loadtests.capacity.shares import (
    GATEWAY,
    GENERATOR,
    LEDGER,
    MACHINE,
    NETWORK,
    REDIS,
    SATURATED,
    at_its_end,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = "unknown"
SERVER_PARTS = frozenset({GATEWAY, REDIS, NETWORK})
BESIDE_OTHERS = 0.97  # of a core that a part must have had, among other programs, to be what was full
FOREIGN_MOST = 0.15  # share of the machine for other programs from which a miss says nothing of the server


class Step(Struct, kw_only=True):
    """One measured load: what was missed, what each part took, and where its run.json is.

    `foreign` is the share of the machine that programs took which have nothing to do with the run.
    """

    viewers: int
    figures: Figures
    broken: list[Broken]
    shares: dict[str, float]
    foreign: float = 0.0
    folder: str = ""

    @property
    def passed(self) -> bool:
        """Whether every goal was kept."""
        return not self.broken

    @property
    def limited(self) -> str:
        """Why a miss says nothing of the server; empty where it does, or where nothing was missed."""
        if self.passed:
            return ""
        if self.shares.get(GENERATOR, 0.0) >= SATURATED:
            return f"the generator was at its end ({self.shares[GENERATOR]:.0%} of its cores)"
        known = any(each.goal == "cpu" for each in self.broken)
        if not known and self.foreign >= FOREIGN_MOST and not at_its_end(self.shares, BESIDE_OTHERS):
            return f"other programs took {self.foreign:.0%} of this machine"
        known = known or at_its_end(self.shares) is not None
        if not known and self.shares.get(MACHINE, 0.0) >= SATURATED:
            return (
                f"server and generator share this machine, and together took {self.shares[MACHINE]:.0%} of it"
            )
        return ""


class Bounds(Struct, frozen=True, kw_only=True):
    """How far a search goes: viewers, the factor between two loads, the gap it ends at, runs, tries of a miss."""

    start: int = 250
    most: int = 20_000
    factor: float = 2.0
    gap: float = 0.2  # of the lower end
    runs: int = 12
    tries: int = 2


class Knee(Struct, kw_only=True):
    """The largest load that was carried, the smallest that was not (0: none was found), and what was full first.

    `bottleneck` is empty where the result is "at least". `because` says why it is, or why the gap was left wide.
    `nearest` is the part of the server that was closest to its end in the load that failed, and how close (1: full).
    """

    carried: int
    failed: int
    bottleneck: str
    because: str
    nearest: tuple[str, float] = ("", 0.0)

    @property
    def at_least(self) -> bool:
        """Whether the server may carry more than was found."""
        return not self.failed


class Search:
    """One search under way: what was measured, and between which loads the knee is."""

    def __init__(self, measure: Callable[[int], Step | str], bounds: Bounds) -> None:
        self._measure = measure
        self._bounds = bounds
        self.steps: list[Step] = []
        self.carried = 0
        self.failed = 0

    def run(self) -> Knee:
        """Measure loads until the knee is found, or say why it was not."""
        because = ""
        following: int | None = self._bounds.start
        while following is not None and not because:
            step = self._decided(following)
            if isinstance(step, str):
                because = step
            elif step.passed:
                self.carried = step.viewers
            elif step.limited:
                because = step.limited
            else:
                self.failed = step.viewers
            following = _next(self._bounds, self.carried, self.failed)
        if not self.failed and not because:
            because = f"{self._bounds.most:,} viewers are the most that was asked for"
        return Knee(
            carried=self.carried,
            failed=self.failed,
            bottleneck=bottleneck(self.steps, self.failed),
            because=because,
            nearest=nearest(self.steps, self.failed),
        )

    def _decided(self, viewers: int) -> Step | str:
        """Return the step that decides on a load: one that passes, one that says nothing, or the last of the tries.

        Or, in words, why there is none.
        """
        step: Step | str = ""
        for _ in range(self._bounds.tries):
            if len(self.steps) >= self._bounds.runs:
                return f"its {self._bounds.runs} runs were used up"
            step = self._measure(viewers)
            if isinstance(step, str):
                return step
            self.steps.append(step)
            if step.passed or (step.limited and step.foreign < FOREIGN_MOST):
                return step  # what others do passes, and is worth another try
        return step


def search(measure: Callable[[int], Step | str], bounds: Bounds) -> tuple[list[Step], Knee]:
    """Measure loads until the knee is between two of them. `measure` says in words why it cannot go on."""
    under_way = Search(measure, bounds)
    knee = under_way.run()
    return under_way.steps, knee


def _next(bounds: Bounds, carried: int, failed: int) -> int | None:
    """Return the load to measure next, or None where the knee is found or the end of what was asked is reached."""
    if not failed:
        return min(bounds.most, math.ceil(carried * bounds.factor)) if carried < bounds.most else None
    if not carried:
        lower = math.floor(failed / bounds.factor)
        return lower if lower >= 1 and failed > max(1, bounds.start // 16) else None
    middle = round(math.sqrt(carried * failed))
    return middle if failed > carried * (1 + bounds.gap) and carried < middle < failed else None


def bottleneck(steps: list[Step], failed: int) -> str:
    """Return what kept the failed load from being carried: the part that was full there, and at the smallest load.

    Where none was full: the gateway, if its CPU was the goal that was missed; the ledger, if only paying was slow.
    Else it is not known, and that is said.
    """
    if not failed:
        return ""
    last = [step for step in steps if step.viewers == failed]
    for step in sorted((step for step in steps if step.viewers <= failed), key=lambda step: step.viewers):
        there = {part: share for part, share in step.shares.items() if any(full(each, part) for each in last)}
        first = at_its_end(there)
        if first is not None:
            return first
    missed = {each.goal for step in last for each in step.broken}
    if "cpu" in missed:
        return GATEWAY
    if missed == {"checkout"}:
        return LEDGER
    return UNKNOWN


def nearest(steps: list[Step], failed: int) -> tuple[str, float]:
    """Return the part of the server that took the largest share of what it had in the failed load, and that share."""
    there = (step.shares.items() for step in steps if step.viewers == failed)
    known = [(part, share) for shares in there for part, share in shares if part in SERVER_PARTS]
    return max(known, key=lambda each: each[1], default=("", 0.0))


def full(step: Step, part: str) -> bool:
    """Whether a part had no more to give in a step."""
    return step.shares.get(part, 0.0) >= SATURATED
