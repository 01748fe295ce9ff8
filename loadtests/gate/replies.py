"""Replies: every command is answered while its socket stays open, and both sides know the same paid orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.books import HELD_GOOD
from loadtests.gate.finding import count, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield findings of commands without a reply, and of orders that one side knows and the other does not."""
    yield from _unanswered(case)
    yield from _lost(case)
    yield from _nobodys(case)


def _unanswered(case: Case) -> Iterator[Finding]:
    lines = [
        f"{account.viewer}: {operation}" for account in case.accounts for operation in account.unanswered
    ]
    if lines:
        yield finding(
            "no-reply", f"No reply to {count(len(lines), 'command')} though the socket stayed open.", lines
        )


def _lost(case: Case) -> Iterator[Finding]:
    """Find the orders that viewers were told are paid and that are not paid at the server."""
    status = {order.id: order.status for order in case.books.orders}
    lines = [
        f"{own.take.order} of {own.viewer} ({own.take.reservation}) is {status.get(own.take.order, 'not there')}"
        for own in case.every_take
        if own.take.end == "paid" and own.take.order and status.get(own.take.order) not in HELD_GOOD
    ]
    if lines:
        yield finding(
            "no-reply",
            f"{count(len(lines), 'acknowledged order')} not among the server's paid ones; it has "
            f"{count(len(status), 'order')} in all.",
            lines,
        )


def _nobodys(case: Case) -> Iterator[Finding]:
    """Find the paid orders of the server that nobody knows: no answer has named them, nobody waits for one."""
    if not case.alone:
        return
    waiting = {own.take.reservation for own in case.every_take if own.take.end == "unknown"}
    lines = [
        f"{order.id} ({order.status}): {', '.join(line.reservation for line in order.lines)}"
        for order in case.books.orders
        if order.status in HELD_GOOD
        and order.id not in case.named_orders
        and not any(line.reservation in waiting for line in order.lines)
    ]
    if lines:
        yield finding(
            "no-reply", f"No viewer knows of {count(len(lines), 'paid order')} of the server.", lines
        )
