"""Limits: nobody may have more units of a drop at any moment than its limit per viewer, paid ones included."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from loadtests.gate.finding import clock, count, finding
from loadtests.gate.units import Steps, peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case, Own
    from loadtests.gate.units import Span
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield a finding for each drop of which somebody certainly had more than they may."""
    for drop in case.books.drops.values():
        by_viewer: dict[str, list[tuple[Own, Span]]] = defaultdict(list)
        for own in case.takes.get(drop.id, ()):
            span = case.certain(own.take)
            if span is not None:
                by_viewer[own.viewer].append((own, span))
        limit, lines = Steps([0.0], [drop.limit_per_viewer]), []
        for viewer, had in by_viewer.items():
            worst = peak([span for _, span in had], limit)
            if worst is not None:
                names = [own.take.reservation for own, span in had if span.start <= worst.at < span.end]
                lines.append(f"{viewer} had {worst.units} at {clock(worst.at)}: {', '.join(names)}")
        if lines:
            yield finding(
                "limit",
                f"{drop.id}: {count(len(lines), 'viewer')} had more than the limit of {drop.limit_per_viewer:,}.",
                lines,
            )
