"""What work costs: its rate, and the CPU time of the processes that did it, as Linux counts it.

CPU time per unit of work is a server's own figure: how busy the load generator was cannot blur it. Rates and
costs drift together with the machine, so two ways are compared round by round: each takes its turn in every
round, and the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = os.sysconf("SC_PAGE_SIZE")
SCHEDULED = 2  # the clock that clock_getcpuclockid(3) names: user and system time, all threads, ns
TICKS = os.sysconf("SC_CLK_TCK")
REAPED = slice(13, 15)  # in /proc/<pid>/stat after the name: user and system time of children that are gone


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used so far: /proc/<pid>/stat's sum, without its 10 ms ticks."""
    return time.clock_gettime((~pid << 3) | SCHEDULED)


def family_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its children, those that are gone (in 10 ms ticks) among them."""
    place = Path(f"/proc/{pid}")
    total = cpu_seconds(pid)
    for child in (place / "task" / str(pid) / "children").read_text().split():
        with suppress(OSError):  # it has just ended
            total += cpu_seconds(int(child))
    reaped = (place / "stat").read_text().rpartition(")")[2].split()[REAPED]
    return total + sum(map(int, reaped)) / TICKS


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


@dataclass(frozen=True, slots=True)
class Figure:
    """A median and the spread of the blocks that it comes from."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        """Return the figure of some blocks' values."""
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Block:
    """One measured stretch: how many units of work, in how many seconds, with whose CPU seconds.

    `calls` is by how many script calls the units were done, where somebody counted them.
    """

    units: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    calls: int = 0

    def micros(self, process: str) -> float:
        """CPU microseconds of a process per unit."""
        return 1e6 * self.cpu[process] / self.units


@dataclass(slots=True)
class Way:
    """One way to do the work, measured in several blocks; `processes` are the ids of those whose CPU counts.

    Of those in `families`, the CPU of their children counts too.
    """

    name: str
    processes: Mapping[str, int]
    blocks: list[Block] = field(default_factory=list)
    families: frozenset[str] = frozenset()

    @contextmanager
    def measured(self) -> Iterator[Block]:
        """Measure a block; whoever works in it says how many units they did."""
        block = Block()
        before = self._cpu()
        began = time.perf_counter()
        yield block
        block.seconds = time.perf_counter() - began
        block.cpu = {name: seconds - before[name] for name, seconds in self._cpu().items()}
        self.blocks.append(block)

    def _cpu(self) -> dict[str, float]:
        return {
            name: family_seconds(pid) if name in self.families else cpu_seconds(pid)
            for name, pid in self.processes.items()
        }

    @property
    def rate(self) -> Figure:
        """Units per second."""
        return Figure.of([block.units / block.seconds for block in self.blocks])

    @property
    def per_second(self) -> float:
        """Units per second, the median of the blocks."""
        return self.rate.middle

    @property
    def per_call(self) -> float | None:
        """Units per script call, the median of the blocks; None where nobody counted the calls."""
        counted = [block.units / block.calls for block in self.blocks if block.calls]
        return median(counted) if counted else None

    @property
    def first(self) -> str:
        """The process whose work it is; the others help it."""
        return next(iter(self.processes))

    def micros(self, process: str) -> float:
        """CPU microseconds of a process per unit, the median of the blocks."""
        return self.cost(process).middle

    def cost(self, process: str | None = None) -> Figure:
        """CPU microseconds of a process (None: the first) per unit."""
        return Figure.of([block.micros(process or self.first) for block in self.blocks])

    def faster_than(self, other: Way) -> Figure:
        """How many times as many units per second as another way, round by round."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        return Figure.of([mine.units / mine.seconds / (its.units / its.seconds) for mine, its in pairs])

    def costs_of(self, other: Way, process: str | None = None) -> Figure:
        """How many times the CPU of another way per unit, round by round; of a process (None: the first of each)."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        mine, its = process or self.first, process or other.first
        return Figure.of([block.micros(mine) / peer.micros(its) for block, peer in pairs])
