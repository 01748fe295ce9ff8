"""A short run of the chaos: the books hold all the time. `make stories` is the long one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.chaos.plan import ANSWERS, LOOKS, short
from tests.chaos.run import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.plan import Outcome, Plan


async def played(plan: Plan, folder: Path) -> Outcome:
    """Run a plan; what it says is shown where the test fails."""
    print(f"python -m tests.chaos --seconds {plan.seconds:g} --buyers {plan.buyers} --seed {plan.seed}")  # noqa: T201  likewise
    outcome = await run(plan, folder, print)
    assert outcome.deeds.total() >= ANSWERS
    assert outcome.looks >= LOOKS
    return outcome


async def test_the_books_hold_in_any_traffic(tmp_path: Path) -> None:
    """Four gateways, killed one after the other, and buyers who repeat, cut and forget: nothing is oversold or lost."""
    outcome = await played(short(), tmp_path)
    assert outcome.complaints == []
    assert outcome.kills > 0
    for deed in ("reserve", "part", "bundle", "join", "release", "pay", "claim", "cancel", "refund"):
        assert outcome.deeds[f"{deed} given"] > 0, f"nobody was ever given anything by {deed}"


@pytest.mark.parametrize("fault", ["a row is a unit", "nobody is promoted"])
async def test_a_faulty_estate_is_found(tmp_path: Path, fault: str) -> None:
    """Negative control: the same traffic where a script has one wrong line ends in complaints, in the midst of it."""
    plan = replace(short(2), seconds=2.0, gateways=1, kill_every=60.0, stop_every=1.0, fault=fault)
    outcome = await played(plan, tmp_path)
    assert any(complaint.startswith("in the midst") for complaint in outcome.complaints)


async def test_units_that_come_back_and_are_forgotten_are_found(tmp_path: Path) -> None:
    """Negative control: where a refund's units are not noted with their reservation, the books say so in the end."""
    plan = replace(
        short(2),
        seconds=3.0,
        gateways=1,
        kill_every=60.0,
        stop_every=1.0,
        fault="what came back is forgotten",
    )
    outcome = await played(plan, tmp_path)
    assert any(": sold is " in complaint for complaint in outcome.complaints), outcome.complaints
