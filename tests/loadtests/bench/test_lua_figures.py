"""The figures of the scripts can be measured again: each choice can still be taken back, and it shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtests.bench.lua_figures import CHOICES, SIZES, Choice, measure, taken_back
from server.store.lua import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_each_choice_can_be_taken_back(choice: Choice, tmp_path: Path) -> None:
    """The text that makes it is where it is said to be, and what is left without it are still scripts."""
    assert "hold_batch" in load(taken_back(choice, tmp_path))


def test_a_choice_that_is_no_longer_there_is_said(tmp_path: Path) -> None:
    """Where the scripts have changed since, nothing is measured under a wrong name."""
    gone = replace(CHOICES[0], edits=(("what nobody wrote", ""),))
    with pytest.raises(ValueError, match="does not say 'what nobody wrote' once"):
        taken_back(gone, tmp_path)


async def test_what_is_measured() -> None:
    """Every size and choice has its blocks, and what a choice saves is there to be seen: bytes, notes, messages."""
    sizes, choices = await measure(rounds=1, operations=256)
    assert list(sizes) == list(SIZES)
    assert all(len(each.micros) == 1 and each.figure.middle > 0 for each in sizes.values())
    found = {choice.name: (kept, without) for choice, kept, without in choices}
    assert [len(each.micros) for pair in found.values() for each in pair] == [1] * 2 * len(CHOICES)
    for name in (
        "one entry of the expiry index for a step",
        "a hold's record as a row without names",
        "a hold known by its own part of the id",
    ):
        kept, without = found[name]
        assert kept.kept_bytes < without.kept_bytes, name
    kept, without = found["one note of the award log for a step"]
    assert kept.notes * 100 < without.notes == 1000
    kept, without = found["numbers told at most every 100 ms"]
    assert kept.told < without.told == 125
