"""How full a process was in its fullest tenth of a second: what half a second's mean hides.

An opening is a burst. A process whose events come one after the other may have every reply of it wait for 100 ms, and
be found idle in four fifths of the half second around it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from loadtests.bench.meter import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LOOK_SECONDS = 0.02
SPAN_SECONDS = 0.1  # over which a process's share of a core is taken


class Bursts:
    """The fullest tenth of a second of each part's processes since it was last asked for. Looked at 50 times a second.

    `follow` says which processes there are, and `fullest` takes the peaks; both may be called from another thread.
    """

    def __init__(self) -> None:
        self._parts: dict[int, str] = {}
        self._seen: dict[
            int, deque[tuple[float, float]]
        ] = {}  # of each process, moments and CPU seconds until then
        self._peaks: dict[str, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True, name="bursts")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def follow(self, parts: Mapping[int, str]) -> None:
        """Look at these processes from now on, and at no others."""
        with self._lock:
            self._parts = dict(parts)
            self._seen = {pid: seen for pid, seen in self._seen.items() if pid in parts}

    def fullest(self) -> dict[str, float]:
        """Return the share of a core of each part's fullest process since the last call, and begin anew."""
        with self._lock:
            peaks, self._peaks = self._peaks, {}
            return peaks

    def note(self, pid: int, part: str, at: float, cpu: float) -> None:
        """Add a look at a process. Looks that are older than the span make room."""
        seen = self._seen.setdefault(pid, deque())
        seen.append((at, cpu))
        while len(seen) > 1 and seen[1][0] <= at - SPAN_SECONDS:
            seen.popleft()
        since, before = seen[0]
        if at - since >= SPAN_SECONDS:
            self._peaks[part] = max(self._peaks.get(part, 0.0), (cpu - before) / (at - since))

    def _repeat(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with self._lock:
                for pid, part in self._parts.items():
                    with suppress(OSError):  # it has just ended
                        self.note(pid, part, time.monotonic(), cpu_seconds(pid))
