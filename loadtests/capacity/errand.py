"""A whole search: a server to load, the steps, the runs that tell costs apart, and `capacity.json`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loadtests import family
from loadtests.capacity import calibration, conclude
from loadtests.capacity.measuring import AROUND_SECONDS, CALIBRATION_SIZES, Measuring
from loadtests.capacity.model import calibrated
from loadtests.capacity.result import FILE, Capacity
from loadtests.capacity.search import search
from loadtests.stagehand import allow_files, elsewhere, own_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.capacity.conclude import Wishes
    from loadtests.capacity.goals import Goals
    from loadtests.capacity.measuring import Asked, Perform
    from loadtests.capacity.model import Sample
    from loadtests.capacity.search import Bounds
    from loadtests.stagehand import Stage

RESULTS = Path("results") / "capacity"
MORE_GATEWAYS = 2
GATEWAYS_SHARE = 0.25  # of the time, kept for a server of more processes


class Errand:
    """A search as it was asked for. `seconds` bound all of it."""

    def __init__(  # noqa: PLR0913, PLR0917  what a search is made of
        self,
        host: str | None,
        host_token: str,
        asked: Asked,
        goals: Goals,
        bounds: Bounds,
        seconds: float,
        out: Path | None,
        say: Callable[[str], None],
        perform: Perform,
    ) -> None:
        self._host = host
        self._host_token = host_token
        self._asked = asked
        self._goals = goals
        self._bounds = bounds
        self._seconds = seconds
        self._out = out
        self._say = say
        self._perform = perform

    def carried_out(self, wishes: Wishes) -> Capacity:
        """Search, calibrate, predict, and leave `capacity.json`. Raises StageError, OSError."""
        began, deadline = datetime.now(UTC), time.monotonic() + self._seconds
        folder = self._out or RESULTS / f"{began.astimezone():%Y%m%d-%H%M%S}"
        allow_files(self._bounds.most)
        with self._stage() as stage:
            asked = msgspec.structs.replace(self._asked, gateways=self._gateways(stage))
            measuring = Measuring(stage, asked, self._goals, folder, self._say, self._perform, deadline)
            measuring.warm_up(self._bounds.most)
            if asked.model:
                self._say("First, runs that tell apart what a join, a delivery, a tap and an order cost.")
                measuring.calibrate(self._bounds.most)
            measuring.deadline = deadline - (GATEWAYS_SHARE * self._seconds if self._compares else 0.0)
            steps, knee = search(measuring.step, self._bounds)
            more = self._more_gateways(asked, folder, deadline)
            measuring.deadline = deadline
            measuring.go_on()
            server = stage.url
        largest, samples = measuring.largest, [*measuring.samples, *more]
        model = calibrated(samples)
        measured = (
            conclude.rates(largest, asked.gateways) if largest is not None and model is not None else None
        )
        rates = conclude.wished_for(measured, wishes)
        result = Capacity(
            began_at=began.isoformat(timespec="seconds"),
            machine=largest.machine if largest is not None else family.this_machine(),
            server=largest.server if largest is not None else server,
            asked=asked,
            goals=self._goals,
            steps=steps,
            knee=knee,
            samples=samples,
            model=model,
            measured=measured,
            rates=rates,
            limits=wishes.limits,
            prices=wishes.prices,
            predictions=conclude.for_each(model, rates, wishes),
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(result)))
        self._say(f"All of it is in {folder / FILE}")
        return result

    @property
    def _compares(self) -> bool:
        """Whether servers of another size may be started, for the model."""
        return self._host is None and self._asked.model

    def _more_gateways(self, asked: Asked, folder: Path, deadline: float) -> list[Sample]:
        """Return runs on a server of more processes: what each costs by itself shows in nothing else."""
        if not self._compares:
            return []
        asked = msgspec.structs.replace(asked, gateways=asked.gateways + MORE_GATEWAYS)
        plans = calibration.of_gateways(min(self._bounds.most, CALIBRATION_SIZES[-1]), asked.seed)
        if time.monotonic() + sum(plan.seconds + AROUND_SECONDS for plan in plans) > deadline:
            return []
        self._say(f"And on a server of {asked.gateways} processes, for what each of them costs by itself:")
        with own_server(asked.gateways) as stage:
            larger = Measuring(stage, asked, self._goals, folder / "more", self._say, self._perform, deadline)
            larger.compare(plans)
        return larger.samples

    @contextmanager
    def _stage(self) -> Iterator[Stage]:
        if self._host is not None:
            yield elsewhere(self._host, self._host_token)
            return
        self._say(f"Starting a server of our own, {self._asked.gateways} process(es) …")
        with own_server(self._asked.gateways) as stage:
            yield stage

    def _gateways(self, stage: Stage) -> int:
        """Return how many processes take connections; as it was said where that cannot be seen."""
        belonging = {pid for root in stage.processes for pid in family.descendants(root)}
        return sum(family.accepts(pid, stage.port) for pid in belonging) or self._asked.gateways
