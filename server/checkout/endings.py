"""What a buyer is told of an order that came to nothing: a code of the contract and a sentence."""

from __future__ import annotations

from server.checkout.steps import Reason
from server.errors import Code, Problem

NO_MONEY = "no money was taken."
UNDONE: dict[Reason, tuple[Code, str]] = {
    Reason.NONE: (Code.RESERVATION_EXPIRED, f"The order came to nothing; {NO_MONEY}"),
    Reason.DECLINED: (Code.PAYMENT_DECLINED, f"The payment was declined; {NO_MONEY}"),
    Reason.OVERDUE: (Code.RESERVATION_EXPIRED, f"The payment was not authorized in time; {NO_MONEY}"),
    Reason.LOST: (
        Code.RESERVATION_EXPIRED,
        f"The reservation lapsed while the payment was being authorized; {NO_MONEY}",
    ),
    Reason.REFUSED: (
        Code.PAYMENT_DECLINED,
        f"The provider would not move what it had authorized; the order is cancelled, {NO_MONEY}",
    ),
}


def undone(reason: str, sentence: str = "") -> Problem:
    """Return the problem of an order that came to nothing; `sentence` is the provider's own where it declined."""
    code, usual = UNDONE[Reason(reason)]
    return Problem(code, sentence if code is Code.PAYMENT_DECLINED and sentence else usual)


def came_to_nothing() -> Problem:
    """Return the problem of an order that the ledger has as cancelled, unpaid."""
    return undone(Reason.NONE)
