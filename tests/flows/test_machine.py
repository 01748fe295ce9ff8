"""Whatever is done to a show in whatever order, the promises hold; where a script is broken it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.flows.breakage import BROKEN, SAMPLE, broken_scripts
from tests.flows.profiles import BRIEFLY, UNTIL_THE_FIRST, play, world_of

if TYPE_CHECKING:
    from pathlib import Path

SHRINKING_SECONDS = 600  # what a failure may take to become short
EXAMPLES = {"exact": 20, "absent": 8, "gate": 8, "cluster": 3}  # the soak takes 10,000


@pytest.mark.timeout(SHRINKING_SECONDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_promises_hold(tmp_path: Path, name: str) -> None:
    """Stock adds up, queues are served in order, acknowledged orders are in the ledger, the log has no gap."""
    with world_of(name, tmp_path) as here:
        play(here, settings(BRIEFLY, max_examples=EXAMPLES[name]))


def break_script(folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let houses have a copy of the scripts with one line changed."""
    copied = broken_scripts(folder, broken)
    monkeypatch.setattr("server.store.scripts.lua_folder", lambda: copied)


@pytest.mark.parametrize("broken", SAMPLE)
def test_a_broken_script_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The same machine fails where one line of one script is taken out or changed."""
    break_script(tmp_path, broken, monkeypatch)
    with world_of(BROKEN[broken][-1], tmp_path / "data") as here, pytest.raises(AssertionError):
        play(here, UNTIL_THE_FIRST)


@pytest.mark.parametrize("broken", BROKEN)
def test_every_line_to_be_broken_is_there(tmp_path: Path, broken: str) -> None:
    """What the soak breaks stands in the scripts, once: no control passes because there was nothing to break."""
    assert broken_scripts(tmp_path, broken).is_dir()


def test_a_failure_tells_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of a failure is what differed, and a list of few steps."""
    break_script(tmp_path, "stock is not looked at", monkeypatch)
    with (
        world_of("exact", tmp_path / "data") as here,
        pytest.raises(AssertionError, match="the model has") as failure,
    ):
        play(here, settings(BRIEFLY, max_examples=50), chance=1)
    told = [line for note in failure.value.__notes__ for line in note.splitlines()]
    steps = [line for line in told if line.startswith("state.") or " = state." in line]
    assert steps[0].startswith("state.go_live(")
    assert len(steps) <= 5, steps
