"""The program around the parts: what it keeps, prints and draws, with parts that measure nothing."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from rich.table import Table
from typer.testing import CliRunner

from loadtests.bench import __main__ as program
from loadtests.bench import history, record
from loadtests.bench.figures import Named
from loadtests.bench.ground import BenchError
from loadtests.bench.meter import Figure
from loadtests.bench.parts import PARTS, Outcome, Part
from tests.loadtests.bench.made import goal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    Bench = Callable[..., Result]

FIGURE = Named("ours: rate", "/s", Figure(5.0, 4.0, 7.0))
MIX, FANOUT = ("--only", "mix"), ("--only", "fanout")


async def found(*_: Any) -> Outcome:
    return Outcome([Table(title="what a part found")], [goal(1.35)], [FIGURE], "<svg/>")


async def failed(*_: Any) -> Outcome:
    raise BenchError("the peer does not listen")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Run the program with parts that find the same at once, without a store; it runs in an empty folder."""

    @contextmanager
    def prepared(say: Any) -> Iterator[Any]:
        yield SimpleNamespace(say=say, house=SimpleNamespace(aclose=AsyncMock()))

    monkeypatch.setattr(program, "prepared", prepared)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    for part in Part:
        monkeypatch.setitem(PARTS, part, found)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(program.app, words)


def test_a_run_is_kept_and_its_history_drawn(bench: Bench, tmp_path: Path) -> None:
    """A run of the full sizes goes into the history, and the next one is told beside it; a goal missed is no error."""
    done = bench()
    assert done.exit_code == 0, done.output
    (kept,) = history.records_in(tmp_path / ".bench")
    assert [part.part for part in kept.parts] == [part.value for part in Part]
    assert (tmp_path / ".bench" / "history.html").exists()
    assert f"0 of {len(Part)} goals reached on this machine, {len(Part)} missed" in done.output
    assert "missed by 8 %" in done.output
    assert "within noise" in bench(*FANOUT).output


def test_other_sizes_are_not_kept(bench: Bench, tmp_path: Path) -> None:
    """Quick or resized runs do not compare, so the history has none; their figures go where they are asked for."""
    for words in (("--quick",), ("--viewers", "10"), ("--seconds", "0.1")):
        assert bench(*words, *FANOUT).exit_code == 0
    assert list(tmp_path.iterdir()) == []
    assert bench("--quick", *FANOUT, "--json", "figures.json").exit_code == 0
    (part,) = record.read(tmp_path / "figures.json").parts
    assert (part.part, part.figures[0].most, part.goals[0].verdict) == ("fanout", 7.0, "missed by 8 %")


def test_the_picture_goes_where_it_is_asked_for(bench: Bench, tmp_path: Path) -> None:
    """`--plot` names the file of the picture; without it none is drawn."""
    bench("--quick", *FANOUT)
    assert list(tmp_path.iterdir()) == []
    bench("--quick", *FANOUT, "--plot", "latency.svg")
    assert (tmp_path / "latency.svg").read_text() == "<svg/>"


def test_what_was_measured_outlives_a_part_that_cannot_run(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that fails ends the run with 1 and its reason; the parts before it are kept."""
    monkeypatch.setitem(PARTS, Part.MIX, failed)
    done = bench(*MIX, *FANOUT, "--json", "figures.json")
    assert done.exit_code == 1
    assert "the peer does not listen" in done.output
    assert [part.part for part in record.read(tmp_path / "figures.json").parts] == ["fanout"]
    assert len(history.records_in(tmp_path / ".bench")) == 1
