"""Records of benchmarks that nobody ran, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from loadtests.bench.goals import Goal
from loadtests.bench.meter import Figure
from loadtests.bench.record import Judged, Kept, PartRecord, Record, numbers
from loadtests.bench.sizes import FULL
from loadtests.run import Machine

MACHINE = Machine(
    cpu="a processor", cores=2, memory=8 << 30, system="Linux 6", python="3.11.2", load_before=0.3
)


def goal(
    measured: float | None = 1.2, limit: float = 1.25, name: str = "CPU per delivery vs raw loop"
) -> Goal:
    """Return a cost that is to be at most so much."""
    figure = None if measured is None else Figure(measured, measured - 0.1, measured + 0.2)
    return Goal(name, figure, limit)


def part(name: str = "fanout", *goals: Goal, at: str = "2026-01-01T00:00:00Z") -> PartRecord:
    """Return what is kept of a part."""
    figures = [Kept(name="ours: CPU per delivery", unit="µs", middle=8.0, least=7.5, most=9.0)]
    kept = [Judged.of(each) for each in goals or (goal(),)]
    return PartRecord(part=name, at=at, seconds=9.0, load_before=0.2, figures=figures, goals=kept)


def record(*parts: PartRecord, at: str = "2026-01-01T00:00:00Z", **fields: Any) -> Record:
    """Return a run of the full sizes; `fields` replace what it says."""
    whole = Record(
        livedrop="0.1.0", at=at, machine=MACHINE, sizes=numbers(FULL), parts=list(parts or (part(at=at),))
    )
    return msgspec.structs.replace(whole, **fields)
