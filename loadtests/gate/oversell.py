"""Oversell: viewers never have more units than were offered, and have paid for those that the server counts as sold.

Proof of the moment: the spans in which each viewer truly had their units lie within the server's own; where even these
add up to more than the offer, the server has given a unit twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.books import GIVEN_BACK
from loadtests.gate.finding import clock, count, finding
from loadtests.gate.units import peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.books import DropView
    from loadtests.gate.case import Case
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield a finding for each drop of which more was had or paid for than there is, or other units than are sold."""
    for drop in case.books.drops.values():
        yield from _at_a_moment(case, drop)
        yield from _sold(case, drop)


def _at_a_moment(case: Case, drop: DropView) -> Iterator[Finding]:
    had = [(own, span) for own in case.takes.get(drop.id, ()) if (span := case.certain(own.take))]
    worst = peak([span for _, span in had], case.offered(drop))
    if worst is None:
        return
    there = [(own, span.start) for own, span in had if span.start <= worst.at < span.end]
    there.sort(key=lambda each: -each[1])
    paid = sum(own.take.quantity for own, _ in there if own.take.end == "paid")
    yield finding(
        "oversell",
        f"At {clock(worst.at)} viewers had {count(worst.units, 'unit')} of {drop.id}, {paid:,} of them paid for in the "
        f"end; {worst.allowed:,} were offered, {worst.units - worst.allowed:,} too many.",
        [f"{own}, had from {clock(start)}" for own, start in there],
    )


def _sold(case: Case, drop: DropView) -> Iterator[Finding]:
    """Compare what the server counts as sold with what viewers know, and may have without knowing, to be paid."""
    owns = case.takes.get(drop.id, ())
    paid = [own for own in owns if own.take.end == "paid"]
    known = sum(own.take.quantity for own in paid)
    doubtful = sum(
        own.take.quantity
        for own in owns
        if own.take.end != "paid" and (own.take.orders or own.take.end == "unknown")
    )
    back = sum(
        line.quantity
        for order in case.books.orders
        if order.status in GIVEN_BACK
        for line in order.lines
        if line.drop == drop.id
    )
    if drop.sold < known - back:
        yield finding(
            "oversell",
            f"{drop.id}: viewers have paid for {count(known, 'unit')}, the server counts {drop.sold:,} as sold"
            f"{f', with {back:,} given back' if back else ''}.",
            [str(own) for own in paid],
        )
    elif case.alone and drop.sold > known + doubtful:
        yield finding(
            "oversell",
            f"{drop.id}: the server counts {count(drop.sold, 'unit')} as sold, viewers have paid for {known:,}"
            f"{f' and may have for {doubtful:,} more' if doubtful else ''}.",
            [
                f"{order.id} ({order.status}) has {line.quantity} of it as {line.reservation}"
                for order in case.books.orders
                if order.id not in case.named_orders
                for line in order.lines
                if line.drop == drop.id
            ],
        )
