"""What is kept of a run of the benchmarks: every figure with its spread, every goal with its side and its room."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtests.bench import record as records
from loadtests.bench.figures import Named
from loadtests.bench.goals import Goal
from loadtests.bench.meter import Figure
from loadtests.bench.parts import Outcome, Part
from loadtests.bench.record import Begun, RecordError, begun, merged, read, write
from loadtests.bench.sizes import FULL, QUICK
from tests.loadtests.bench.made import MACHINE, goal, part, record


@pytest.mark.parametrize(
    ("goal", "margin", "verdict"),
    [
        (Goal("cost", Figure.of([1.0]), 1.25), 20, "reached by 20 %"),
        (Goal("cost", Figure.of([1.35]), 1.25), -8, "missed by 8 %"),
        (Goal("rate", Figure.of([3.0]), 2.5, at_least=True), 20, "reached by 20 %"),
        (Goal("rate", Figure.of([2.0]), 2.5, at_least=True), -20, "missed by 20 %"),
        (Goal("events lost", Figure.of([0.0]), 0, "events"), None, "reached"),
        (Goal("events lost", Figure.of([3.0]), 0, "events"), None, "missed"),
        (Goal("viewers", Figure.of([9.0]), 9, "viewers", at_least=True), 0, "reached"),
        (Goal("cost", Figure.of([1.251]), 1.25), -0.08, "missed by less than 1 %"),
        (Goal("cost", None, 1.25), None, "not measured"),
    ],
)
def test_a_goal_says_by_how_much(goal: Goal, margin: float | None, verdict: str) -> None:
    """The room to the bound is told in percent of the bound, on the side that the goal has; of 0 nothing is a share."""
    assert goal.margin == (None if margin is None else pytest.approx(margin))
    assert goal.verdict == verdict


def test_what_is_kept_is_what_was_found(tmp_path: Path) -> None:
    """A part's figures and goals come back from the file as they were: middle, least, most, bound, room, verdict."""
    found = Outcome([], [goal(1.35)], [Named("ours: rate", "/s", Figure(5.0, 4.0, 7.0))])
    one = begun(FULL)
    one.parts.append(Begun.now(Part.FANOUT).ended(found))
    write(one, tmp_path / "folder" / "it.json")
    back = read(tmp_path / "folder" / "it.json")
    assert back == one
    (kept,) = back.parts
    (figure,), (judged,) = kept.figures, kept.goals
    assert (figure.name, figure.unit, figure.middle, figure.least, figure.most) == (
        "ours: rate",
        "/s",
        5,
        4,
        7,
    )
    assert (judged.reached, judged.limit, judged.verdict) == (False, 1.25, "missed by 8 %")
    assert judged.measured == Figure(1.35, 1.25, 1.55)
    assert judged.margin_percent == pytest.approx(-8)
    assert back.livedrop
    assert back.machine.cores > 0
    assert back.sizes["crowd"] == 10_000
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["it.json"]


def test_of_a_part_the_newest_counts() -> None:
    """Records of single parts make one of all; a part that was measured twice is told as it was measured last."""
    early = record(part("fanout", goal(1.3)), part("mix"), at="2026-01-01T00:00:00Z")
    late = record(part("fanout", goal(1.1)), at="2026-01-02T00:00:00Z")
    for order in ([early, late], [late, early]):
        whole = merged(order)
        assert (whole.at, [each.part for each in whole.parts]) == (late.at, ["fanout", "mix"])
        assert whole.goals["fanout", "CPU per delivery vs raw loop"].reached


def test_what_does_not_belong_together_is_refused() -> None:
    """Figures of two machines, or of other sizes, never stand on one page."""
    elsewhere = msgspec.structs.replace(MACHINE, cores=64)
    with pytest.raises(RecordError, match="different machines"):
        merged([record(), record(machine=elsewhere)])
    with pytest.raises(RecordError, match="different sizes"):
        merged([record(), record(sizes=records.numbers(QUICK))])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": "x"}'])
def test_what_is_no_record_is_said(tmp_path: Path, text: str) -> None:
    """A file that is something else is named."""
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"it\.json is no record"):
        read(path)
    with pytest.raises(RecordError):
        read(Path("/nowhere"))
