"""A store that has gone back in time, or is empty, is found by itself: what it would sell twice is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids, metrics
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.store import reads
from server.store.keys import key
from server.workers.recorder import Recorder
from tests.houses import live_show, numbers, open_drop, planned_drop
from tests.workers.lossy import Lossy, lossy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Lossy]:
    async with lossy(tmp_path) as one:
        yield one


async def frozen(house: House, show: str) -> bool:
    return await house.shows.frozen(show)


async def test_a_log_that_ends_before_what_the_ledger_has_seen(store: Lossy) -> None:
    """The next look of the recorder freezes the show; it sells nothing until it is rebuilt, and then what is left."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    copy = await store.copy()
    await store.bought(show, drop, "ann", 2)
    await store.house.drops.restock(show, drop, 1)
    await store.recorded(show)
    await store.restore(copy)
    before = metrics.SHOWS_FROZEN._value.get()
    recorder = store.house.recorder()
    assert not await recorder.record(show)
    assert await frozen(store.house, show)
    assert not await recorder.record(show)
    assert metrics.SHOWS_FROZEN._value.get() == before + 1, "frozen once"
    refused = await store.house.holds.reserve(show, "bob", "op", drop, 1)
    assert isinstance(refused, Problem)
    assert (refused.code, refused.detail) == (Code.SHOW_NOT_LIVE, "The show is frozen.")
    with pytest.raises(Problem, match="Cannot resume a show that is frozen"):
        await store.house.shows.move(show, "resume")
    await store.rebuilt(show)
    assert not await frozen(store.house, show)
    assert await recorder.record(show)
    assert await store.sell_out(show, drop) == 2
    assert await store.differences(show) == []


async def test_a_show_that_is_made_again_under_its_id(store: Lossy) -> None:
    """Repeating the request that made it does not open a second sale: its log is not the one that the ledger knows."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    await store.bought(show, drop, "ann")
    await store.recorded(show)
    await store.lose_all()
    await store.house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    assert not await store.house.recorder().record(show)
    assert await frozen(store.house, show)
    await store.rebuilt(show)
    assert await store.sell_out(show, drop) == 2


async def test_sales_that_were_lost_without_an_event(store: Lossy) -> None:
    """A promoted replica whose log is whole and which lacks sales is frozen; one that only lacks holds sells on."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    await store.bought(show, drop, "ann")
    await store.recorded(show)
    recorder, copy = store.house.recorder(), await store.copy()
    assert not await recorder.look_for_unsold(show)
    await store.held(show, drop, "bob")
    await store.restore(copy)
    assert not await recorder.look_for_unsold(show)
    await store.bought(show, drop, "cleo")
    await store.restore(copy)
    assert await recorder.record(show), "its log says nothing of it"
    assert await recorder.look_for_unsold(show)
    assert await frozen(store.house, show)
    await store.rebuilt(show)
    assert not await recorder.look_for_unsold(show)
    assert await store.sell_out(show, drop) == 1
    assert await store.differences(show) == []


async def test_units_that_return_are_no_lost_sales(store: Lossy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that are paid back and on sale again between any two readings of ledger and store freeze nothing."""
    show = await live_show(store.house, limit_per_viewer=20)
    drop = await open_drop(store.house, show, 9)
    orders = [await store.bought(show, drop, f"ann-{number}") for number in range(6)]

    async def meanwhile(*asked: Any) -> dict[bytes, bytes]:
        assert await store.house.refunds.cancel(orders[-1], ids.new_refund(orders.pop()), "host")
        return await fields(*asked)

    fields = reads.fields
    monkeypatch.setattr(reads, "fields", meanwhile)
    assert not await store.house.recorder().look_for_unsold(show)
    assert len(orders) < 6, "nothing came back between the readings"
    assert not await frozen(store.house, show)


async def test_a_rebuild_is_not_taken_for_lost_sales(store: Lossy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A show that is rebuilt and open again while a recorder compares what it read before is not frozen once more."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    await store.recorded(show)
    copy = await store.copy()
    await store.bought(show, drop, "ann")
    await store.restore(copy)
    fields, seen = reads.fields, await reads.fields(store.house.client, key("stock", show=show), "looking")

    async def before_the_rebuild(*_asked: Any) -> dict[bytes, bytes]:
        with monkeypatch.context() as really:
            really.setattr(reads, "fields", fields)
            if (await numbers(store.house, show, drop))[2] == 0:
                await store.rebuilt(show)
        return seen

    monkeypatch.setattr(reads, "fields", before_the_rebuild)
    await store.house.recorder().look_for_unsold(show)
    monkeypatch.undo()
    assert await numbers(store.house, show, drop) == (2, 0, 1), "it was rebuilt"
    assert not await frozen(store.house, show)


async def test_what_happens_while_frozen_is_recorded(store: Lossy) -> None:
    """A drop that was planned while a show was frozen, and one just before, stand in the ledger after the rebuild."""
    show = await live_show(store.house)
    await store.recorded(show)
    before = await open_drop(store.house, show, 3)
    await store.house.shows.freeze(show, least=0)
    frozen_in = await planned_drop(store.house, show, 4)
    await store.rebuilt(show)
    await store.recorded(show)
    await store.lose_all()
    report = await store.rebuilt(show)
    assert [(each.plan.drop, each.plan.quantity) for each in report.drops] == [(before, 3), (frozen_in, 4)]


async def test_an_empty_store(store: Lossy) -> None:
    """Shows that run by the ledger and are nowhere are counted and named, until they are rebuilt."""
    show, ended = await live_show(store.house), await live_show(store.house)
    await store.house.shows.move(ended, "end")
    for each in (show, ended):
        await store.recorded(each)
    recorder = store.house.recorder()
    assert await recorder.look_for_lost() == set()
    await store.lose_all()
    assert await recorder.look_for_lost() == {show}
    assert metrics.SHOWS_LOST._value.get() == 1
    await store.rebuilt(show)
    assert await recorder.look_for_lost() == set()
    assert metrics.SHOWS_LOST._value.get() == 0


async def test_whatever_is_well_is_not_frozen(store: Lossy) -> None:
    """Two recorders, a quiet show, a busy one, and one that was just rebuilt go on."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    one, other = store.house.recorder(), store.house.recorder()
    for number in range(5):
        await store.house.drops.restock(show, drop, 1, f"op-{number}")
        assert await one.record(show)
        assert await other.record(show)
    await store.rebuilt(show)
    assert await other.record(show)
    assert not await frozen(store.house, show)
    assert isinstance(await store.house.holds.reserve(show, "ann", "op", drop, 1), Held)


async def test_a_recorder_that_lags_behind_another_freezes_nothing(
    store: Lossy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger is brought further between its two readings, the log is not taken for one that lost events."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    slow, quick = store.house.recorder(), store.house.recorder()
    await quick.record(show)
    from server.eventlog import stream  # noqa: PLC0415  the one that the recorder reads with

    top = stream.top

    async def late(client: object, asked: str) -> object:
        monkeypatch.undo()
        await store.house.drops.restock(show, drop, 1)
        await quick.record(show)
        return await top(client, asked)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(stream, "top", late)
    assert isinstance(slow, Recorder)
    assert await slow.record(show)
    assert not await frozen(store.house, show)
