"""The gate's judgement: every honest run passes, and each single lie in its record is found and named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from loadtests.gate import judge
from tests.loadtests.gate.lies import LIES
from tests.loadtests.gate.world import Play, plays

PATIENCE = settings(deadline=None, database=None)  # a busy machine is no failure


@settings(PATIENCE, max_examples=150)
@given(play=plays())
def test_an_honest_run_passes(play: Play) -> None:
    """Whatever viewers ask and when, however clocks are off within their bounds and answers late: nothing is found."""
    assert [each for each in judge(play.case) if each.kind != "nothing-seen"] == []


@pytest.mark.parametrize("name", LIES)
@settings(PATIENCE, max_examples=8)
@given(play=plays(busy=True))
def test_a_single_lie_is_found(name: str, play: Play) -> None:
    """One thing that is not as it was, in whatever honest run, and a finding of its kind tells of it."""
    kind, tell = LIES[name]
    assert kind in {each.kind for each in judge(tell(play.case))}
