"""The gate's judgement of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from loadtests.gate import Aftermath, Audit, AuditedDrop, judge
from loadtests.results import Failure, Results

SOUND = Results(
    requests=10, counts={"WS reserve": 3}, failures=[], orders=["or_1"], reservations=3, messages=50
)
BOOKS = AuditedDrop("dr_x_y", "MUG", "closed", 7, 0, 3, 10, 0, 3, [])
QUIET = Aftermath(Audit(balanced=True, drops=[BOOKS]), [], [])


def test_a_sound_run_passes() -> None:
    """No failures, balanced books, every order there: nothing to say."""
    assert judge(SOUND, QUIET) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"failures": [Failure("WS", "stream", "offset 6 came where 5 was due", 2)]},
            "2 times WS stream: offset 6",
        ),
        ({"reservations": 0}, "The run saw no reservations: it proves nothing."),
        ({"orders": []}, "The run saw no orders: it proves nothing."),
        ({"messages": 0}, "The run saw no live messages: it proves nothing."),
    ],
    ids=["a failure", "no reservations", "no orders", "no messages"],
)
def test_what_the_crowd_saw_decides(change: dict[str, Any], sentence: str) -> None:
    """A failure fails the run, and so does a run in which nothing happened."""
    wrong = judge(msgspec.structs.replace(SOUND, **change), QUIET)
    assert len(wrong) == 1
    assert wrong[0].startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stranded": ["dr_x_y: 2 units are held"]}, "dr_x_y: 2 units are held"),
        ({"lost_orders": ["or_1"]}, "or_1 was acknowledged and is not among the show's paid orders."),
        ({"audit": Audit(balanced=False, drops=[])}, "The books do not balance."),
    ],
    ids=["stranded units", "a lost order", "books that do not balance"],
)
def test_what_is_left_decides(change: dict[str, Any], sentence: str) -> None:
    """Units that stay held, an acknowledged order that is missing, and wrong books each fail the run."""
    assert judge(SOUND, replace(QUIET, **change)) == [sentence]


def test_a_difference_is_named() -> None:
    """A difference of the audit stands in the verdict with its drop."""
    drop = msgspec.structs.replace(BOOKS, differences=["sold is 3, its holds are 2"])
    wrong = judge(SOUND, replace(QUIET, audit=Audit(balanced=False, drops=[drop])))
    assert wrong == ["dr_x_y: sold is 3, its holds are 2", "The books do not balance."]
