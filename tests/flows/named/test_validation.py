"""`same_validation_in_add_extend_finalize`: what is refused to who asks is refused to who pays late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from tests.checkout.buying import balanced, drop_of, lose, request, resume, stock
from tests.flows.named.apart_money import with_a_fault
from tests.till import ANSWER_LOST, Till, share

if TYPE_CHECKING:
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House


@pytest.fixture
def till(house: House) -> Till:
    """Give the house's till."""
    one = Till()
    share(one, house)
    return one


async def late(house: House, limit: int) -> Request:
    """Return an order whose two units lapsed before its yes was heard, of a buyer who has taken two others since."""
    one = await request(house, card=ANSWER_LOST, limit_per_viewer=limit)
    assert isinstance(await house.checkout.pay(one), Pending)
    await lose(house, one, taken=False)
    more = await house.holds.reserve(one.show, one.viewer, "more", await drop_of(house, one), 2)
    assert isinstance(more, Held)
    return one


async def within_the_limit(house: House, till: Till, one: Request) -> None:
    """Assert that the buyer may have no more by a late payment than by asking."""
    asked = await house.holds.reserve(one.show, one.viewer, "asked", await drop_of(house, one), 2)
    assert isinstance(asked, Problem)
    assert asked.code is Code.LIMIT_REACHED
    await resume(house, one)
    assert (till.voided, await stock(house, one)) == ({one.order}, (8, 2, 0)), "the limit was passed"
    assert await balanced(house, one.show)


async def test_same_validation_in_add_extend_finalize(house: House, till: Till) -> None:
    """Above the drop's limit a late yes is let go, as an ask is refused; within it, it is sold."""
    await within_the_limit(house, till, await late(house, limit=2))
    one = await late(house, limit=4)
    await resume(house, one)
    assert await stock(house, one) == (6, 2, 2)
    assert isinstance(await house.checkout.pay(one), Paid)


async def test_a_sale_above_the_limit_is_found(house: House, till: Till, tmp_path: Path) -> None:
    """Negative control: where the late sale does not count what its buyer has, they have more than they may."""
    line = "taken + hold.quantity > terms.limit_per_viewer"
    with_a_fault(house, tmp_path, "includes/desk_retake.lua", line, "false")
    with pytest.raises(AssertionError, match="the limit was passed"):
        await within_the_limit(house, till, await late(house, limit=2))
