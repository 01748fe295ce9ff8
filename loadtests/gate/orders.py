"""Orders: never two for the same units, never two captures, never two reservations for one operation."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from loadtests.gate.books import CANCELLED
from loadtests.gate.finding import count, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case
    from loadtests.run import Finding

SEVERAL = "payments: "  # the audit's sentence where an order has taken money more than once


def judge(case: Case) -> Iterator[Finding]:
    """Yield findings of what was ordered, charged or given twice."""
    yield from _twice(case)
    yield from _operations(case)
    yield from _captures(case)


def _twice(case: Case) -> Iterator[Finding]:
    """Gather every order for each reservation, from answers and from the server's list; those cancelled count not."""
    over = {order.id for order in case.books.orders if order.status == CANCELLED}
    orders: dict[str, set[str]] = defaultdict(set)
    for own in case.every_take:
        take = own.take
        orders[take.reservation] |= {*take.orders, take.order} - {""} - over
    for order in case.books.orders:
        for line in order.lines:
            if order.id not in over:
                orders[line.reservation].add(order.id)
    lines = [
        f"{reservation}: {', '.join(sorted(found))}"
        for reservation, found in sorted(orders.items())
        if reservation and len(found) > 1
    ]
    if lines:
        yield finding("double-order", f"More than one order for {count(len(lines), 'reservation')}.", lines)


def _operations(case: Case) -> Iterator[Finding]:
    given: dict[tuple[str, str], set[str]] = defaultdict(set)
    for own in case.every_take:
        if own.take.operation and own.take.reservation:
            given[own.viewer, own.take.operation].add(own.take.reservation)
    lines = [
        f"operation {operation} of {viewer}: {', '.join(sorted(found))}"
        for (viewer, operation), found in sorted(given.items())
        if len(found) > 1
    ]
    if lines:
        yield finding(
            "double-order", f"More than one reservation for {count(len(lines), 'operation')}.", lines
        )


def _captures(case: Case) -> Iterator[Finding]:
    lines = [
        difference.sentence
        for difference in case.books.audit.money.differences
        if SEVERAL in difference.sentence
    ]
    if lines:
        yield finding("double-order", f"More than one payment for {count(len(lines), 'order')}.", lines)
