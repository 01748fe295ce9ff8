"""A run beside earlier runs of the same plan: which figure moved, by how much, and whether that is more than noise."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from rich.markup import escape
from rich.table import Table

from loadtests.report.figures import Better, figures
from loadtests.report.noise import Noise
from loadtests.report.numbers import change, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.plan import Plan
    from loadtests.report.figures import Figure
    from loadtests.run import Run

ENOUGH = 3  # earlier runs of which noise can be told
LONGEST = 60  # of what a plan says of itself in a sentence
COLOURS = {"better": "green", "worse": "red", "moved": "yellow"}


class OtherPlanError(ValueError):
    """An earlier run asked for something else, so the two do not compare; the sentence says what differs."""


class Verdict(StrEnum):
    """What a difference means."""

    SAME = "the same"
    NOISE = "within noise"
    BETTER = "better"
    WORSE = "worse"
    MOVED = "moved"
    UNKNOWN = "noise unknown"


class Moved(Struct, frozen=True, kw_only=True):
    """A figure now and in so many earlier runs: their median, their spread, and how far noise alone goes from it.

    `band` is None where there was one earlier run: of that the noise is unknown.
    """

    figure: str
    unit: str
    better: Better
    now: float
    runs: int
    middle: float
    least: float
    most: float
    band: float | None

    @property
    def change(self) -> float | None:
        """By how much it moved, a share of what it was; None where it was 0."""
        return (self.now - self.middle) / self.middle if self.middle else None

    @property
    def beyond_noise(self) -> bool:
        """Whether earlier runs make it unlikely that chance did it."""
        return self.band is not None and abs(self.now - self.middle) > self.band

    @property
    def verdict(self) -> Verdict:
        """What the difference means."""
        if self.now == self.middle:
            return Verdict.SAME
        if self.band is None:
            return Verdict.UNKNOWN
        if not self.beyond_noise:
            return Verdict.NOISE
        if self.better is Better.NEITHER:
            return Verdict.MOVED
        good = (self.now < self.middle) is (self.better is Better.LESS)
        return Verdict.BETTER if good else Verdict.WORSE


def compare(run: Run, earlier: Sequence[Run]) -> list[Moved]:
    """Return every figure that the run and at least one earlier run have. Raises OtherPlanError."""
    for one in earlier:
        _same_plan(run.plan, one.plan)
    before: dict[str, list[float]] = {}
    for one in earlier:
        for figure in figures(one):
            before.setdefault(figure.name, []).append(figure.value)
    return [_moved(figure, before[figure.name]) for figure in figures(run) if figure.name in before]


def remarks(run: Run, earlier: Sequence[Run]) -> list[str]:
    """Return what one has to know before believing the comparison, as sentences."""
    said = []
    if len(earlier) < ENOUGH:
        runs = "One earlier run tells" if len(earlier) == 1 else f"{len(earlier)} earlier runs tell"
        unknown = "no noise at all" if len(earlier) == 1 else "little of the noise"
        said.append(
            f"{runs} {unknown}: repeat the run and name {ENOUGH} or more, to see which figure has really moved."
        )
    mine = run.machine
    others = {(one.machine.cpu, one.machine.cores, one.machine.memory) for one in earlier}
    if others - {(mine.cpu, mine.cores, mine.memory)}:
        said.append("An earlier run was made on another machine: times and CPU differ by that too.")
    if {one.machine.python for one in earlier} - {mine.python}:
        said.append("An earlier run was made with another version of Python.")
    busy = [one for one in (run, *earlier) if one.machine.load_before > one.machine.cores / 2]
    if busy:
        said.append(
            f"{len(busy)} of these {len(earlier) + 1} runs began on a machine that was busy already: "
            "their times are other programs' too."
        )
    return said


def told(moved: Sequence[Moved]) -> str:
    """Return the comparison in a sentence."""
    beyond = [each for each in moved if each.beyond_noise]
    if not moved:
        return "The runs have no figure in common."
    runs = max(each.runs for each in moved)
    if runs == 1:
        return f"{len(moved)} figures beside one earlier run; the noise is unknown."
    if not beyond:
        return f"None of {len(moved)} figures moved by more than the noise of {runs} earlier runs."
    worse = sum(each.verdict is Verdict.WORSE for each in beyond)
    better = sum(each.verdict is Verdict.BETTER for each in beyond)
    return (
        f"{len(beyond)} of {len(moved)} figures moved by more than the noise of {runs} earlier runs: "
        f"{worse} for the worse, {better} for the better."
    )


def table(moved: Sequence[Moved]) -> Table:
    """Return the comparison for a terminal, what has moved first."""
    made = Table("figure", title="Against earlier runs", caption=told(moved))
    for name in ("now", "earlier", "change", "noise"):
        made.add_column(name, justify="right")
    made.add_column("so it is")
    for each in in_order(moved):
        colour = COLOURS.get(each.verdict.name.lower(), "")
        verdict = f"[{colour}]{each.verdict}[/]" if colour else str(each.verdict)
        spread = f" ({short(each.least)} … {short(each.most)})" if each.runs > 1 else ""
        band = "?" if each.band is None else f"± {short(each.band)}"
        earlier = f"{short(each.middle)}{spread}"
        now = f"{short(each.now)} {each.unit}".strip()
        made.add_row(escape(each.figure), now, earlier, change(each.change), band, verdict)
    return made


def in_order(moved: Sequence[Moved]) -> list[Moved]:
    """Return what is worse first, then all else that has moved, then the rest as it was."""
    rank = {Verdict.WORSE: 0, Verdict.BETTER: 1, Verdict.MOVED: 1}
    return sorted(moved, key=lambda each: rank.get(each.verdict, 2))


def _moved(figure: Figure, before: list[float]) -> Moved:
    noise = Noise.of(before, figure.resolution)
    return Moved(
        figure=figure.name,
        unit=figure.unit,
        better=figure.better,
        now=figure.value,
        runs=noise.runs,
        middle=noise.middle,
        least=noise.least,
        most=noise.most,
        band=noise.band,
    )


def _same_plan(now: Plan, then: Plan) -> None:
    """Raise OtherPlanError where the plans differ, with what differs."""
    mine, its = (msgspec.to_builtins(plan) for plan in (now, then))
    differing = [name for name in mine if mine[name] != its[name]]
    if differing:
        each = "; ".join(f"{name} {_brief(its[name])} then, {_brief(mine[name])} now" for name in differing)
        raise OtherPlanError(f"The earlier run asked for something else, so the two do not compare: {each}.")


def _brief(value: object) -> str:
    words = msgspec.json.encode(value).decode()
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
