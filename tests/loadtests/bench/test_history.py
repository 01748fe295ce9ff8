"""The history: the last fifty runs, and every goal drawn over them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec

from loadtests.bench import history
from loadtests.bench.history_page import HEIGHT, WIDTH, page
from tests.loadtests.bench.made import MACHINE, goal, part, record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from loadtests.bench.record import Record

NAME = "CPU per delivery vs raw loop"


def day(number: int, measured: float = 1.2) -> Record:
    return record(part("fanout", goal(measured)), at=f"2026-01-{number:02}T00:00:00Z")


def pictures(text: str) -> list[ET.Element]:
    """Return the plots of a page."""
    parts = text.split("<svg")[2:]  # the first has the patterns
    return [ET.fromstring(f"<svg{each.split('</svg>')[0]}</svg>") for each in parts]  # noqa: S314  it is ours


def test_the_last_fifty_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More runs than there is room for push the oldest out; what else is in the folder stays."""
    monkeypatch.setattr(history, "MOST", 3)
    (tmp_path / "notes.txt").write_text("mine")
    for number in range(1, 6):
        drawn = history.keep(day(number), tmp_path)
    assert [one.at[8:10] for one in history.records_in(tmp_path)] == ["03", "04", "05"]
    assert drawn == tmp_path / "history.html"
    assert (tmp_path / "notes.txt").exists()
    assert len(list(tmp_path.iterdir())) == 5


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A file of another version, or half of one, is no reason to draw nothing."""
    history.keep(day(1), tmp_path)
    (tmp_path / "bench-broken.json").write_text('{"version": 1')
    assert [one.at for one in history.records_in(tmp_path)] == [day(1).at]
    assert history.records_in(tmp_path / "nowhere") == []


def test_every_goal_is_drawn_with_its_bound() -> None:
    """A goal has a point for each run, a cross where it was missed, its bound as a line, and all told in words."""
    text = page([day(1, 1.1), day(2, 1.4), day(3, 1.2)])
    (picture,) = pictures(text)
    classes = [each.get("class", "") for each in picture.iter()]
    assert (classes.count("point s0"), classes.count("missed"), classes.count("goal")) == (2, 1, 1)
    assert "goal ≤ 1.25 times, reached by 4 %; 3 runs" in picture.get("aria-label", "")
    for each in picture.iter():
        for name, most in (
            ("x", WIDTH),
            ("x1", WIDTH),
            ("cx", WIDTH),
            ("y", HEIGHT),
            ("y1", HEIGHT),
            ("cy", HEIGHT),
        ):
            assert 0 <= float(each.get(name, "0")) <= most
    heights = {float(each.get("y1", "nan")) for each in picture.iter() if each.get("class") == "goal"}
    reached = [float(each.get("cy", "nan")) for each in picture.iter() if each.get("class") == "point s0"]
    assert all(y > heights.copy().pop() for y in reached)  # a cost below its bound stands below the line


def test_other_machines_are_left_out() -> None:
    """Runs of another machine do not stand in the same line; they are counted."""
    other = msgspec.structs.replace(day(1, 9.0), machine=msgspec.structs.replace(MACHINE, cores=64))
    text = page([other, day(2)])
    assert "1 of 1 goals are reached. Runs: 1; left out, of other machines or sizes: 1." in text
    assert "9.00" not in text


def test_of_each_goal_the_newest_run_counts() -> None:
    """A run of a single part leaves the other goals as they were measured before it."""
    other = record(part("mix", goal(1.1, name="CPU per message")), at="2026-01-02T00:00:00Z")
    assert "1 of 2 goals are reached" in page([day(1, 1.4), other])
    assert "2 of 2 goals are reached" in page([day(1, 1.4), other, day(3, 1.1)])


def test_names_are_no_markup() -> None:
    """Whatever a record says stands on the page as words."""
    odd = record(part("<b>", goal(name="<script>alert(1)</script>")), livedrop="<i>")
    text = page([odd, msgspec.structs.replace(odd, at="2026-02-01T00:00:00Z")])
    for tag in ("<script>", "<b>", "<i>"):
        assert tag not in text
    assert "No run is kept" in page([])


def test_earlier_runs_tell_the_noise() -> None:
    """What earlier runs of this machine measured is the noise of a goal; those of others tell nothing of it."""
    earlier = [day(number, value) for number, value in ((1, 1.1), (2, 1.3), (3, 1.2))]
    elsewhere = msgspec.structs.replace(day(4, 99.0), machine=msgspec.structs.replace(MACHINE, cores=64))
    noise = history.before(day(5), [*earlier, elsewhere])[NAME]
    assert (noise.runs, noise.middle, noise.least, noise.most) == (3, 1.2, 1.1, 1.3)
    assert history.before(day(5), []) == {}
