"""What happens to an order is in the ledger whole: state, history, entries and messages, once, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from server.errors import Code, Problem
from server.ledger.tables import outbox
from server.orders import entries, refund_book, writing
from server.orders.orders import DifferentOrderError, Orders
from server.orders.states import Status
from tests.orders.written import (
    AT,
    PRICE,
    SHOW,
    everything,
    history,
    messages,
    paid,
    record,
    refund_status,
    refunded,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from server.ledger.database import Ledger

ORDER = "or_show_1"


async def test_a_paid_order(ledger: Ledger) -> None:
    """Committed and captured: two changes by the checkout, the money on two accounts, one message with the view."""
    orders = Orders(ledger)
    await orders.commit(SHOW, record(ORDER, 2, contact="sealed"))
    assert await ledger.read(messages) == []
    await orders.captured(ORDER, AT + 5)
    detail = await orders.detail(ORDER)
    assert detail is not None
    assert detail.history == [
        {"status": "confirming", "by": "checkout", "at": AT},
        {"status": "paid", "by": "checkout", "at": AT + 5},
    ]
    assert (detail.viewer, detail.contact, detail.refunds, detail.fulfilment) == ("ann", "sealed", [], None)
    assert detail.view["payment"] == {"provider": "sandbox", "status": "captured"}
    assert await ledger.read(messages) == [(f"{ORDER} paid", "order.paid")]
    assert await ledger.read(entries.balances) == {
        ("provider:sandbox", "EUR"): 2 * PRICE,
        ("sales", "EUR"): -2 * PRICE,
    }
    assert await orders.unbalanced() == {}


@pytest.mark.parametrize("shortfall", [False, True])
async def test_an_order_that_came_to_nothing(ledger: Ledger, *, shortfall: bool) -> None:
    """One change and a message, and one more that names the lines where the units were gone; no money, no lines."""
    orders = Orders(ledger)
    for _ in range(2):
        await orders.cancel_unpaid(SHOW, record(ORDER, 2), AT + 9, shortfall=shortfall)
    detail = await orders.detail(ORDER)
    assert detail is not None
    assert detail.history == [{"status": "cancelled", "by": "checkout", "at": AT + 9}]
    assert detail.view["created_at"] == AT
    # A shop that asks for what it missed names a time: a message stands at the one of what it tells.
    assert await ledger.read(lambda c: set(c.execute(select(outbox.c.at)).scalars())) == {AT + 9}
    short = [(f"{ORDER} shortfall", "order.shortfall")] if shortfall else []
    assert await ledger.read(messages) == [*short, (f"{ORDER} cancelled", "order.cancelled")]
    assert await ledger.read(entries.balances) == {}
    assert await orders.units_by_drop(SHOW) == {}
    with pytest.raises(DifferentOrderError):
        await orders.commit(SHOW, record(ORDER, 2))


async def test_a_shipped_order(ledger: Ledger) -> None:
    """The shipment stands in the history and the message; the same again is nothing new."""
    orders = Orders(ledger)
    await ledger.write(lambda c: paid(c, 1, order=ORDER))
    shipment = {"carrier": "Post", "tracking_number": "X1"}
    await orders.fulfil(ORDER, shipment, "hanna", AT + 9)
    before = await ledger.read(everything)
    await orders.fulfil(ORDER, shipment, "hanna", AT + 99)
    assert await ledger.read(everything) == before
    detail = await orders.detail(ORDER)
    assert detail is not None
    assert detail.fulfilment == {**shipment, "at": AT + 9}
    assert (detail.view["status"], detail.history[-1]["by"]) == ("fulfilled", "hanna")
    assert (await ledger.read(messages))[-1] == (f"{ORDER} fulfilled", "order.fulfilled")
    with pytest.raises(Problem, match="was shipped before"):
        await orders.fulfil(ORDER, {}, "hanna", AT)
    with pytest.raises(Problem) as none:
        await orders.fulfil("or_show_none", {}, "hanna", AT)
    assert none.value.code is Code.NOT_FOUND


async def test_repeating_writes_nothing(ledger: Ledger) -> None:
    """Every change of an order, done again in any later state, leaves every row of every table as it is."""
    orders, first = Orders(ledger), wanted(ORDER, (0, 1), refund="rf_show_a", restock=True)
    done: list[Callable[[Connection], object]] = []
    for step in (
        lambda c: writing.insert(c, SHOW, record(ORDER, 2, 1), Status.CONFIRMING, "authorized", at=AT),
        lambda c: writing.mark_paid(c, ORDER, AT),
        lambda c: refund_book.ask(c, first),
        lambda c: refund_book.mark_paid(c, first.refund, AT),
        lambda c: refund_book.ask(c, wanted(ORDER, (0, 1), refund="rf_show_b")),
        lambda c: refund_book.mark_refused(c, "rf_show_b", AT),
        lambda c: writing.fulfil(c, ORDER, {"carrier": "Post"}, "hanna", AT),
        lambda c: refund_book.ask(c, wanted(ORDER, refund="rf_show_c")),
        lambda c: refund_book.mark_paid(c, "rf_show_c", AT),
    ):
        await ledger.write(step)
        done.append(step)
        before = await ledger.read(everything)
        for again in done:
            await ledger.write(again)
        assert await ledger.read(everything) == before
    assert [status for status, _ in await ledger.read(lambda c: history(c, ORDER))] == [
        "confirming",
        "paid",
        "partially_refunded",
        "fulfilled",
        "refunded",
    ]
    assert await orders.unbalanced() == {}


async def test_a_refund_from_asked_to_paid(ledger: Ledger) -> None:
    """Asked: only the units are reserved. Paid: state, history, entries, payment and message; units go on sale."""
    orders = Orders(ledger)
    await ledger.write(lambda c: paid(c, 3, 1, order=ORDER))
    asked = await ledger.write(
        lambda c: refund_book.ask(c, wanted(ORDER, (f"rs_{ORDER}_0", 2), refund="rf_show_a", restock=True))
    )
    assert (asked.amount, asked.reference, asked.status) == (2 * PRICE, f"pay_{ORDER}", "asked")
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(2, 0), (0, 0)]
    assert await ledger.read(entries.balances) == {
        ("provider:sandbox", "EUR"): 4 * PRICE,
        ("sales", "EUR"): -4 * PRICE,
    }
    assert await orders.units_by_drop(SHOW) == {"dr_show_0": 3, "dr_show_1": 1}
    await ledger.write(lambda c: refund_book.mark_paid(c, "rf_show_a", AT + 7))
    assert await ledger.read(lambda c: refund_status(c, "rf_show_a")) == ("paid", False)
    assert await orders.units_by_drop(SHOW) == {"dr_show_0": 1, "dr_show_1": 1}
    detail = await orders.detail(ORDER)
    assert detail is not None
    assert (detail.view["status"], detail.view["payment"]["status"]) == ("partially_refunded", "captured")
    assert detail.history[-1] == {
        "status": "partially_refunded",
        "by": "host",
        "at": AT + 7,
        "details": {"refund": "rf_show_a", "amount": 2 * PRICE},
    }
    assert detail.refunds == [
        {
            "id": "rf_show_a",
            "status": "paid",
            "amount": 2 * PRICE,
            "currency": "EUR",
            "lines": [{"position": 0, "reservation": f"rs_{ORDER}_0", "quantity": 2}],
            "restock": True,
            "created_at": AT + 2,
        }
    ]
    assert (await ledger.read(messages))[-1] == ("rf_show_a paid", "order.refunded")
    assert await ledger.read(entries.balances) == {
        ("provider:sandbox", "EUR"): 2 * PRICE,
        ("sales", "EUR"): -2 * PRICE,
    }
    await ledger.write(lambda c: refund_book.ask(c, wanted(ORDER, refund="rf_show_b")))
    await ledger.write(lambda c: refund_book.mark_paid(c, "rf_show_b", AT + 8))
    last = await orders.detail(ORDER)
    assert last is not None
    assert (last.view["status"], last.view["payment"]["status"]) == ("refunded", "refunded")
    assert set((await ledger.read(entries.balances)).values()) == {0}
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(3, 2), (1, 0)]


async def test_a_cancelled_order(ledger: Ledger) -> None:
    """A cancellation gives back all, its units too, with one message; while it is under way nothing else starts."""
    await ledger.write(lambda c: paid(c, 2, order=ORDER))
    await ledger.write(lambda c: refund_book.ask(c, wanted(ORDER, refund="rf_show_a", cancel=True)))
    for other in (
        lambda c: refund_book.ask(c, wanted(ORDER, (0, 1))),
        lambda c: refund_book.ask(c, wanted(ORDER, cancel=True)),
        lambda c: writing.fulfil(c, ORDER, {}, "hanna", AT),
    ):
        with pytest.raises(Problem) as refused:
            await ledger.write(other)
        assert refused.value.code is Code.IN_PROGRESS
    await ledger.write(lambda c: refund_book.mark_paid(c, "rf_show_a", AT + 7))
    assert await ledger.read(lambda c: refunded(c, ORDER)) == [(2, 2)]
    assert await ledger.read(lambda c: history(c, ORDER)) == [
        ("confirming", "checkout"),
        ("paid", "checkout"),
        ("cancelled", "host"),
    ]
    assert (await ledger.read(messages))[-1] == ("rf_show_a paid", "order.cancelled")
    assert await Orders(ledger).units_by_drop(SHOW) == {"dr_show_0": 0}


async def test_a_refund_under_way_is_not_overtaken_by_a_cancellation(ledger: Ledger) -> None:
    """The order is cancelled as a whole or not at all: what is being given back is waited for."""
    await ledger.write(lambda c: paid(c, 2, order=ORDER))
    await ledger.write(lambda c: refund_book.ask(c, wanted(ORDER, (0, 1))))
    with pytest.raises(Problem, match=f"a refund of {PRICE} minor units is under way") as refused:
        await ledger.write(lambda c: refund_book.ask(c, wanted(ORDER, cancel=True)))
    assert refused.value.code is Code.IN_PROGRESS


@pytest.mark.parametrize(
    ("parts", "code", "said"),
    [
        ([(0, 3)], Code.WRONG_STATE, "Line 0 has 2 of 2 units left to refund, 3 are asked for."),
        ([(1, 1), (0, 5)], Code.WRONG_STATE, "Line 0 has 2 of 2"),
        ([(7, 1)], Code.INVALID_MESSAGE, "has no line 7"),
        ([("rs_other", 1)], Code.INVALID_MESSAGE, "has no line 'rs_other'"),
        ([(0, 1), (f"rs_{ORDER}_0", 1)], Code.INVALID_MESSAGE, "one of them more than once"),
    ],
)
async def test_what_cannot_be_refunded(
    ledger: Ledger, parts: list[tuple[str | int, int]], code: Code, said: str
) -> None:
    """More than a line has, lines that are none and lines named twice are refused with numbers; nothing is reserved."""
    await ledger.write(lambda c: paid(c, 2, 1, order=ORDER))
    before = await ledger.read(everything)
    with pytest.raises(Problem, match=said) as refused:
        await ledger.write(lambda c: refund_book.ask(c, wanted(ORDER, *parts)))
    assert refused.value.code is code
    assert await ledger.read(everything) == before


def test_a_movement_that_does_not_sum_to_nothing_is_refused() -> None:
    """Before anything is written: no connection is needed to see it."""
    nowhere: Connection = None  # type: ignore[assignment]  # it is not reached
    with pytest.raises(ValueError, match="do not sum to 0"):
        entries.post(nowhere, "or_1 captured", "or_1", {"a": 5, "sales": -4}, currency="EUR", at=AT)
