"""The plan of a replay, and what it will not show."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from loadtests.plan import Plan
from loadtests.recording.reading import Recording, load
from loadtests.recording.script import Pace

AFTER_SECONDS = 2.0  # for the last answers
LAPSE_MOST = 15.0  # s that are waited at the end for what is still held to lapse; longer holds are seen held


def plan_of(path: Path, speed: float, seed: int) -> Plan:
    """Return the plan that plays a recording. Raises RecordingError, and ValueError for a speed not to be had."""
    recording = load(path)
    pace = Pace(recording, speed)
    longest = max((drop.hold_seconds for drop in recording.drops), default=0)
    end = pace.at(recording.length_ms) + AFTER_SECONDS + min(longest + 1.0, LAPSE_MOST)
    return Plan(
        shape="replay",
        seed=seed,
        viewers=recording.viewers,
        seconds=round(end, 3),
        arrival_seconds=pace.arrival,
        recording=str(path.resolve()),
        speed=speed,
    )


@lru_cache(maxsize=1)
def recorded(path: str) -> Recording:
    """Return a plan's recording, read once in a process."""
    return load(Path(path))
