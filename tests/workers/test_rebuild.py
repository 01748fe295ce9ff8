"""A show is made whole from the ledger and what survived: nothing is sold twice, no order is lost, twice is once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, delete

from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.inventory.rebuild import LIFE
from server.ledger.tables import entries, order_changes, order_lines, orders, payments
from server.shows.drops import Drops
from server.shows.shows import Shows
from server.store.keys import key
from tests.deadlines import end_lease
from tests.houses import live_show, numbers, open_drop
from tests.workers.lossy import Lossy, lossy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

UNITS = 6


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Lossy]:
    async with lossy(tmp_path) as one:
        yield one


async def selling(store: Lossy) -> tuple[str, str]:
    """Make a live show with a drop of which two units are paid; both stand in the ledger."""
    show = await live_show(store.house, limit_per_viewer=20)
    drop = await open_drop(store.house, show, UNITS)
    await store.bought(show, drop, "ann")
    await store.bought(show, drop, "bob")
    await store.recorded(show)
    return show, drop


async def dump(store: Lossy, show: str) -> dict[str, bytes | None]:
    """Return what a rebuild is about: a show's terms, numbers and holds, without what counts its changes."""
    found: dict[str, bytes | None] = {}
    for name in ("drops", "holds", "mine", "awards", "numbers", "orders", "waiting"):
        found[name] = await store.house.client.dump(key(name, show=show))
    return found


async def test_everything_is_lost(store: Lossy) -> None:
    """After a flush the show is made anew from the ledger, with what is left of it, and exactly that can be sold."""
    show, drop = await selling(store)
    await store.lose_all()
    report = await store.rebuilt(show)
    assert await numbers(store.house, show, drop) == (UNITS - 2, 0, 2)
    assert (report.status, report.short, report.notes) == ("live", {}, [])
    view, host = await store.house.shows.find(show)
    assert (host, view["title"], view["currency"], view["status"]) == ("host", "A test", "EUR", "live")
    assert await store.differences(show) == []
    assert await store.sell_out(show, drop) == UNITS - 2
    assert await store.sold_units(drop, show) == UNITS
    await store.all_there()
    assert await store.differences(show) == []


async def test_a_naive_reopening_would_oversell(store: Lossy) -> None:
    """The control: a show that is only made again under its id sells all of its units a second time."""
    show, drop = await selling(store)
    terms = (await store.house.drops.find(show, drop)) | {"quantity": UNITS}
    await store.lose_all()
    await store.house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    await store.house.shows.move(show, "start")
    names = ("sku", "title", "unit_price", "currency", "limit_per_viewer", "hold_seconds", "mode", "waitlist")
    await store.house.drops.create(show, drop, {name: terms[name] for name in names}, UNITS)
    await store.house.drops.open(show, drop)
    assert await store.sell_out(show, drop) == UNITS
    assert await store.sold_units(drop, show) == UNITS + 2, "two units are sold twice"
    assert any("sold is" in line for line in await store.differences(show))


async def test_an_older_copy_is_restored(store: Lossy) -> None:
    """What was sold and restocked after the copy was made is known again; holds of the copy that fit are kept."""
    show, drop = await selling(store)
    kept = await store.held(show, drop, "cleo")
    copy = await store.copy()
    await store.bought(show, drop, "dan", 2)
    await store.house.drops.restock(show, drop, 1)
    await store.recorded(show)
    await store.restore(copy)
    assert await numbers(store.house, show, drop) == (UNITS - 3, 1, 2)
    report = await store.rebuilt(show)
    assert await numbers(store.house, show, drop) == (UNITS + 1 - 5, 1, 4)
    [rebuilt] = report.drops
    assert (rebuilt.source, [sale.viewer for sale in rebuilt.plan.sales]) == ("ledger", ["dan"])
    assert isinstance(await store.house.checkout.pay(store.request(show, "cleo", kept)), Paid)
    assert await store.sell_out(show, drop) == UNITS + 1 - 5
    assert await store.sold_units(drop, show) == UNITS + 1
    await store.all_there()
    assert await store.differences(show) == []


async def test_a_second_rebuild_changes_nothing(store: Lossy) -> None:
    """Repeated, it finds what it made: the same numbers, holds, terms and award log, and the same report."""
    show, drop = await selling(store)
    await store.lose_all()
    first = await store.rebuilt(show)
    before, counted = await dump(store, show), await numbers(store.house, show, drop)
    second = await store.rebuilt(show)
    assert await dump(store, show) == before
    assert await numbers(store.house, show, drop) == counted
    assert second.epoch != first.epoch
    assert [each.plan.sales for each in second.drops] == [[]]
    assert (second.short, second.notes, second.resumed) == ({}, [], [])


@pytest.mark.parametrize(("room", "cut", "done"), [(Drops, "rebuild", 1), (Shows, "thaw", 0)])
async def test_a_rebuild_that_is_cut_off(
    store: Lossy, monkeypatch: pytest.MonkeyPatch, room: type, cut: str, done: int
) -> None:
    """After one of two drops, or before the thaw: it stays frozen, and the next one makes it whole."""
    show, drop = await selling(store)
    other = await open_drop(store.house, show, 2)
    await store.recorded(show)
    await store.lose_all()
    step, left = getattr(room, cut), [None] * done

    async def broken(*asked: Any, **named: Any) -> Any:
        if not left:
            raise ConnectionResetError
        left.pop()
        return await step(*asked, **named)

    with monkeypatch.context() as cutting:
        cutting.setattr(room, cut, broken)
        with pytest.raises(ConnectionResetError):
            await store.rebuilt(show)
    await store.house.recorder().record(show)
    assert await store.house.shows.frozen(show)
    assert isinstance(await store.house.holds.reserve(show, "cleo", "op", drop, 1), Problem)
    await store.rebuilt(show)
    assert await numbers(store.house, show, drop) == (UNITS - 2, 0, 2)
    assert await numbers(store.house, show, other) == (2, 0, 0)
    await store.recorded(show)
    assert not await store.house.shows.frozen(show)
    assert await store.differences(show) == []


async def test_it_stays_paused_until_the_host_resumes(store: Lossy) -> None:
    """Without being told to open it, nothing can be taken; the host resumes it like any paused show."""
    show, drop = await selling(store)
    await store.lose_all()
    report = await store.rebuilt(show, reopen=False)
    assert report.status == "paused"
    refused = await store.house.holds.reserve(show, "cleo", "op", drop, 1)
    assert isinstance(refused, Problem)
    assert refused.code is Code.SHOW_NOT_LIVE
    await store.house.shows.move(show, "resume")
    assert isinstance(await store.house.holds.reserve(show, "cleo", "op", drop, 1), Held)


async def test_award_numbers_go_on_above_all_that_were(store: Lossy) -> None:
    """No award after the loss has a number that one before it may have had, and the chain says where it was rebuilt."""
    show, drop = await selling(store)
    await store.lose_all()
    await store.rebuilt(show)
    first = await store.house.holds.reserve(show, "cleo", "op", drop, 1)
    assert isinstance(first, Held)
    assert first.rank % LIFE == 3  # the two that the ledger knows have numbers anew
    assert first.rank > LIFE
    assert await store.differences(show) == []


async def test_award_numbers_of_all_lives_differ(store: Lossy) -> None:
    """Lost twice, and put back to a copy of before both: no number that anybody was given is given again."""
    show, drop = await selling(store)
    copy, given = await store.copy(), []
    losses: list[Callable[[], Awaitable[None]]] = [
        store.lose_all,
        store.lose_all,
        partial(store.restore, copy),
    ]
    for number, lose in enumerate(losses):
        await lose()
        await store.rebuilt(show)
        held = await store.house.holds.reserve(show, f"cleo-{number}", "op", drop, 1)
        assert isinstance(held, Held)
        given.append(held.rank)
        await store.recorded(show)
    assert len(set(given)) == 3, given
    assert given == sorted(given)
    assert await store.differences(show) == []


async def test_more_is_sold_than_there_is(store: Lossy) -> None:
    """Orders without units are named, written down and told once; nothing can be taken until enough came back."""
    show, drop = await selling(store)
    copy = await store.copy()
    first = await store.sell_out(show, drop)
    await store.restore(copy)
    second = await store.sell_out(show, drop, "double")
    assert first == second == UNITS - 2, "the promoted store sold them again, as nobody had frozen it"
    report = await store.rebuilt(show)
    assert sum(report.short.values()) == UNITS - 2
    assert set(report.short) == set(store.paid[-(UNITS - 2) :]), "who bought last goes without"
    view = await store.house.drops.find(show, drop)
    assert (view["available"], view["sold"], view["quantity"]) == (0, 2 * UNITS - 2, UNITS)
    assert (await store.rebuilt(show)).short == report.short
    for order in report.short:
        found = await store.house.orders.detail(order)
        assert found is not None
        assert [change["details"] for change in found.history if change["by"] == "rebuild"] == [
            {"missing": 1}
        ]
    refused = await store.house.holds.reserve(show, "zoe", "op", drop, 1)
    assert isinstance(refused, Problem)
    assert refused.code is Code.OUT_OF_STOCK
    await store.house.drops.restock(show, drop, UNITS - 1)
    assert await numbers(store.house, show, drop) == (1, 0, 2 * UNITS - 2)
    assert await store.differences(show) == []


async def test_an_order_whose_money_had_not_moved(store: Lossy) -> None:
    """Sold, committed, and its capture unknown when all is lost: a worker goes on with it, and captures once."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, UNITS)
    reservation = await store.held(show, drop, "ann")
    request = store.request(show, "ann", reservation, card="tok_capture_fails_once")
    assert isinstance(await store.house.checkout.pay(request), Pending)
    await store.recorded(show)
    await store.lose_all()
    report = await store.rebuilt(show)
    assert report.resumed == [request.order]
    assert await store.house.checkout.resume(show) == 1
    store.paid.append(request.order)
    await store.all_there()
    assert (await store.rebuilt(show)).resumed == []
    payment = await store.house.methods.provider("sandbox").find(request.order)
    assert payment is not None
    assert (payment.captured, payment.amount) == (1250, 1250)
    assert await store.differences(show) == []


async def test_an_order_that_the_copy_has_before_its_sale(store: Lossy) -> None:
    """Where the copy knows it as authorized and the ledger as sold, it is not voided: it is sold, and settled."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, UNITS)
    request = store.request(show, "ann", await store.held(show, drop, "ann"), card="tok_timeout_then_ok")
    assert isinstance(await store.house.checkout.pay(request), Pending)
    copy = await store.copy()
    await end_lease(store.house.client, show, request.order)
    assert await store.house.checkout.resume(show) == 1
    store.paid.append(request.order)
    await store.all_there()
    await store.restore(copy)
    assert await numbers(store.house, show, drop) == (UNITS - 1, 1, 0)
    report = await store.rebuilt(show)
    assert report.resumed == [request.order]
    assert await numbers(store.house, show, drop) == (UNITS - 1, 0, 1)
    await store.house.checkout.resume(show)
    await store.all_there()
    assert await store.differences(show) == []


async def test_a_drop_that_only_its_orders_tell_of(store: Lossy) -> None:
    """Opened and sold within the second before the loss: nothing can be rebuilt of it, and that is said."""
    show = await live_show(store.house)
    await store.recorded(show)
    drop = await open_drop(store.house, show, UNITS)
    await store.bought(show, drop, "ann", 2)
    await store.lose_all()
    report = await store.rebuilt(show)
    assert report.notes == [f"drop {drop} is lost: all that the ledger has of it are 2 sold units"]
    assert report.drops == []


async def test_sold_in_the_store_alone(store: Lossy) -> None:
    """A unit that the store says is sold, and of which the ledger knows nothing, stays sold and is named."""
    show, drop = await selling(store)
    order = store.paid[-1]
    await store.house.ledger.write(lambda connection: forget(connection, order))
    report = await store.rebuilt(show)
    assert len(report.notes) == 1
    assert "is sold in the store, and the ledger has no order for it" in report.notes[0]
    assert await numbers(store.house, show, drop) == (UNITS - 2, 0, 2)


async def test_a_show_that_nobody_knows(store: Lossy) -> None:
    """There is nothing to rebuild it from."""
    with pytest.raises(Problem, match="There is no show"):
        await store.rebuilt("sh_nowhere")


async def test_figures_are_those_of_the_ledger(store: Lossy) -> None:
    """What the show earned is counted anew."""
    show, _drop = await selling(store)
    await store.lose_all()
    await store.rebuilt(show)
    figures = await store.house.shows.figures(show)
    assert (figures["orders"], figures["units_sold"], figures["gmv"]) == (2, 2, 2500)


async def test_terms_are_as_they_were(store: Lossy) -> None:
    """Limits, holds, times, pictures and options of a drop come back; so do the show's pins, its run and its video."""
    show = await live_show(store.house, locale="de", limit_per_viewer=7)
    terms = {"limit_per_address": 3, "image": "https://a.test/b.png", "options": {"Size": "L"}}
    drop = await open_drop(store.house, show, UNITS, closes_at=4_000_000_000_000, **terms)
    later = await open_drop(store.house, show, UNITS, waves=[{"quantity": 2}, {"quantity": 3}])
    await store.house.drops.wave(show, later)
    await store.house.shows.pin(show, [{"sku": "MUG", "title": "Mug"}])
    await store.house.shows.arrange(show, [later, drop])
    await store.house.shows.film(show, "https://video.example/a.m3u8")
    await store.recorded(show)
    before = [await store.house.drops.find(show, each) for each in (drop, later)]
    seen, _host = await store.house.shows.find(show)
    await store.lose_all()
    await store.rebuilt(show)
    after = [await store.house.drops.find(show, each) for each in (drop, later)]
    assert [{**view, "revision": 0} for view in after] == [{**view, "revision": 0} for view in before]
    assert (await store.house.shows.find(show))[0] == seen
    assert (seen["run"], seen["video_url"]) == ([later, drop], "https://video.example/a.m3u8")
    assert await store.house.shows.pinned(show) == [{"sku": "MUG", "title": "Mug"}]


def forget(connection: Connection, order: str) -> None:
    """Take an order out of the ledger, as where that was restored from an older copy."""
    for table in (entries, order_changes, payments, order_lines):
        connection.execute(delete(table).where(table.c.order_id == order))
    connection.execute(delete(orders).where(orders.c.id == order))
