"""Whether processes grow: memory and open files of each, over its life."""

from __future__ import annotations

import resource
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WARM_SECONDS = 60.0  # of a process's life that do not count
JUDGED_SECONDS = 180.0  # beyond that, and a shorter life says nothing
GROWTH = 0.10
PAGE_BYTES = resource.getpagesize()
ROOM_FILES = 16  # descriptors that may come and go with what is under way at the moment


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process."""

    at: float  # seconds, monotonic
    rss: int  # bytes
    files: int


@dataclass(slots=True)
class Health:
    """Looks at processes, by name and id: who is started again begins anew."""

    lives: dict[tuple[str, int], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def look(self, pids: Mapping[str, int], now: float) -> None:
        """Note how large everybody is."""
        for name, pid in pids.items():
            with suppress(OSError):  # it is gone
                self.lives[name, pid].append(seen(pid, now))

    def judged(self) -> Iterator[tuple[str, list[Sample]]]:
        """Yield the lives that were long enough to be judged, without their beginning."""
        for (name, _pid), samples in self.lives.items():
            warm = [each for each in samples if each.at - samples[0].at >= WARM_SECONDS]
            if warm and warm[-1].at - warm[0].at >= JUDGED_SECONDS:
                yield name, warm

    def complaints(self) -> list[str]:
        """Return a sentence for each process that grew."""
        return [line for name, warm in self.judged() for line in grown(name, warm)]

    def summary(self) -> list[str]:
        """Return a sentence for each life that was judged."""
        return [
            f"{name}: {warm[0].rss >> 20} to {warm[-1].rss >> 20} MiB and {warm[0].files} to "
            f"{warm[-1].files} open files in {warm[-1].at - warm[0].at:.0f} s"
            for name, warm in self.judged()
        ]


def seen(pid: int, now: float) -> Sample:
    """Look at a process; raises OSError where there is none (any more), or no /proc."""
    process = Path("/proc") / str(pid)
    resident = int((process / "statm").read_text().split()[1])
    return Sample(now, resident * PAGE_BYTES, sum(1 for _ in (process / "fd").iterdir()))


def grown(name: str, samples: list[Sample]) -> list[str]:
    """Return what grew from the first to the last third of a life, by the middle one of each."""
    third = max(1, len(samples) // 3)
    found = []
    for what, room in (("rss", 0), ("files", ROOM_FILES)):
        first = median(getattr(each, what) for each in samples[:third])
        last = median(getattr(each, what) for each in samples[-third:])
        if last > first * (1 + GROWTH) + room:
            found.append(f"{name}: {what} grew from {first:.0f} to {last:.0f}")
    return found
