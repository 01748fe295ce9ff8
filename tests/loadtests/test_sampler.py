"""The sampler: pure sums on made-up looks, and one look at real processes and a door."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import family
from loadtests.sampler import MIB, OTHERS, Sampler, Stocks, Usages
from tests.loadtests.doorstep import SHOW, doorstep
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.run import Curve

BEGAN = 1000.0


def drop(name: str, available: int, held: int, sold: int) -> dict[str, int | str]:
    return {"id": name, "available": available, "held": held, "sold": sold, "quantity": 10}


def points(curves: Sequence[Curve], name: str) -> list[tuple[float, float]]:
    curve = next(curve for curve in curves if curve.name == name)
    return list(zip(curve.at, curve.values, strict=True))


def values(curves: Sequence[Curve], name: str) -> list[float]:
    return [value for _, value in points(curves, name)]


def test_cpu_and_memory_of_a_part_are_of_all_its_processes() -> None:
    """Two server processes add up; what a look before the run's begin saw is no part of it."""
    usages = Usages()
    usages.note(
        999.5, {1: ("server", 1.0, MIB), 2: ("server", 2.0, MIB), 3: ("redis", 9.0, MIB)}, machine=100.0
    )
    usages.note(
        1000.0, {1: ("server", 2.0, MIB), 2: ("server", 2.0, MIB), 3: ("redis", 9.1, MIB)}, machine=101.0
    )
    usages.note(
        1000.5, {1: ("server", 2.2, 3 * MIB), 2: ("server", 2.2, MIB), 3: ("redis", 9.2, MIB)}, machine=101.9
    )
    curves = usages.curves(BEGAN)
    assert values(curves, "server CPU") == [pytest.approx(0.8)]
    assert points(curves, "server memory") == [(0.0, 2.0), (0.5, 4.0)]
    assert values(curves, "Redis CPU") == [pytest.approx(0.2)]
    assert values(curves, OTHERS) == [pytest.approx(0.8)]  # 0.9 s of the machine in 0.5 s, 0.5 s of them ours
    server = next(part for part in usages.processes(BEGAN, 1000.5) if part.name == "server")
    assert server.processes == 2
    assert server.cpu_seconds == pytest.approx(0.4)
    assert server.peak_memory == 4 * MIB


def test_what_a_gone_process_used_is_not_forgotten() -> None:
    """A process that is replaced takes none of its CPU seconds with it, and its memory does not count any more."""
    usages = Usages()
    usages.note(1000.0, {1: ("server", 5.0, MIB)})
    usages.note(1001.0, {1: ("server", 6.0, MIB), 2: ("server", 0.5, MIB)})
    usages.note(1002.0, {2: ("server", 1.0, MIB)})
    usages.note(1003.0, {2: ("server", 1.5, MIB)})
    assert values(usages.curves(BEGAN), "server CPU") == [pytest.approx(each) for each in (1.5, 0.5, 0.5)]
    (server,) = usages.processes(BEGAN, 1003.0)
    assert server.cpu_seconds == pytest.approx(2.5)
    assert server.processes == 2
    assert points(usages.curves(BEGAN), "server memory")[-1] == (3.0, 1.0)


def test_the_stock_of_all_drops_and_of_each() -> None:
    """One drop is the whole; of several, each has curves of its own, which leave out what has not changed."""
    stocks = Stocks()
    stocks.note(1000.0, [drop("a", 10, 0, 0)])
    assert [curve.name for curve in stocks.curves(BEGAN)] == ["available", "held", "sold"]
    stocks.note(1000.5, [drop("a", 7, 2, 1), drop("b", 5, 0, 0)])
    stocks.note(1001.0, [drop("a", 7, 2, 1), drop("b", 4, 1, 0)])
    stocks.note(1001.5, [drop("a", 7, 2, 1), drop("b", 4, 1, 0)])
    curves = stocks.curves(BEGAN)
    assert points(curves, "available") == [(0.0, 10), (0.5, 12), (1.0, 11), (1.5, 11)]
    assert points(curves, "held a") == [(0.0, 0), (0.5, 2), (1.5, 2)]
    assert points(curves, "available b") == [(0.5, 5), (1.0, 4), (1.5, 4)]


def test_it_looks_at_processes_and_at_the_door() -> None:
    """A real process's CPU and memory, and the numbers at the host's door, are there; a door that fails is counted."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with (
            doorstep([drop("dr_a", 6, 3, 1)]) as door,
            Sampler(door.url, "token", SHOW, [busy.pid]) as sampler,
        ):
            wait_until(lambda: len(sampler.usages.parts.get("server", [])) >= 2, "two looks at the process")
            wait_until(lambda: sampler.stock is not None, "a look at the stock")
            door.broken = True
            wait_until(lambda: sampler.asked_in_vain > 0, "a look that comes to nothing")
            began = sampler.usages.parts["server"][0].at
    finally:
        busy.kill()
        busy.wait()
    assert sampler.stock is not None
    assert sampler.stock[1:] == (6, 3, 1)
    assert door.tokens == {"Bearer token"}
    parts = {part.name: part for part in sampler.usages.processes(began, time.time())}
    assert parts["server"].cpu_seconds > 0.01
    assert parts["server"].peak_memory > MIB
    assert parts["generator"].peak_memory > MIB
    assert sampler.unseen == [
        "Redis was not started by the server: its CPU and memory are not in the figures."
    ]


def test_a_server_elsewhere_is_said_not_to_be_seen() -> None:
    """Without processes to look at there is a sentence, and no figure of nought."""
    sampler = Sampler("http://example.test", "token", SHOW, [])
    assert "does not run on this machine" in sampler.unseen[0]
    assert sampler.usages.processes(0.0, 1.0) == []


def test_a_family_is_found_whoever_started_it() -> None:
    """Children of another thread than the first belong to the family too; who is gone is nobody."""
    program = (
        "import subprocess, sys, threading, time\n"
        "start = lambda: subprocess.Popen([sys.executable, '-ISc', 'import time; time.sleep(60)'])\n"
        "thread = threading.Thread(target=lambda: (start(), time.sleep(60)), daemon=True)\n"
        "thread.start()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-ISc", program])
    try:
        wait_until(lambda: len(family.descendants(parent.pid)) == 2, "a child of the second thread")
        child = family.children(parent.pid)[0]
        used: Any = family.used(child)
        assert used is not None
        assert family.part(child) == "server"
    finally:
        for pid in reversed(family.descendants(parent.pid)):
            os.kill(pid, 9)
        parent.wait()
    wait_until(lambda: family.used(child) is None, "the child is gone")
    assert family.descendants(parent.pid) == []
