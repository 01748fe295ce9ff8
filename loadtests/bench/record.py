"""A run of the benchmarks as JSON: the machine, every figure of every part, every goal and by how much it is met."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from loadtests.bench.meter import Figure
from loadtests.family import this_machine
from loadtests.run import Machine
from server import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.bench.goals import Goal
    from loadtests.bench.parts import Outcome, Part
    from loadtests.bench.sizes import Sizes


class RecordError(Exception):
    """A file is no record of the benchmarks, or records do not belong together; the sentence says why."""


class Kept(Struct, frozen=True, kw_only=True):
    """A figure of a part: the median of its blocks, the least and the most."""

    name: str
    unit: str
    middle: float
    least: float
    most: float


class Judged(Struct, frozen=True, kw_only=True):
    """A goal: its bound (`at_least` or at most `limit`), what was measured (None: nothing), whether it is reached.

    `margin_percent` is the room to the bound in percent of it, below 0 where the goal is missed; None where nothing
    was measured, or where the bound is 0.
    """

    name: str
    unit: str
    limit: float
    at_least: bool
    measured: Figure | None
    reached: bool
    margin_percent: float | None
    shown: str  # the figure for people, with unit and spread
    bound: str
    verdict: str

    @classmethod
    def of(cls, goal: Goal) -> Judged:
        """Return a goal as it is kept."""
        return cls(
            name=goal.name,
            unit=goal.unit,
            limit=goal.limit,
            at_least=goal.at_least,
            measured=goal.measured,
            reached=goal.reached,
            margin_percent=goal.margin,
            shown=goal.shown,
            bound=goal.bound,
            verdict=goal.verdict,
        )


class PartRecord(Struct, frozen=True, kw_only=True):
    """One part: when it was measured, how long that took, and how busy the machine was before (1 minute's load)."""

    part: str
    at: str  # ISO 8601, UTC
    seconds: float
    load_before: float
    figures: list[Kept]
    goals: list[Judged]


class Record(Struct, kw_only=True):
    """All that was measured in one run, in the order in which it was."""

    version: int = 1
    livedrop: str
    at: str  # ISO 8601, UTC
    machine: Machine
    sizes: dict[str, Any]  # how much each part measures
    parts: list[PartRecord] = field(default_factory=list)

    @property
    def goals(self) -> dict[tuple[str, str], Judged]:
        """The goals by part and name."""
        return {(part.part, goal.name): goal for part in self.parts for goal in part.goals}


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """A part that is being measured: since when, and how busy the machine was then."""

    part: Part
    at: str
    since: float
    load_before: float

    @classmethod
    def now(cls, part: Part) -> Begun:
        """Return a part that begins at this moment."""
        return cls(part, moment(), time.monotonic(), this_machine().load_before)

    def ended(self, outcome: Outcome) -> PartRecord:
        """Return what is kept of it."""
        figures = [
            Kept(
                name=name,
                unit=unit,
                middle=figure.middle,
                least=figure.least,
                most=figure.most,
            )
            for name, unit, figure in outcome.figures
        ]
        return PartRecord(
            part=self.part.value,
            at=self.at,
            seconds=round(time.monotonic() - self.since, 1),
            load_before=round(self.load_before, 2),
            figures=figures,
            goals=[Judged.of(goal) for goal in outcome.goals],
        )


def begun(sizes: Sizes) -> Record:
    """Return a record with nothing in it yet."""
    return Record(livedrop=__version__, at=moment(), machine=this_machine(), sizes=numbers(sizes))


def numbers(sizes: Sizes) -> dict[str, Any]:
    """Return sizes as they read in a record."""
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(sizes))
    return read


def moment() -> str:
    """Return this moment, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(path: Path) -> Record:
    """Return the record in a file. Raises RecordError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{path} is no record of the benchmarks: {error}") from None


def write(record: Record, path: Path) -> None:
    """Write a record whole or not at all, as text that a person can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    fresh.replace(path)


def merged(records: list[Record]) -> Record:
    """Return one record with each part as it was measured last. Raises RecordError where the machines differ."""
    latest = max(records, key=lambda record: record.at)
    for record in records:
        if place(record) != place(latest):
            raise RecordError(
                "The records are of different machines: their figures do not belong on one page."
            )
        if record.sizes != latest.sizes:
            raise RecordError("The records are of different sizes: their figures do not belong on one page.")
    parts: dict[str, PartRecord] = {}
    for record in sorted(records, key=lambda record: record.at):
        parts |= {part.part: part for part in record.parts}
    return msgspec.structs.replace(latest, parts=list(parts.values()))


def place(record: Record) -> tuple[str, int, int]:
    """Return what makes a machine the same one: processor, cores, memory."""
    return record.machine.cpu, record.machine.cores, record.machine.memory
