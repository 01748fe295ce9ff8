"""What a recording asks for when it is played: the same for the same file, speed and seed, only faster."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from loadtests.recording.reading import Recording, load
from loadtests.recording.replay import plan_of
from loadtests.recording.script import QUIET, Scene, Step, hosting, script
from server.shows.tape import Drop, Join, Leave, Line, Move, React, Reserve
from tests.house.tree import ROOT
from tests.loadtests.recording.made import HEADER, LINES, drop, evening, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def recorded(lines: Sequence[Line]) -> Recording:
    """Return a recording of these lines, as it is read."""
    one = Recording(HEADER)
    for line in sorted(lines, key=lambda line: line.at):
        if isinstance(line, Drop):
            one.drops.append(line)
        elif isinstance(line, React):
            one.reactions.append(line)
        elif isinstance(line, Move):
            one.moves.append(line)
        elif "viewer" in line.__struct_fields__:
            one.acts.append(line)  # type: ignore[arg-type]  # what has a viewer is an act
    return one


def spelt(steps: Sequence[Step | Scene]) -> bytes:
    """Return a script as bytes."""
    return msgspec.json.encode([tuple(step) for step in steps])


@settings(max_examples=30, deadline=None)
@given(some.lists(LINES, max_size=60), some.floats(1, 20), some.integers())
def test_the_same_is_asked_again(lines: list[Line], speed: float, seed: int) -> None:
    """Byte for byte, whatever was recorded; times rise and begin with the run."""
    one = script(recorded(lines), speed, seed)
    assert spelt(one) == spelt(script(recorded(lines), speed, seed))
    assert [step.at for step in one] == sorted(step.at for step in one)
    assert all(step.at >= 0 for step in one)
    assert spelt(hosting(recorded(lines), speed)) == spelt(hosting(recorded(lines), speed))


def test_from_the_same_file(tmp_path: Path) -> None:
    """From two copies it is the same script; with another seed others applaud, or arrive first, and nothing else."""
    one, two = (load(written(tmp_path / name, evening())) for name in ("one", "two"))
    assert spelt(one.script(3.5, 8)) == spelt(two.script(3.5, 8))
    others = [one.script(3.5, seed) for seed in range(6)]
    assert len({spelt(each) for each in others}) > 1
    fixed = {
        spelt([step for step in each if not isinstance(step.act, React) and step.at >= QUIET + 2.0])
        for each in others
    }
    assert len(fixed) == 1


def test_speed_brings_times_together() -> None:
    """Twice as fast, everything comes after half the time; who was there already still has time to arrive."""
    slow, fast = script(recorded(evening()), 1, 1), script(recorded(evening()), 2, 1)
    begin = 2.0 + QUIET
    assert [(step.viewer, step.act) for step in slow] == [(step.viewer, step.act) for step in fast]
    for one, other in zip(slow, fast, strict=True):
        expected = one.at if one.at < begin else begin + (one.at - begin) / 2
        assert other.at == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("speed", [0, 0.99, 20.01, -1])
def test_speeds_that_are_not_to_be_had(speed: float) -> None:
    """Between 1 and 20; the sentence says so."""
    with pytest.raises(ValueError, match=r"^A recording is played 1 to 20 times as fast, not"):
        script(recorded(evening()), speed, 1)


def test_who_was_there_arrives_first() -> None:
    """Before the recording begins, one after the other; everybody else at their time behind that."""
    steps = script(recorded(evening()), 1, 1)
    joins = [(step.at, step.viewer) for step in steps if isinstance(step.act, Join)]
    assert sorted(viewer for at, viewer in joins if at < 2.0) == [0, 1]
    assert joins[2:] == [(3.5, 2), (5.6, 2)]


def test_applause_is_handed_out_among_those_who_are_there() -> None:
    """As many messages and reactions as were recorded, within a quarter of a second, by nobody who has left."""
    lines = evening()
    steps = [step for step in script(recorded(lines), 1, 3) if isinstance(step.act, React)]
    counts = [step.act.reactions for step in steps if isinstance(step.act, React)]
    assert (len(counts), sum(counts), max(counts) - min(counts)) == (10, 25, 1)
    assert 3 + 2.7 <= steps[0].at <= steps[-1].at < 3 + 2.95
    late = [*lines, React(at=3_900, messages=30, reactions=30)]
    by = Counter(step.viewer for step in script(recorded(late), 1, 3) if step.at >= 6.9)
    assert by.keys() == {0, 1}


def acts_of(*lines: Line) -> list[tuple[str, int]]:
    """Return what is played of these comings and goings."""
    steps = script(recorded(lines), 1, 1)
    return [(type(step.act).__name__, round((step.at - QUIET) * 1000)) for step in steps]


def test_who_returns_before_the_server_knew_that_they_were_gone() -> None:
    """The old connection's end, which comes later, is not theirs any more."""
    assert acts_of(
        Join(at=0, viewer=0, connection=1),
        Join(at=100, viewer=0, connection=2, returns=True),
        Leave(at=300, viewer=0, connection=1, code=3012),
        Leave(at=400, viewer=0, connection=2, code=1000),
    ) == [("Join", 0), ("Join", 100), ("Leave", 400)]


@pytest.mark.parametrize("first", [1, 2])
def test_who_has_two_tabs_is_there_until_both_are_closed(first: int) -> None:
    """A second connection beside the first is not played: it is one viewer."""
    assert acts_of(
        Join(at=0, viewer=0, connection=1),
        Join(at=100, viewer=0, connection=2),
        Leave(at=200, viewer=0, connection=first, code=1000),
        Leave(at=300, viewer=0, connection=3 - first, code=1000),
    ) == [("Join", 0), ("Leave", 300)]


def test_the_host_makes_and_moves_drops() -> None:
    """What was there is planned at once and brought to where it was; countdowns are as much shorter as all else."""
    lines = [
        drop(1, status="open", available=4),
        drop(2, status="paused"),
        drop(3, status="countdown", countdown_ms=900),
        drop(4, status="closed"),
        drop(5, at=1_000),
        Move(at=2_000, drop=5, move="open", countdown_ms=3_000),
        Move(at=9_000, drop=1, move="restock", quantity=7),
    ]
    told = [
        (round(scene.at - QUIET, 3), getattr(scene.act, "move", "made"), scene.act.drop)
        for scene in hosting(recorded(lines), 2)
    ]
    assert told == [
        (-QUIET, "made", 1),
        (-QUIET, "made", 2),
        (-QUIET, "made", 3),
        (0.0, "open", 1),
        (0.0, "open", 2),
        (0.0, "pause", 2),
        (0.0, "open", 3),
        (0.5, "made", 5),
        (1.0, "open", 5),
        (4.5, "restock", 1),
    ]


def test_the_plan_of_a_replay(tmp_path: Path) -> None:
    """It names the file, has a viewer for each number, and time for everything and for the last lapse."""
    path = written(tmp_path / "file", evening())
    plan = plan_of(path, 2, 7)
    assert (plan.shape, plan.seed, plan.speed, plan.viewers) == ("replay", 7, 2, 3)
    assert (plan.recording, plan.sales, plan.arrival_seconds) == (str(path), (), 2.0)
    assert plan.seconds == 2 + QUIET + 2 + 2 + 6


def test_the_sample_is_whole_and_small() -> None:
    """The recording that ships can be played: nothing of it is missing, and it is within 100 KiB."""
    (path,) = (ROOT / "loadtests" / "recordings").glob("*.gz")
    assert path.stat().st_size <= 100 * 1024
    recording = load(path)
    assert recording.warnings == []
    assert recording.viewers >= 100
    assert any(isinstance(act, Reserve) and act.end == "held" for act in recording.acts)
    assert recording.script(1, 1)
