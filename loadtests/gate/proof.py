"""Proof: a run in which the unexpected happened, or nothing of what its plan is about, proves nothing good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.finding import count, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield findings of failures, of a run that saw nothing, and of viewers who left no account."""
    yield from _failures(case)
    yield from _nothing(case)
    yield from _silent(case)


def _failures(case: Case) -> Iterator[Finding]:
    lines = [f"{count(each.occurrences, 'time')} {each.name}: {each.error}" for each in case.run.failures]
    if lines:
        times = sum(each.occurrences for each in case.run.failures)
        yield finding("failure", f"{count(times, 'time')} something unexpected happened.", lines)


def _nothing(case: Case) -> Iterator[Finding]:
    """Find what there is none of though the plan asks for it. What a recording asks for is its own matter."""
    plan = case.run.plan
    sells = bool(plan.sales) and not plan.recording
    seen = {"live messages": case.run.messages}
    if sells and plan.mix.buyers + plan.mix.hoarders:
        seen["reservations"] = sum(bool(own.take.held_at) for own in case.every_take)
    if sells and plan.mix.buyers and plan.pays:
        seen["orders"] = sum(own.take.end == "paid" for own in case.every_take)
    missing = [name for name, count in seen.items() if not count]
    if missing:
        yield finding("nothing-seen", f"The run saw no {' and no '.join(missing)}: it proves nothing.")


def _silent(case: Case) -> Iterator[Finding]:
    plan = case.run.plan
    if len(case.accounts) < plan.viewers and not plan.recording:
        yield finding(
            "nothing-seen",
            f"{plan.viewers - len(case.accounts):,} of {plan.viewers:,} viewers left no account: what they had and "
            "saw is not known.",
        )
