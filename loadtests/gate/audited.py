"""Books: the server's own audit of stock, holds, ledger and payments finds no difference; no order stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.finding import count, finding
from loadtests.gate.orders import SEVERAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case
    from loadtests.run import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Yield a finding where the audit found a difference, or an order does not come to an end."""
    audit = case.books.audit
    lines = [f"{drop.drop}: {difference}" for drop in audit.drops for difference in drop.differences]
    lines += [each.sentence for each in audit.money.differences if SEVERAL not in each.sentence]
    lines += [f"{order.id} is confirming" for order in case.books.orders if order.status == "confirming"]
    if lines or not audit.balanced:
        yield finding("books", f"The books do not balance: {count(len(lines), 'difference')}.", lines)
