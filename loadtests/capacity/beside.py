"""How much of this machine went to programs that have nothing to do with a run; what is stolen from it counts too."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loadtests import family

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

STAT = Path("/proc/stat")
# Of the first line's numbers: user, nice, system, irq, softirq, steal; what guests use is in user already.
WORKING = (0, 1, 2, 5, 6, 7)
TICKS = os.sysconf("SC_CLK_TCK")


class Beside:
    """Watches a block: `share` of the machine is what others took meanwhile; 0.0 where that cannot be seen.

    `servers` are the first processes of the server; what this process does and starts and waits for belongs to the run.
    """

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self.share = 0.0

    def __enter__(self) -> Self:
        self._began, self._busy, self._ours = time.monotonic(), _busy(), self._used()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lasted = time.monotonic() - self._began
        others = (_busy() - self._busy) - (self._used() - self._ours)
        if self._busy and lasted > 0:
            self.share = max(0.0, others / lasted / (os.cpu_count() or 1))

    def _used(self) -> float:
        """Return the CPU seconds that the run's own processes have used so far."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        family_pids = {pid for root in self._servers for pid in family.descendants(root)}
        found = (family.used(pid) for pid in family_pids - {os.getpid()})
        return time.process_time() + ended.ru_utime + ended.ru_stime + sum(one[0] for one in found if one)


def _busy() -> float:
    """Return the CPU seconds that this machine has worked since it started; 0.0 where nobody tells."""
    try:
        numbers = STAT.read_text().splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    return sum(int(numbers[place]) for place in WORKING) / TICKS
