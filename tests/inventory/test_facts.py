"""What a receipt says is what happened: on the clock of the store, for every way in which an operation can end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from server import ids
from server.errors import Code, Problem
from server.inventory import facts
from server.inventory.awards import Awards
from server.inventory.outcomes import Bundle, Held, Waiting
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from server.house import House
    from server.inventory.outcomes import Outcome
    from server.receipts import Receipt

CLAIM_MS = 60_000


def of(show: str, quantity: int, outcome: Outcome, operation: str = "op") -> Receipt:
    """Return what a receipt says; there must be one."""
    said = facts.receipt(show, "ann", operation, quantity, outcome)
    assert said is not None
    return said


async def opened_at(house: House, show: str, drop: str) -> int:
    """Return when a drop opened."""
    moment: int = (await house.drops.find(show, drop))["opened_at"]
    return moment


async def test_an_award_says_rank_and_moment(house: House) -> None:
    """The second of two takers is told so, with the milliseconds since the opening; a repeat says that it is one."""
    show = await live_show(house)
    drop = await open_drop(house, show)
    await house.holds.reserve(show, "bob", "op", drop, 2)
    held = await house.holds.reserve(show, "ann", "op", drop, 3)
    said = of(show, 3, held)
    assert (said.sub, said.show, said.drop, said.operation) == ("ann", show, drop, "op")
    assert (said.outcome, said.quantity, said.rank, said.available) == ("held", 3, 2, UNSET)
    assert said.after_opening_ms == said.at - await opened_at(house, show, drop)
    again = of(show, 3, await house.holds.reserve(show, "ann", "op", drop, 3))
    assert (again.outcome, again.rank, again.at >= said.at) == ("replayed", 2, True)


async def test_a_refusal_says_how_long_all_were_gone(house: House) -> None:
    """Sold out: what was available and held, and the milliseconds since the last unit went."""
    show = await live_show(house)
    drop = await open_drop(house, show, 3)
    gone = await house.holds.reserve(show, "bob", "op", drop, 2)
    assert isinstance(gone, Held)
    short = of(show, 3, await house.holds.reserve(show, "ann", "op-1", drop, 3))
    assert (short.outcome, short.available, short.held) == ("out-of-stock", 1, 2)
    assert short.after_sold_out_ms is UNSET
    last = await house.holds.reserve(show, "bob", "op-2", drop, 1)
    assert isinstance(last, Held)
    assert last.seen is not None
    said = of(show, 1, await house.holds.reserve(show, "ann", "op-2", drop, 1))
    assert (said.outcome, said.available, said.held, said.rank) == ("out-of-stock", 0, 3, UNSET)
    assert said.after_sold_out_ms == said.at - last.seen.gone_at >= 0


async def test_other_refusals_have_a_receipt_too(house: House) -> None:
    """The limit is reached: the receipt names the code and the moment, and no stock."""
    show = await live_show(house)
    drop = await open_drop(house, show, limit_per_viewer=1)
    said = of(show, 2, await house.holds.reserve(show, "ann", "op", drop, 2))
    assert (said.outcome, said.quantity, said.available) == ("limit-reached", 2, UNSET)
    assert said.after_opening_ms == said.at - await opened_at(house, show, drop)


async def test_a_part_says_what_is_waited_for(house: House) -> None:
    """In part: the units that were held, and the place for the rest; where none were left, the place alone."""
    show = await live_show(house)
    drop = await open_drop(house, show, 2)
    part = of(show, 3, await house.holds.reserve(show, "ann", "op", drop, 3, part=True))
    assert (part.outcome, part.quantity, part.position, part.queued) == ("held", 2, 1, 1)
    outcome = await house.holds.reserve(show, "bob", "op", drop, 2, part=True)
    assert isinstance(outcome, Waiting)
    waiting = of(show, 2, outcome)
    assert (waiting.outcome, waiting.quantity, waiting.position) == ("waiting", 2, 2)


async def test_where_nothing_was_decided_there_is_no_receipt(house: House) -> None:
    """No drop, no sight of it, or several drops at once: nothing that a receipt could say of a drop."""
    show = await live_show(house)
    missing = await house.holds.reserve(show, "ann", "op", ids.new_drop(show), 1)
    for outcome in (missing, Bundle([], replayed=False), Problem(Code.UNAVAILABLE, "We do not know.")):
        assert facts.receipt(show, "ann", "op", 1, outcome) is None


async def test_an_award_is_found_again(house: House) -> None:
    """Later, and whatever became of the reservation: viewer, units, rank and moment are those of the award."""
    show = await live_show(house)
    drop, awards = await open_drop(house, show), Awards(house.client, CLAIM_MS)
    for n in range(5):
        await house.holds.reserve(show, f"viewer-{n}", "op", drop, 1)
    held = await house.holds.reserve(show, "ann", "op", drop, 3)
    assert isinstance(held, Held)
    reservation = held.reservation["id"]
    told = of(show, 3, held)
    for _ in range(2):  # held, then given back
        found = await awards.find(reservation)
        assert found is not None
        assert (found.sub, found.show, found.drop, found.reservation) == ("ann", show, drop, reservation)
        assert (found.outcome, found.quantity, found.rank, found.operation) == ("held", 3, 6, UNSET)
        assert (found.at, found.after_opening_ms) == (told.at, told.after_opening_ms)
        await house.holds.release(reservation, "ann")


async def test_a_claim_is_found_by_the_time_that_claims_have(house: House) -> None:
    """Where the first who pays gets it, a hold lives for the provider's time; its award is found all the same."""
    show = await live_show(house)
    drop = await open_drop(house, show, mode="first_paid")
    claim = await house.holds.bundle(show, "ann", "op", [(drop, 2)], claim=True)
    assert isinstance(claim, Bundle)
    claim_ms = house.settings.provider_seconds * 1000
    found = await Awards(house.client, claim_ms).find(claim.reservations[0]["id"])
    assert found is not None
    assert (found.rank, found.quantity, found.at) == (1, 2, claim.reservations[0]["expires_at"] - claim_ms)


async def test_what_was_never_awarded_is_not_found(house: House) -> None:
    """An id of no reservation, or of none that is there, has no award."""
    show = await live_show(house)
    awards = Awards(house.client, CLAIM_MS)
    for reservation in (
        "nonsense",
        ids.reservation(show, "ann", "op"),
        ids.reservation(ids.new_show(), "ann", "op"),
    ):
        assert await awards.find(reservation) is None
