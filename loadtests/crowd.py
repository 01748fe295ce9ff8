"""Locust as a program of its own: started on a live show with a plan, its words kept in the run's folder."""

from __future__ import annotations

import importlib.util
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from loadtests.stagehand import ROOT, StageError, clean_environment, log_tail, running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.stagehand import Stage

LOCUSTFILE = ROOT / "loadtests" / "viewers.py"
LOG = "locust.log"
PLAN = "plan.json"
TABLE = "figures"  # how the names of Locust's own CSV files begin
# What a run leaves in its folder.
LEFT = ("began", "seen-*.json", "live-*.json", "accounts-*.ndjson", f"{TABLE}_*.csv", LOG)


@contextmanager
def crowd(
    stage: Stage, show: str, plan: Plan, folder: Path, processes: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Give Locust at work, with so many processes of its own, and end it after the block. Raises StageError.

    What an earlier run has left in the folder is removed before.
    """
    if importlib.util.find_spec("locust") is None:
        raise StageError('The viewers of a load test are played by Locust: pip install "livedrop[load]"')
    folder.mkdir(parents=True, exist_ok=True)
    for old in (path for pattern in LEFT for path in folder.glob(pattern)):
        old.unlink()
    (folder / PLAN).write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
    environment = {**clean_environment(), "LOADTEST_HOST_TOKEN": stage.host_token}
    with running(_command(stage, show, folder, processes), environment, ROOT, folder / LOG) as process:
        yield process


def ending(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Say how Locust ended, and what it said last."""
    code = process.returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"Locust {how}. It said last:\n{log_tail(folder / LOG)}"


def _command(stage: Stage, show: str, folder: Path, processes: int) -> list[str]:
    options = {
        "--locustfile": LOCUSTFILE,
        "--host": stage.url,
        "--show": show,
        "--plan": folder.absolute() / PLAN,
        "--out": folder.absolute(),
        "--csv": folder.absolute() / TABLE,
        **({"--processes": processes} if processes > 1 else {}),
    }
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "locust", "--headless", "--only-summary", *words]
