"""The published log of a draw: read whole whatever its length, kept for a moment, never staler than the drop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import UNSET

from server.errors import Code, Problem
from server.inventory import draw_log
from server.inventory.draw_log import Draw, Draws
from server.store.keys import key
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from server.house import House


async def log_of(draws: Draws, show: str, drop: str) -> Draw:
    """Return a draw's log."""
    return msgspec.json.decode(await draws.published(show, drop), type=Draw)


async def entered(house: House, show: str, drop: str, *viewers: str) -> None:
    """Let viewers enter one by one: a note of the award log each."""
    for viewer in viewers:
        await house.waitlist.join(show, viewer, f"enter {drop}", drop, 1)


@pytest.mark.parametrize("notes", [1, 2, 3, 7, 8, 50])
async def test_the_log_is_read_to_its_end(house: House, monkeypatch: pytest.MonkeyPatch, notes: int) -> None:
    """However many notes a read takes, and whatever other drops have between them: every entry once, in order."""
    monkeypatch.setattr(draw_log, "NOTES_PER_READ", notes)
    show = await live_show(house)
    drop, other = [await open_drop(house, show, 1, mode="draw") for _ in range(2)]
    for number in range(7):
        await entered(house, show, drop, f"viewer-{number}")
        await entered(house, show, other, f"viewer-{number}")
    log = await log_of(Draws(house.client), show, drop)
    assert [entry.n for entry in log.entries] == list(range(1, 8))
    assert len({entry.entry for entry in log.entries}) == 7


async def test_an_open_log_is_kept_for_a_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again gets what was read a moment ago; once that is over, it is read anew."""
    show = await live_show(house)
    drop, draws = await open_drop(house, show, 1, mode="draw"), Draws(house.client)
    await entered(house, show, drop, "ann")
    assert len((await log_of(draws, show, drop)).entries) == 1
    await entered(house, show, drop, "bob")
    assert len((await log_of(draws, show, drop)).entries) == 1
    monkeypatch.setattr(draw_log, "OPEN_SECONDS", 0.0)
    fresh = Draws(house.client)
    for viewer, entries in (("cyd", 3), ("dan", 4)):
        await entered(house, show, drop, viewer)
        assert len((await log_of(fresh, show, drop)).entries) == entries


async def test_a_closed_draw_is_never_shown_as_open(house: House) -> None:
    """The kept log ends with the drop's state: right after the closing there are the seed and the winners."""
    show = await live_show(house)
    drop, draws = await open_drop(house, show, 1, mode="draw"), Draws(house.client)
    await entered(house, show, drop, "ann", "bob")
    assert not (await log_of(draws, show, drop)).drawn
    closed = await house.drops.close(show, drop)
    log = await log_of(draws, show, drop)
    assert (log.drawn, log.seed, len(log.winners)) == (True, closed["seed"], 1)


async def test_a_draw_is_not_drawn_before_its_last_winner(house: House) -> None:
    """More winners than one step serves: until the worker has been there, the log says that it is not drawn yet."""
    show = await live_show(house)
    drop, draws = await open_drop(house, show, 400, mode="draw"), Draws(house.client)
    joins = (house.waitlist.join(show, f"viewer-{n}", "op", drop, 1) for n in range(300))
    await asyncio.gather(*joins)
    await house.drops.close(show, drop)
    before = await log_of(draws, show, drop)
    assert (before.drawn, len(before.winners)) == (False, 256)
    await house.sweeper()._tick(show)
    after = await log_of(draws, show, drop)
    assert (after.drawn, len(after.winners)) == (True, 300)
    assert after.winners[:256] == before.winners


async def test_a_log_is_that_of_one_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the drop closes while its notes are read, the log is that of the open draw: no winner without the seed."""
    show = await live_show(house)
    drop, draws = await open_drop(house, show, 1, mode="draw"), Draws(house.client)
    await entered(house, show, drop, "ann", "bob")
    head = draws._head

    async def overtaken(show: str, drop: str) -> tuple[Draw, int, str]:
        found = await head(show, drop)
        await entered(house, show, drop, "cyd")
        await house.drops.close(show, drop)
        return found

    monkeypatch.setattr(draws, "_head", overtaken)
    log = await log_of(draws, show, drop)
    assert (log.status, log.seed, len(log.entries), log.winners) == ("open", UNSET, 2, [])
    monkeypatch.undo()
    after = await log_of(draws, show, drop)
    assert (after.status, len(after.entries), len(after.winners)) == ("closed", 3, 1)


async def test_a_long_log_holds_up_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one draw is read, another is answered; who asks for the same one waits and gets what was read."""
    show = await live_show(house)
    long, other = [await open_drop(house, show, 1, mode="draw") for _ in range(2)]
    draws, reading, goes_on = Draws(house.client), asyncio.Event(), asyncio.Event()
    add, reads = draws._add_notes, 0

    async def slowly(draw: Draw, *where: Any) -> None:
        nonlocal reads
        if draw.drop == long:
            reads += 1
            reading.set()
            await goes_on.wait()
        await add(draw, *where)

    monkeypatch.setattr(draws, "_add_notes", slowly)
    asked = [asyncio.create_task(log_of(draws, show, long)) for _ in range(3)]
    await reading.wait()
    async with asyncio.timeout(10):
        assert (await log_of(draws, show, other)).drop == other
    goes_on.set()
    assert [log.drop for log in await asyncio.gather(*asked)] == [long] * 3
    assert (reads, len(draws._reading)) == (1, 0)


async def test_few_logs_are_kept(house: House) -> None:
    """Reading one more than are kept lets the one go that was asked for longest ago."""
    show, draws = await live_show(house), Draws(house.client)
    drops = [await open_drop(house, show, 1, mode="draw") for _ in range(draw_log.MOST_KEPT + 1)]
    for drop in [*drops[:-1], drops[0], drops[-1]]:
        await log_of(draws, show, drop)
    assert set(draws._kept) == {drops[0], *drops[2:]}


async def test_what_is_gone_is_not_shown_from_memory(house: House) -> None:
    """A drop that the store has forgotten is 404, whatever is kept of it."""
    show = await live_show(house)
    drop, draws = await open_drop(house, show, 1, mode="draw"), Draws(house.client)
    await log_of(draws, show, drop)
    await house.client.hdel(key("drops", show=show), drop)
    with pytest.raises(Problem) as caught:
        await draws.published(show, drop)
    assert caught.value.code is Code.NOT_FOUND
