"""What happens in a show stands in the outbox: once, with the place in the log, whoever dies or repeats."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from server.inventory import lapses
from server.inventory.outcomes import Held
from server.ledger.tables import outbox, shows
from server.shows import recorded
from tests.deadlines import let_lapse
from tests.houses import house_at, live_show, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from server.house import House
    from server.store.embedded import Embedded

KINDS = ["show.started", "drop.opened", "drop.sold_out", "drop.closed", "show.ended"]


async def told(house: House, show: str) -> list[Any]:
    """Return what the outbox has of a show, in its order."""
    query = select(outbox).where(outbox.c.show == show).order_by(outbox.c.number)
    return await house.ledger.read(lambda connection: list(connection.execute(query)))


async def a_show(house: House) -> str:
    """Return a show that was live, with a drop that was sold out and closed."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    await house.holds.reserve(show, "ann", "op", drop, 1)
    await house.drops.close(show, drop)
    await house.shows.move(show, "end")
    return show


async def test_a_show_is_in_the_outbox_in_the_order_of_its_log(house: House) -> None:
    """From start to end, with the show's host beside it; recording again adds nothing."""
    show = await a_show(house)
    for _ in range(2):
        await house.recorder().record(show)
    rows = await told(house, show)
    assert [row.type for row in rows] == KINDS
    assert {row.subject for row in rows} == {show}
    offsets = [row.data["offset"] for row in rows]
    assert offsets == sorted(set(offsets))
    query = select(shows.c.host).where(shows.c.id == show)
    assert await house.ledger.read(lambda connection: connection.execute(query).scalar_one()) == "host"


async def test_two_recorders_write_each_message_once(
    house: House, private_valkey: Embedded, tmp_path: Path
) -> None:
    """Two processes that record the same log at the same time leave each event there once, in order."""
    show = await a_show(house)
    async with house_at(private_valkey.url, tmp_path) as other:
        recorders = [each.recorder() for each in (house, other) for _ in range(3)]
        await asyncio.gather(*(recorder.record(show) for recorder in recorders))
    assert [row.type for row in await told(house, show)] == KINDS


async def test_a_lapsed_reservation_is_told_once_though_its_recorder_dies(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sweep let go stays in the store until the outbox has it; read twice, it is written once."""
    show = await live_show(house)
    drop = await open_drop(house, show, 2, hold_seconds=1)
    await house.holds.reserve(show, "ann", "op", drop, 2)
    await wait_for(lambda: swept(house, show), "it lapsed")

    async def dies(*_: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr("server.workers.recorder.lapsed.drop", dies)
        with pytest.raises(RuntimeError):
            await house.recorder().record(show)
    await house.recorder().record(show)
    assert (await lapses.read(house.client, show)).found == []
    (row,) = [row for row in await told(house, show) if row.type == "reservation.expired"]
    reservation = row.data["reservation"]
    assert row.id == f"{reservation['id']} expired"
    assert (row.data["viewer"], reservation["quantity"], reservation["state"]) == ("ann", 2, "expired")
    assert row.subject == reservation["id"]


async def test_many_lapses_are_told_in_pieces(house: House) -> None:
    """More steps than one reading takes are told in one turn all the same, each reservation once."""
    show = await live_show(house)
    drop = await open_drop(house, show, 9)
    for number in range(9):
        held = await house.holds.reserve(show, f"viewer-{number}", "op", drop, 1)
        assert isinstance(held, Held)
        await let_lapse(house.client, show, held.reservation["id"])
        assert await swept(house, show)
    assert await house.recorder().record(show)
    viewers = [row.data["viewer"] for row in await told(house, show) if row.type == "reservation.expired"]
    assert sorted(viewers) == [f"viewer-{number}" for number in range(9)]


async def swept(house: House, show: str) -> bool:
    """Sweep; return whether something had lapsed."""
    return (await house.holds.sweep(show)).lapsed == 1


async def test_a_recorder_that_fails_half_way_tells_nothing_and_everything_the_next_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages and the place in the log are one transaction: neither is there without the other."""
    show = await a_show(house)

    def broken(*_: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr("server.workers.recorder.tell", broken)
        with pytest.raises(RuntimeError):
            await house.recorder().record(show)
    assert await told(house, show) == []
    assert await house.ledger.read(lambda connection: recorded.position(connection, show)) is None
    await house.recorder().record(show)
    assert [row.type for row in await told(house, show)] == KINDS
