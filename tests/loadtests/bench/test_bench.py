"""The benchmarks as a program: the parts run, and nothing is left when it is told to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from loadtests.stagehand import ROOT
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = ("--quick", "--viewers", "10", "--crowd", "20", "--seconds", "0.1")
SECONDS = 120.0


@contextmanager
def bench(folder: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start the benchmarks; all that they keep is in the folder. They are ended with the block at the latest."""
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
            process.kill()  # harmless when it has ended; what it started goes down with it


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


def kept_in(folder: str) -> list[Path]:
    """Return what is in the folder."""
    return list(Path(folder).iterdir())


@pytest.mark.parametrize(
    ("words", "goals"),
    [
        (["selling"], ["vs one EVALSHA each", "vs plain unpipelined DECR", "vs the naive server"]),
        (
            ["gateway", "--only", "fanout", "--only", "returning"],
            ["vs raw loop", "vs websockets.broadcast", "vs naive", "handshake and hello", "got twice"],
        ),
    ],
    ids=["selling", "gateway"],
)
def test_the_benchmarks_run(words: list[str], goals: list[str]) -> None:
    """The smallest run goes through its parts, prints every goal, and ends with 0 whatever was reached."""
    with TemporaryDirectory() as folder, bench(folder, *words) as process:
        told, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, told
        for goal in goals:
            assert goal in told, told


async def test_told_to_leave_it_leaves_nothing_behind() -> None:
    """SIGTERM in the middle of a part ends servers, peers, viewers and store, removes their files, and says so."""
    with TemporaryDirectory() as folder, bench(folder, "gateway", "--only", "sweep") as process:
        await wait_for(lambda: "crowd_process" in str(those_of(folder)), "the viewers to come", SECONDS)
        assert len(those_of(folder)) > 3
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 128 + signal.SIGTERM, told
        assert "nothing is left behind" in told
        await wait_for(lambda: not those_of(folder), "all processes to be gone")
        assert not kept_in(folder)
