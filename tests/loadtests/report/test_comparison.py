"""A run beside earlier runs: what moved is told, what may be noise is told as that, other plans are refused."""

from __future__ import annotations

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from loadtests.plan import Sale
from loadtests.report import OtherPlanError, compare, remarks, told
from loadtests.report.comparison import Moved, Verdict, table
from loadtests.report.figures import figures
from loadtests.run import Run
from tests.loadtests.report.made import MACHINE, PLAN, run

NOISY = (0.97, 1.0, 1.04, 1.01, 0.99)


def named(moved: list[Moved], figure: str) -> Moved:
    (found,) = (each for each in moved if each.figure == figure)
    return found


def test_every_figure_has_one_name() -> None:
    """No two figures of a run go by the same name, or one would be held against the other."""
    names = [figure.name for figure in figures(run())]
    assert len(names) == len(set(names))


def test_what_moved_beyond_noise_is_told_with_its_side() -> None:
    """After five runs that differ by a few percent, half as slow again is worse, and as much quicker is better."""
    earlier = [run(slow) for slow in NOISY]
    for slow, verdict in ((1.5, Verdict.WORSE), (0.5, Verdict.BETTER), (1.02, Verdict.NOISE)):
        moved = named(compare(run(slow), earlier), "reserve p99")
        assert (moved.verdict, moved.runs) == (verdict, 5)
        assert moved.change == pytest.approx(slow - 1, abs=0.03)
        assert moved.least < moved.middle < moved.most


def test_a_figure_without_a_good_side_has_only_moved() -> None:
    """More refusals are neither better nor worse: they have moved."""
    refused = {"reserve": {"out-of-stock": 30}}
    moved = named(compare(run(refusals=refused), [run() for _ in range(4)]), "refusals")
    assert (moved.verdict, moved.now, moved.middle) == (Verdict.MOVED, 30, 10)


def test_one_earlier_run_has_unknown_noise() -> None:
    """Beside one earlier run a difference is shown and called neither better nor worse, and a sentence says why."""
    earlier = [run()]
    moved = compare(run(3.0), earlier)
    assert {each.verdict for each in moved} == {Verdict.SAME, Verdict.UNKNOWN}
    assert "noise is unknown" in told(moved)
    assert any("One earlier run" in each for each in remarks(run(), earlier))


def test_other_plans_are_refused() -> None:
    """A run of another plan is not compared; the sentence says what was asked for then and now."""
    other = msgspec.structs.replace(PLAN, viewers=5000, sales=(Sale(at=1.0, seconds=2.0, quantity=3),) * 9)
    with pytest.raises(OtherPlanError, match="viewers 5000 then, 50 now; sales") as raised:
        compare(run(), [run(), run(plan=other)])
    assert len(str(raised.value)) < 400


def test_what_one_run_alone_has_is_not_compared() -> None:
    """A latency that an earlier run did not measure has nothing to be held against."""
    assert not any(each.figure.startswith("reserve") for each in compare(run(), [run(latencies={})]))
    assert compare(run(), []) == []


def test_another_machine_is_remarked() -> None:
    """Where machine, Python or load differ, the reader is told before believing the difference."""
    elsewhere = msgspec.structs.replace(MACHINE, cores=64, python="3.13", load_before=99.0)
    said = " ".join(remarks(run(), [run(), run(), run(machine=elsewhere)]))
    for word in ("another machine", "another version of Python", "1 of these 4 runs"):
        assert word in said
    assert remarks(run(), [run()] * 3) == []


def test_the_table_tells_the_worst_first() -> None:
    """On a terminal what is worse comes first, and a name from a run is no markup."""
    odd = {"reserve": {"[red]odd[/]": 3}}
    moved = compare(run(2.0, refusals=odd), [run(slow, refusals=odd) for slow in NOISY])
    console = Console(width=160, file=StringIO())
    with console.capture() as captured:
        console.print(table(moved))
    lines = captured.get().splitlines()
    assert "worse" in next(line for line in lines if line.startswith("│"))
    assert any("[red]odd[/]" in line for line in lines)
    assert told(moved) in " ".join(lines)


def test_runs_are_read_from_their_files() -> None:
    """What is compared survives run.json: a run that was kept and read again has moved nowhere."""
    kept = msgspec.json.decode(msgspec.json.encode(run()), type=Run)
    assert {each.verdict for each in compare(kept, [run()])} == {Verdict.SAME}
