"""What people see while a run goes, and what makes its figures say less than they seem to."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loadtests.board import board, sparkline
from loadtests.plan import Plan
from loadtests.progress import Progress
from loadtests.run import Curve, Opening, Process
from loadtests.sampler import OTHERS, Stock
from loadtests.summary import doubts
from tests.loadtests.left import BEGAN, blank, times

PLAN = Plan(shape="flash", seed=3, viewers=5000, seconds=40.0, arrival_seconds=20.0)


def at(seconds: float, held: int, failures: int = 0) -> Progress:
    stock = Stock(BEGAN + seconds, 500 - held, held, 0)
    return Progress(PLAN, seconds, 4980, times(0.0021, 0.009), 4321, failures, stock)


def test_a_terminal_shows_a_live_table() -> None:
    """Every number has its place; what is said scrolls above it."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with board(console) as (say, look):
        assert look is not None
        look(at(24, 0))
        look(at(25, 250))
        look(at(26, 300, failures=7))
        say("Process 12 of the server is told to leave.")
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    words = (
        "flash · 5,000 viewers · seed 3",
        "4,980",
        "2.1 ms",
        "8.9 ms",
        "300",
        "200",
        "4,321",
        "7",
        "selling",
    )
    for word in (*words, "14 s left", "Process 12 of the server"):
        assert word in shown, shown


def test_a_log_has_lines_instead() -> None:
    """Where there is no terminal nothing is drawn: there is `say` alone."""
    console = Console(file=io.StringIO(), width=120)
    with board(console) as (say, look):
        assert look is None
        say(at(24, 10).line)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # as above
    assert shown == (
        "  24 of 40 s: 4,980 viewers; 0 sold, 10 held, 490 available; reserve p50 2.1 ms, p99 8.9 ms; 4,321 refused, "
        "0 failed\n"
    )


@pytest.mark.parametrize(
    ("values", "curve"), [([], ""), ([0.0, 0.0], "▁▁"), ([0.0, 50.0, 100.0], "▁▅█"), ([7.0], "█")]
)
def test_a_small_curve(values: list[float], curve: str) -> None:
    """The greatest number has the full height, nought the least."""
    assert sparkline(values) == curve


def test_doubts_are_told() -> None:
    """A busy machine, a generator as busy as the server, and viewers who came too late are said; else nothing is."""
    run = blank()
    run.curves = [Curve(name=OTHERS, unit="cores", at=[0.5, 1.0], values=[0.0, 0.1])]
    run.openings = [Opening(drop="dr_x_1", at=4, viewers=40, delays=times(0.01))]
    run.processes = [
        Process(name="server", processes=2, cpu_seconds=4, peak_memory=1),
        Process(name="generator", processes=2, cpu_seconds=1, peak_memory=1),
    ]
    assert doubts(run) == []
    run.curves[0].values = [1.0, 3.0]
    run.machine.cores = 4
    run.openings[0].viewers = 20
    run.processes[1].cpu_seconds = 5
    generator, machine, late = doubts(run)
    assert "The generator used 5.0 s of CPU, the server 4.0 s" in generator
    assert "Other programs used 2.0 of this machine's 4 cores" in machine
    assert late.startswith("At most 20 of 40 viewers were there when a drop opened")
