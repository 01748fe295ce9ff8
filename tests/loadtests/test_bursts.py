"""How full a process was in its fullest tenth of a second."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loadtests.bursts import Bursts
from tests.waiting import wait_until


def test_the_fullest_tenth_of_a_second_is_found() -> None:
    """Full for 120 ms of a second is full; half of it at a time is half. What was asked for begins anew."""
    bursts, cpu = Bursts(), 0.0
    for look in range(51):
        at = 0.02 * look
        cpu += 0.02 if 20 < look <= 26 else 0.0
        bursts.note(1, "server", at, cpu)
        bursts.note(2, "server", at, at / 4)
        bursts.note(3, "redis", at, at / 2)
    peaks = bursts.fullest()
    assert peaks["server"] == pytest.approx(1.0)
    assert peaks["redis"] == pytest.approx(0.5)
    assert bursts.fullest() == {}


def test_a_look_too_short_says_nothing() -> None:
    """Before there are looks a tenth of a second apart there is no share of one."""
    bursts = Bursts()
    bursts.note(1, "server", 0.0, 5.0)
    bursts.note(1, "server", 0.05, 5.05)
    assert bursts.fullest() == {}


def test_real_processes_are_followed() -> None:
    """A process that never rests is found full, one that is gone is left out."""
    busy = subprocess.Popen([sys.executable, "-ISc", "while True: pass"])
    gone = subprocess.Popen([sys.executable, "-ISc", ""])
    gone.wait()
    seen: list[float] = []
    try:
        with Bursts() as bursts:
            bursts.follow({busy.pid: "server", gone.pid: "redis", os.getpid(): "generator"})

            def full() -> bool:
                peaks = bursts.fullest()
                assert "redis" not in peaks
                seen.append(peaks.get("server", 0.0))
                return max(seen) > 0.3  # three at once share two cores, and others may be busy

            wait_until(full, "the busy process is seen")
    finally:
        busy.kill()
        busy.wait()
