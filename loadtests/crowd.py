"""Locust as a program of its own: started on a live show, watched over, its results read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from loadtests.results import Results
from loadtests.stagehand import ROOT, StageError, clean_environment, running

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.stagehand import Stage

LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
STOP_SECONDS = 12  # for what people have begun when the time is up
GRACE_SECONDS = 45.0  # beyond the run's own time: start, stop, writing the results


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many viewers come, how fast (per second), for how long, and how many units each drop has."""

    viewers: int
    spawn_rate: float
    seconds: int
    drop_quantity: int


def perform(stage: Stage, show: str, crowd: Crowd, folder: Path) -> Results:
    """Run the crowd on a live show; Locust prints progress and its table. Returns what it saw.

    Raises StageError where Locust did not come to its end.
    """
    results = folder / "results.json"
    environment = {**clean_environment(), "LOADTEST_HOST_TOKEN": stage.host_token}
    deadline = crowd.seconds + STOP_SECONDS + GRACE_SECONDS
    with running(_command(stage, show, crowd, results), environment, ROOT) as process:
        try:
            code = process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise StageError(f"Locust did not end within {deadline:.0f} s.") from None
    if not results.exists():
        raise StageError(f"Locust ended with {code} and left no results.")
    return msgspec.json.decode(results.read_bytes(), type=Results)


def _command(stage: Stage, show: str, crowd: Crowd, results: Path) -> list[str]:
    options = {
        "--locustfile": LOCUSTFILE,
        "--host": stage.url,
        "--show": show,
        "--users": crowd.viewers + 1,  # and the host
        "--spawn-rate": crowd.spawn_rate,
        "--run-time": f"{crowd.seconds}s",
        "--stop-timeout": STOP_SECONDS,
        "--drop-quantity": crowd.drop_quantity,
        "--results": results,
        "--loglevel": "WARNING",
    }
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "locust", "--headless", "--only-summary", *words]
