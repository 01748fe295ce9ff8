"""What work costs: its rate, and the CPU time of the processes that did it, as Linux counts it.

CPU time per unit of work is a server's own figure: how busy the load generator was cannot blur it. It is counted
in ticks of 10 ms, so a block should keep a server busy for some tenths of a second.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
USER, SYSTEM = 11, 12  # fields of /proc/<pid>/stat after the name, see proc(5)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, user and system, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[USER]) + int(fields[SYSTEM])) / TICKS


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


@dataclass(slots=True)
class Block:
    """One measured stretch: how many units of work, in how many seconds, with whose CPU seconds."""

    units: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Way:
    """One way to do the work, measured in several blocks; `processes` are the ids of those whose CPU counts."""

    name: str
    processes: Mapping[str, int]
    blocks: list[Block] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[Block]:
        """Measure a block; whoever works in it says how many units they did."""
        block = Block()
        before = {name: cpu_seconds(pid) for name, pid in self.processes.items()}
        began = time.perf_counter()
        yield block
        block.seconds = time.perf_counter() - began
        block.cpu = {name: cpu_seconds(pid) - before[name] for name, pid in self.processes.items()}
        self.blocks.append(block)

    @property
    def per_second(self) -> float:
        """Units per second, the median of the blocks."""
        return median(block.units / block.seconds for block in self.blocks)

    def micros(self, process: str) -> float:
        """CPU microseconds of a process per unit, over all blocks."""
        units = sum(block.units for block in self.blocks)
        return 1e6 * sum(block.cpu[process] for block in self.blocks) / units
