"""The load test as a part: what its command leaves is read, and it never outlives the benchmarks."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from loadtests.bench.flash import carried_out
from loadtests.bench.goals import of_load
from loadtests.bench.ground import BenchError
from loadtests.run import Finding, Process
from tests.loadtests.report.made import run
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.run import Run

LEAVES = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.argv[2].encode()); sys.exit(int(sys.argv[3]))"
STAYS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


def leaving(folder: Path, one: Run, code: int) -> list[str]:
    """Return a command that leaves a run and ends with a code."""
    return [
        sys.executable,
        "-c",
        LEAVES,
        str(folder / "run.json"),
        msgspec.json.encode(one).decode(),
        str(code),
    ]


@pytest.mark.parametrize("code", [0, 1])
async def test_the_run_is_read_whatever_the_gate_found(tmp_path: Path, code: int) -> None:
    """A load test that passed, and one that found something, both have figures."""
    read = await carried_out(leaving(tmp_path, run(), code), tmp_path, tmp_path / "log")
    assert read == run()


async def test_a_load_test_that_could_not_run_is_no_measurement(tmp_path: Path) -> None:
    """Exit code 2, or a folder without a run, is an error with what the load test said last."""
    failing = [sys.executable, "-c", "import sys; print('no such shape'); sys.exit(2)"]
    with pytest.raises(BenchError, match="no such shape"):
        await carried_out(failing, tmp_path, tmp_path / "log")
    with pytest.raises(BenchError, match="left no run"):
        await carried_out([sys.executable, "-c", ""], tmp_path, tmp_path / "log")


async def test_told_to_leave_it_takes_the_load_test_along(tmp_path: Path) -> None:
    """When the benchmarks are cancelled the load test's process has ended before they go on."""
    sign = tmp_path / "runs"
    task = asyncio.create_task(
        carried_out([sys.executable, "-c", STAYS, str(sign)], tmp_path, tmp_path / "log")
    )
    await wait_for(sign.exists, "the load test to run")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_its_goals_are_promises_and_whose_cpu_it_was() -> None:
    """A finding misses the goal of promises, a generator that costs more than the server the other."""
    promises, cpu = of_load(run())
    assert (promises.reached, cpu.reached, cpu.shown) == (True, True, "0.50 times")
    found = run(findings=[Finding(kind="oversell", sentence="7 too many")])
    found.processes[1] = Process(name="generator", processes=1, cpu_seconds=7.0, peak_memory=1)
    promises, cpu = of_load(found)
    assert (promises.verdict, cpu.verdict) == ("missed", "missed by 17 %")
    _, unknown = of_load(run(processes=[]))
    assert unknown.verdict == "not measured"
