"""The load test as a whole, once, on a server of its own: it passes, and what it leaves holds every measure."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from loadtests.run import Run
from loadtests.stagehand import ROOT, StageError, own_server

if TYPE_CHECKING:
    from pathlib import Path

FLASH = ("load", "flash", "--viewers", "40", "--drop", "10", "--seconds", "11", "--workers", "1")


def test_a_sound_server_passes(tmp_path: Path) -> None:
    """`python -m loadtests load flash` ends with 0 and leaves every measure in run.json, and of its server nothing."""
    folder, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", *FLASH, "--out", str(folder)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = msgspec.json.decode((folder / "run.json").read_bytes(), type=Run)
    assert run.findings == []
    assert {"reserve", "checkout", "order", "hello", "recovery", "stock staleness"} <= set(run.latencies)
    assert all(each.count and each.most < 30 for each in run.latencies.values())
    (opening,) = run.openings
    assert opening.viewers >= 36
    assert 0 < opening.skew < 10
    assert run.refusals["reserve"]["out-of-stock"] > 0
    assert 0 < run.units_sold <= 10 >= run.orders > 0
    assert run.reservations >= run.orders
    assert run.messages > 1000
    assert {"available", "held", "sold", "taken/s", "reserve p50", "reserve p99"} <= {
        curve.name for curve in run.curves
    }
    parts = {part.name: part for part in run.processes}
    assert {"server", "redis", "generator"} <= set(parts)
    assert all(part.cpu_seconds > 0 and part.peak_memory > 2**20 for part in parts.values())
    assert (folder / "report.html").stat().st_size > 10_000
    assert list(scratch.iterdir()) == []


def test_a_server_that_cannot_start_says_why() -> None:
    """The reason why no server came up stands in the error, not in a log that is gone."""
    with pytest.raises(StageError, match="LIVEDROP_PROT is no setting"), own_server(LIVEDROP_PROT="8000"):
        pytest.fail("the server has started")
