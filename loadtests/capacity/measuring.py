"""One load after the other on the same server, each with a show of its own, for as long as there is time."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from loadtests.capacity import calibration
from loadtests.capacity.beside import Beside
from loadtests.capacity.goals import figures, missed
from loadtests.capacity.model import MEMORY, sample
from loadtests.capacity.search import Step
from loadtests.capacity.shares import shares
from loadtests.shapes import ShapeError, shape
from loadtests.stagehand import StageError, door, live_show

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.capacity.goals import Goals
    from loadtests.capacity.model import Sample
    from loadtests.plan import Plan
    from loadtests.run import Run
    from loadtests.stagehand import Stage

AROUND_SECONDS = 9.0  # of a run beside its plan: Locust's start, the last reservations, the audit
CALIBRATION_SIZES = (300, 900)  # viewers: enough to tell costs apart, and soon there
CALIBRATION_SHARE = 0.5  # of the time at most
MEGABIT = 1e6 / 8


class Perform(Protocol):
    """Carries out a plan on a live show: `loadtests.perform.perform`."""

    def __call__(  # noqa: D102, PLR0913  what a run is made of
        self,
        stage: Stage,
        show: str,
        plan: Plan,
        folder: Path,
        say: Callable[[str], None],
        *,
        processes: int = 1,
    ) -> Run: ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How a load is made of a number of viewers: its shape, its drop as a share of them, and who makes it."""

    shape: str = "steady"
    run_seconds: float | None = None
    drop: float = 0.1  # units per viewer
    seed: int = 1
    processes: int = 1  # of the generator
    gateways: int = 1
    link_mbit: float = 0.0  # what the network between carries; 0: it is not watched
    model: bool = True  # False: the knee alone is looked for


class Measuring:
    """Measures loads until `deadline` (monotonic seconds); everything it measured is in `samples` and `largest`."""

    def __init__(  # noqa: PLR0913, PLR0917  what measuring needs
        self,
        stage: Stage,
        asked: Asked,
        goals: Goals,
        folder: Path,
        say: Callable[[str], None],
        perform: Perform,
        deadline: float,
    ) -> None:
        self._stage = stage
        self._asked = asked
        self._goals = goals
        self._folder = folder
        self._say = say
        self._perform = perform
        self.deadline = deadline
        self.samples: list[Sample] = []
        self.largest: Run | None = None
        self._waiting: list[Plan] = []
        self._numbers = itertools.count(1)

    def step(self, viewers: int) -> Step | str:
        """Return what a load did to the server, or why that cannot be known."""
        asked = self._asked
        units = max(1, round(viewers * asked.drop))
        try:
            plan = shape(asked.shape, viewers, units, asked.run_seconds, asked.seed)
        except ShapeError as error:
            return str(error)
        if not self._in_time(plan, until=self.deadline):
            return "its time was used up"
        self._say(f"{viewers:,} viewers, {asked.shape}: about {plan.seconds + AROUND_SECONDS:.0f} s …")
        beside = Beside(self._stage.processes)
        try:
            with beside:
                run, folder = self._run(plan)
        except StageError as error:
            self._say(f"  {error}")
            return f"a run of {viewers:,} viewers could not be carried out"
        if self.largest is None or plan.viewers >= self.largest.plan.viewers:
            self.largest = run
        seen = figures(run, asked.gateways)
        step = Step(
            viewers=viewers,
            figures=seen,
            broken=missed(run, seen, self._goals),
            shares=shares(run, asked.gateways, link=asked.link_mbit * MEGABIT),
            foreign=beside.share,
            folder=folder.name,
        )
        self._say(f"  {'carried' if step.passed else '; '.join(each.sentence for each in step.broken)}")
        return step

    def warm_up(self, most: int) -> None:
        """Let the server do everything once, uncounted: some of it, such as the sandbox's bank, sleeps until then."""
        plan = calibration.plans(min(most, CALIBRATION_SIZES[0]), self._asked.seed)[-1]
        if self._in_time(plan, until=self.deadline):
            self._say(f"{plan.viewers:,} viewers, to warm up …")
            self._tried(plan, counted=False)

    def calibrate(self, most: int) -> None:
        """Measure runs that tell costs apart, of so many viewers at most, in a share of the time.

        `go_on` measures what there was no time for.
        """
        until = time.monotonic() + CALIBRATION_SHARE * (self.deadline - time.monotonic())
        sizes = sorted({min(most, size) for size in CALIBRATION_SIZES})
        plans = [plan for size in sizes for plan in calibration.plans(size, self._asked.seed)]
        if not self._in_time(*plans, until=until):
            kinds = len(plans) // len(sizes)
            plans = [*plans[-kinds:], *plans[:-kinds]]  # the larger ones tell more
        self._waiting = plans
        self.go_on(until)

    def compare(self, plans: list[Plan]) -> None:
        """Measure some runs for the model alone, as long as there is time."""
        self._waiting = plans
        self.go_on()

    def go_on(self, until: float | None = None) -> None:
        """Measure what `calibrate` had no time for, until a moment (None: to the end)."""
        while self._waiting and self._in_time(self._waiting[0], until=until or self.deadline):
            plan = self._waiting.pop(0)
            self._say(f"{plan.viewers:,} viewers, {plan.shape} …")
            self._tried(plan)

    def _tried(self, plan: Plan, *, counted: bool = True) -> None:
        try:
            self._run(plan, counted=counted)
        except StageError as error:
            self._say(f"  {error}")

    def _in_time(self, *plans: Plan, until: float) -> bool:
        return time.monotonic() + sum(plan.seconds + AROUND_SECONDS for plan in plans) <= until

    def _run(self, plan: Plan, *, counted: bool = True) -> tuple[Run, Path]:
        """Carry out a plan on a show of its own, which is ended whatever comes of it. Raises StageError."""
        folder = self._folder / f"{next(self._numbers):02}-{plan.viewers}"
        folder.mkdir(parents=True, exist_ok=True)
        with door(self._stage.url, self._stage.host_token) as host:
            show = live_show(host)
            try:
                run = self._perform(
                    self._stage, show, plan, folder, lambda _line: None, processes=self._asked.processes
                )
            finally:
                host.post(f"/v1/shows/{show}/end").raise_for_status()
        if not counted:
            return run, folder
        taken = sample(run, self._asked.gateways)
        if any(plan.viewers <= each.work.viewers for each in self.samples):
            # A process keeps what it had for a larger crowd: this says nothing of how much this one needs.
            taken.measured.pop(MEMORY, None)
        self.samples.append(taken)
        return run, folder
