"""What the clock does with drops: waves, queues that one step could not serve, and numbers that were not told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from server import ids
from server.inventory.outcomes import Held, Waiting
from server.ledger.tables import drops
from server.shows.drops import DUE_LIMIT
from server.store import reads
from server.store.keys import key
from tests.deadlines import going, let_lapse, redis_now
from tests.houses import house_at, live_show, numbers, open_drop, planned_drop
from tests.lua.told import listening
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from server.house import House
    from server.store.embedded import Embedded

CROWD = 600  # more than two steps serve


async def crowded(house: House, show: str, drop: str, crowd: int) -> None:
    """Let so many viewers wait for a unit each."""
    joins = [house.waitlist.join(show, f"viewer-{number}", "op", drop, 1) for number in range(crowd)]
    for place in await asyncio.gather(*joins):
        assert isinstance(place, Waiting)


async def test_a_long_queue_is_served_in_one_look(house: House) -> None:
    """A step serves up to 256; the worker goes on at once until the units or the people are used up."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    await house.holds.reserve(show, "holder", "op", drop, 1)
    await crowded(house, show, drop, CROWD)
    await house.drops.restock(show, drop, CROWD)
    left, *_ = await numbers(house, show, drop)
    assert 0 < left < CROWD
    await house.sweeper()._tick(show)
    assert await numbers(house, show, drop) == (0, CROWD + 1, 0)
    assert (await house.drops.find(show, drop))["waitlist_length"] == 0


async def test_nobody_passes_a_queue_that_is_being_served(house: House) -> None:
    """While a long queue waits for its next step, a newcomer finds nothing though units are there."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    await house.holds.reserve(show, "holder", "op", drop, 1)
    await crowded(house, show, drop, CROWD)
    await house.drops.restock(show, drop, CROWD)
    outcome = await house.holds.reserve(show, "newcomer", "op", drop, 1)
    assert getattr(outcome, "code", None) == "out-of-stock"


async def test_numbers_that_a_dead_process_owed_are_told(private_valkey: Embedded, tmp_path: Path) -> None:
    """Whoever changed the stock died before telling: the worker tells it from the due index."""
    async with house_at(private_valkey.url, tmp_path) as house:
        house.scripts.changed = None  # nobody here sees to what is owed
        show = await live_show(house)
        drop = await open_drop(house, show, 9)
        for units in (1, 2):
            await house.drops.restock(show, drop, units)
        planned = f"flush {drop}"
        due = key("due", show=show)
        at = await house.client.zscore(due, planned)
        assert at is not None

        async def over() -> bool:
            return await redis_now(house.client) >= int(at)

        await wait_for(over, "the numbers are due")
        async with listening(house.client, show) as told:
            await house.drops.due(show, await redis_now(house.client))
        assert [(stock["drop_id"], stock["quantity"]) for stock in told.stocks] == [(drop, 12)]
        assert await house.client.zscore(due, planned) is None


async def test_waves_come_in_their_order(house: House) -> None:
    """A planned wave comes when its time has come, and once; one by hand holds up those behind it."""
    show = await live_show(house)
    now = await redis_now(house.client)
    waves = [{"quantity": 1, "at": now - 2}, {"quantity": 2}, {"quantity": 4, "at": now - 1}]
    drop = await open_drop(house, show, 1, waves=waves)

    async def looked() -> int:
        await house.drops.due(show, now)
        units: int = (await house.drops.find(show, drop))["quantity"]
        return units

    assert [await looked(), await looked()] == [2, 2]
    assert (await house.drops.wave(show, drop))["quantity"] == 4
    assert [await looked(), await looked()] == [8, 8]
    assert await house.client.zscore(key("due", show=show), f"wave {drop}") is None


async def test_a_wave_that_is_not_due_yet_waits(house: House) -> None:
    """A worker whose clock runs ahead releases nothing: the time is that of the store."""
    show = await live_show(house)
    at = await redis_now(house.client) + 60_000
    drop = await open_drop(house, show, 1, waves=[{"quantity": 1, "at": at}])
    await house.drops.due(show, at + 1)
    assert (await house.drops.find(show, drop))["quantity"] == 1
    assert await house.client.zscore(key("due", show=show), f"wave {drop}") == at


async def test_an_ended_show_is_kept_as_long_as_the_settings_say(
    private_valkey: Embedded, tmp_path: Path
) -> None:
    """`keep_hours` after the end, nothing of the show is left in the store, queues and awards among it."""
    async with house_at(private_valkey.url, tmp_path, keep_hours=2) as house:
        show = await live_show(house)
        drop = await open_drop(house, show, 1)
        await house.holds.reserve(show, "ann", "op", drop, 1)
        await house.waitlist.join(show, "bob", "op", drop, 1)
        draw = await open_drop(house, show, 1, mode="draw")
        await house.waitlist.join(show, "bob", "op", draw, 1)
        await house.shows.move(show, "end")
        await let_everything_lapse(house, show)
        assert await house.recorder().record(show)
        assert await house.shows.retire(show)
        names = await going(house.client, show, 2 * 3600)
        assert names >= {"awards", "seeds", "waiting", "numbers"}


async def let_everything_lapse(house: House, show: str) -> None:
    """Put all deadlines of a show into the past and sweep."""
    held = await reads.fields(house.client, key("holds", show=show), "holds")
    await let_lapse(house.client, show, *(ids.full(show, own.decode()) for own in held))
    await house.holds.sweep(show)


async def test_the_ledger_keeps_what_a_draw_is_checked_by(house: House) -> None:
    """A drawn drop's seed, its promise and its waves stand in the ledger when Redis has forgotten them."""
    show = await live_show(house)
    drop = await open_drop(house, show, 3, mode="draw", waves=[{"quantity": 1}])
    await house.waitlist.join(show, "ann", "op", drop, 1)
    closed = await house.drops.close(show, drop)
    await house.recorder().record(show)
    row = await house.ledger.read(
        lambda connection: connection.execute(select(drops).where(drops.c.id == drop)).one()
    )
    kept = ("mode", "seed", "seed_hash", "waves")
    assert {name: row.terms[name] for name in kept} == {name: closed[name] for name in kept}


async def test_openings_that_must_wait_let_the_others_go_first(house: House) -> None:
    """A paused show with more overdue openings than one look makes: what else is due is done in the same turn.

    Once the show goes on, they open by themselves.
    """
    show = await live_show(house)
    now = await redis_now(house.client)
    waiting = [await planned_drop(house, show, opens_at=now - 5000) for _ in range(DUE_LIMIT + 1)]
    closing = await open_drop(house, show, 1, closes_at=now - 1)
    await house.shows.move(show, "pause")
    await house.sweeper()._tick(show)
    assert (await house.drops.find(show, closing))["status"] == "closed"
    await house.shows.move(show, "resume")
    await house.client.zadd(key("due", show=show), {f"open {drop}": now for drop in waiting}, xx=True)
    await house.sweeper()._tick(show)
    assert {drop["status"] for drop in await house.drops.listed(show) if drop["id"] in waiting} == {"open"}


async def test_a_move_that_fails_holds_nothing_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that one planned move brings out: the other moves are made, and what lapsed is let go."""
    show = await live_show(house)
    now = await redis_now(house.client)
    broken, closing = [await open_drop(house, show, 1, closes_at=now - at) for at in (2, 1)]
    drop = await open_drop(house, show, 1)
    held = await house.holds.reserve(show, "ann", "op", drop, 1)
    assert isinstance(held, Held)
    await let_lapse(house.client, show, held.reservation["id"])
    run = house.scripts.run

    async def failing(name: str, names: Mapping[str, str], /, **args: Any) -> Any:
        if args.get("drop") == broken:
            raise KeyError("a bug")
        return await run(name, names, **args)

    monkeypatch.setattr(house.scripts, "run", failing)
    await house.sweeper()._tick(show)
    assert (await house.drops.find(show, closing))["status"] == "closed"
    assert await numbers(house, show, drop) == (1, 0, 0)
