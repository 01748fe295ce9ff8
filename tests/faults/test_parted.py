"""The network between a server and its store is cut in silence: real packets vanish, and nobody is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.faults.parted import WIRE, WORLD
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PLAY_SECONDS = 120.0


@cache
def hindrance() -> str:
    """Return why no network of our own can be made here, tried with a wire in one; empty where one can."""
    try:
        done = subprocess.run([*WORLD, "ip", *WIRE], capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return "there is no unshare. On Debian: apt install util-linux"
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_a_silent_cut_is_found_by_the_echo(tmp_path: Path) -> None:
    """No reset, no error: the server's echo stays away, it is not ready, viewers stay; then all goes on by itself."""
    if hindrance():
        pytest.skip(f"no network of our own here: {hindrance()}")
    command = [*WORLD, sys.executable, "-m", "tests.faults.parted", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as play:
        try:
            said, _ = play.communicate(timeout=PLAY_SECONDS)
        finally:
            if play.poll() is None:
                os.killpg(play.pid, signal.SIGKILL)
    assert play.returncode == 0, said
