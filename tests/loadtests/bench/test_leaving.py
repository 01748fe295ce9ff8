"""The benchmarks as a program that is told to leave: nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from loadtests import family
from loadtests.bench import postgres
from loadtests.stagehand import ROOT
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = ("--quick", "--viewers", "10", "--crowd", "20", "--seconds", "0.1")
SECONDS = 120.0


@contextmanager
def bench(folder: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start the benchmarks; all that they keep is in the folder. They are ended with the block at the latest."""
    Path(folder).chmod(0o755)  # PostgreSQL runs as somebody else where we are root
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests.bench", *words, *TINY],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": folder},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # harmless when it has ended; what it started goes down with it
            try:
                process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def those_of(folder: str) -> dict[int, str]:
    """Return process id -> command of everything that was started with that folder."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found[int(place.name)] = (place / "cmdline").read_text()
        except (OSError, ValueError):  # it has just ended
            continue
    return found


def works(pid: int, busy: str) -> bool:
    """Whether a process has come to start another one, or one of those has, whose command says so."""
    return any(busy in command(each) for each in family.descendants(pid))


def command(pid: int) -> str:
    """Return a process's command, empty where it has just ended."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text()
    return ""


def kept_in(folder: str) -> list[Path]:
    """Return what is in the folder."""
    return list(Path(folder).iterdir())


@pytest.mark.parametrize(
    ("words", "busy"),
    [
        (["gateway", "--only", "sweep"], "crowd_process"),
        pytest.param(
            ["inventory", "--only", "stock"],
            "pgbench",
            marks=pytest.mark.skipif(not postgres.installed(), reason=postgres.MISSING),
        ),
    ],
    ids=["gateway", "inventory"],
)
async def test_told_to_leave_it_leaves_nothing_behind(words: list[str], busy: str) -> None:
    """SIGTERM in the middle of a part ends servers, peers, viewers and store, removes their files, and says so."""
    with TemporaryDirectory() as folder, bench(folder, *words) as process:
        await wait_for(lambda: works(process.pid, busy), f"{busy} to work", SECONDS)
        assert len(those_of(folder)) >= 3
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 128 + signal.SIGTERM, told
        assert "nothing is left behind" in told
        await wait_for(lambda: not those_of(folder), "all processes to be gone")
        assert not kept_in(folder)
