"""The ledger's copy of the drops follows the shows' logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from server.inventory.outcomes import Held
from server.ledger.tables import drops, log_positions
from server.store.keys import key
from tests.deadlines import going, let_lapse
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from server.house import House


async def recorded(house: House, drop: str) -> tuple[str, int] | None:
    """Return the status and quantity that the ledger has of a drop."""
    row = await house.ledger.read(
        lambda connection: connection.execute(select(drops).where(drops.c.id == drop)).first()
    )
    return (row.status, row.quantity) if row else None


async def test_the_ledger_has_the_drops_as_they_were_offered(house: House) -> None:
    """Planned, restocked and closed drops stand in the ledger as they are; recording again adds nothing."""
    show = await live_show(house)
    drop = await open_drop(house, show, 10)
    recorder = house.recorder()
    await recorder.record(show)
    assert await recorded(house, drop) == ("open", 10)
    await house.drops.restock(show, drop, 5)
    await house.drops.close(show, drop)
    await recorder.record(show)
    await house.recorder().record(show)
    assert await recorded(house, drop) == ("closed", 15)
    place = await house.ledger.read(
        lambda connection: connection.execute(
            select(log_positions.c.offset).where(log_positions.c.show == show)
        ).scalar_one()
    )
    assert place == 5  # started, scheduled, opened, restocked, closed


async def test_a_show_in_which_nothing_happens_costs_the_ledger_nothing(house: House) -> None:
    """What is recorded is left alone until an event comes, a hold lapses or its log is lost; a new recorder looks."""
    show, other = await live_show(house), await live_show(house)
    drop = await open_drop(house, show, 1, hold_seconds=60)
    recorder = house.recorder()
    assert {show, other} <= (await recorder.behind()).keys()
    await recorder.catch_up()
    assert not {show, other} & (await recorder.behind()).keys()
    await house.drops.restock(show, drop, 1)
    assert {show, other} & (await recorder.behind()).keys() == {show}
    await recorder.catch_up()
    held = await house.holds.reserve(show, "viewer", "op", drop, 1)
    assert isinstance(held, Held)
    await let_lapse(house.client, show, held.reservation["id"])
    await house.holds.sweep(show)
    assert {show, other} & (await recorder.behind()).keys() == {show}
    await recorder.catch_up()
    assert not {show, other} & (await recorder.behind()).keys()
    assert other in await house.recorder().behind()
    await house.client.hset(key("show", show=other), "epoch", "another")
    assert {show, other} & (await recorder.behind()).keys() == {other}


async def test_an_ended_show_is_retired_once_nothing_is_open(house: House) -> None:
    """While a unit is held an ended show stays; afterwards all its keys expire within a day, and workers leave it."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    held = await house.holds.reserve(show, "viewer", "op", drop, 1)
    await house.shows.move(show, "end")
    assert not await house.shows.retire(show)
    assert show in await house.shows.active()
    assert isinstance(held, Held)
    await house.holds.release(held.reservation["id"], "viewer")
    assert await house.shows.retire(show)
    assert show not in await house.shows.active()
    assert await going(house.client, show, 24 * 3600)
