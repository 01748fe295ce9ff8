"""The worker that watches deadlines goes on, whatever one show does to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from server.app import keep_running
from server.gateway.presence import Presence
from server.inventory.outcomes import Held
from server.ledger.tables import drops
from server.store.keys import key
from tests.deadlines import let_lapse
from tests.houses import live_show, numbers, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.house import House


@pytest.mark.parametrize("record", ["stock", "expiry"])
async def test_a_show_with_a_broken_record_strands_nobody_elses_units(house: House, record: str) -> None:
    """One show's record cannot be read: the units of the others come back in time all the same."""
    broken, sound = sorted([await live_show(house), await live_show(house)])
    for show in (broken, sound):
        drop = await open_drop(house, show, 1, hold_seconds=1)
        assert isinstance(await house.holds.reserve(show, "viewer", "op", drop, 1), Held)
    await house.client.delete(key(record, show=broken))
    await house.client.set(key(record, show=broken), b"not a hash")
    running = asyncio.create_task(house.sweeper().run())
    try:

        async def back() -> bool:
            return await numbers(house, sound, drop) == (1, 0, 0)

        await wait_for(back, "the sound show's unit is back")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await house.client.delete(key(record, show=broken))
        await house.client.srem(key("active"), broken)


async def test_a_job_that_a_bug_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error ends one run of a job, not the job."""
    monkeypatch.setattr("server.app.RESTART_SECONDS", 0.01)
    runs = 0

    async def job() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise KeyError("a bug")
        await asyncio.Event().wait()

    running = asyncio.create_task(keep_running("test", job))
    await wait_for(lambda: runs == 3, "the job runs again")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert runs == 3


@pytest.mark.parametrize("sweepers", [1, 3])
async def test_units_come_back_once_whoever_sweeps(house: House, sweepers: int) -> None:
    """One sweeper or several: each lapsed unit is given back exactly once."""
    show = await live_show(house)
    drop = await open_drop(house, show, 30, hold_seconds=1)
    for number in range(30):
        await house.holds.reserve(show, f"viewer-{number}", "op", drop, 1)
    running = [asyncio.create_task(house.sweeper().run()) for _ in range(sweepers)]

    async def back() -> bool:
        return await numbers(house, show, drop) == (30, 0, 0)

    try:
        await wait_for(back, "all units are back")
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_a_crowd_that_lapses_is_let_go_in_one_look(house: House) -> None:
    """More than one step takes: the worker goes on at once until nothing is overdue."""
    show = await live_show(house)
    drop = await open_drop(house, show, 450)
    taken = await asyncio.gather(
        *(house.holds.reserve(show, f"viewer-{number}", "op", drop, 1) for number in range(450))
    )
    held = [one.reservation["id"] for one in taken if isinstance(one, Held)]
    await let_lapse(house.client, show, *held)
    assert (await house.holds.sweep(show)).lapsed < 450
    await house.sweeper()._tick(show)
    assert await numbers(house, show, drop) == (450, 0, 0)


async def test_a_deadline_without_a_record_holds_up_nobody(house: House) -> None:
    """An index entry that belongs to nothing is dropped; the show's other units come back in the same sweep."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    held = await house.holds.reserve(show, "viewer", "op", drop, 1)
    assert isinstance(held, Held)
    await house.client.zadd(key("expiry", show=show), {"nobody": 1})
    await let_lapse(house.client, show, held.reservation["id"])
    assert (await house.holds.sweep(show)).lapsed == 1
    assert await house.client.zscore(key("expiry", show=show), "nobody") is None
    assert await numbers(house, show, drop) == (1, 0, 0)


async def test_an_ended_show_is_retired_after_its_last_event_is_recorded(house: House) -> None:
    """Restocked and ended in the last moment: the ledger has it before the workers leave the show."""
    show = await live_show(house)
    drop = await open_drop(house, show, 10)
    await house.drops.restock(show, drop, 5)
    await house.shows.move(show, "end")
    await house.sweeper()._retire(show)
    assert show not in await house.shows.active()
    row = await house.ledger.read(
        lambda connection: connection.execute(select(drops).where(drops.c.id == drop)).one()
    )
    assert (row.status, row.quantity) == ("closed", 15)


async def test_viewers_of_a_process_that_died_leave_the_count(house: House) -> None:
    """No process follows the show any more: the sweeper lets them go when the lease of the dead one has ended."""
    show = await live_show(house)
    dead = Presence(house.scripts, lease_ms=50)
    for number in range(600):
        dead.came(show, f"viewer-{number}")
    await dead.tell()
    assert (await house.shows.figures(show))["viewers"] == 600

    async def gone() -> bool:
        await house.shows.recount(show)
        return bool((await house.shows.figures(show))["viewers"] == 0)

    await wait_for(gone, "they are gone")
    assert (await house.shows.figures(show))["peak_viewers"] == 600
