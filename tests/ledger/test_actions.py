"""The trail of actions on real databases: in order, once, bounded, and nobody waits for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from server import metrics
from server.errors import unavailable
from server.ledger import actions as module
from server.ledger.actions import Action, Actions
from server.ledger.tables import actions
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest

    from server.ledger.database import Ledger

ONE = Action(1_700_000_000_000, "hanna", "host", "sh_1", "drop_open", "dr_1_a", "ok", "req-1")


@asynccontextmanager
async def running(trail: Actions) -> AsyncIterator[None]:
    task = asyncio.create_task(trail.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(trail: Actions, count: int) -> list[Action]:
    """Return a show's rows, oldest first, once there are so many."""
    found: list[Action] = []

    async def there() -> bool:
        found[:] = [action for _number, action in await trail.of_show("sh_1", 10_000, None)][::-1]
        return len(found) >= count

    await wait_for(there, f"{count} rows are written")
    return found


def lost() -> float:
    value: float = metrics.ACTIONS_LOST._value.get()
    return value


class Sluggish:
    """A ledger whose writes fail as the test says: before they are written, or after it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.failures: list[str] = []
        self.held: asyncio.Event | None = None

    async def write(self, work: Callable[[Any], Any]) -> None:
        if self.held is not None:
            await self.held.wait()
        failure = self.failures.pop() if self.failures else ""
        if failure != "before":
            await self.ledger.write(work)
        if failure:
            raise unavailable("the ledger is away")

    async def read(self, work: Callable[[Any], Any]) -> Any:
        return await self.ledger.read(work)


async def test_rows_are_written_in_their_order(ledger: Ledger) -> None:
    """What was noted is there with all its fields, also those that say nothing, oldest first."""
    trail = Actions(ledger)
    told = [ONE, replace(ONE, object=None, request=None, outcome="not-allowed"), replace(ONE, role="service")]
    async with running(trail):
        for each in told:
            trail.note(each)
        trail.note(replace(ONE, show=None))
        trail.note(replace(ONE, show="sh_2"))
        assert await until(trail, 3) == told


async def test_they_are_listed_in_pages(sqlite_ledger: Ledger) -> None:
    """Newest first, and on from any number: no row twice, none left out."""
    trail = Actions(sqlite_ledger)
    for at in range(25):
        trail.note(replace(ONE, at=at))
    await trail.leave()
    seen: list[int] = []
    before = None
    while page := await trail.of_show("sh_1", 10, before):
        seen += [action.at for _number, action in page]
        before = page[-1][0]
    assert seen == list(range(24, -1, -1))


async def test_a_ledger_that_is_away_costs_nobody_anything(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows wait until it is back and are written once each, in order, whether or not a lost answer was a yes."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    slow = Sluggish(sqlite_ledger)
    slow.failures = ["after", "before", "after"]
    trail = Actions(slow)  # type: ignore[arg-type]  # a stand-in
    told = [replace(ONE, at=at) for at in range(300)]
    async with running(trail):
        for each in told:
            trail.note(each)
        assert await until(trail, 300) == told
        await wait_for(lambda: not slow.failures, "every failure was met")
    assert await sqlite_ledger.read(lambda one: one.scalar(select(func.count()).select_from(actions))) == 300


async def test_a_write_without_a_name_would_come_twice(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: with a fresh name for each try the same check finds the row twice."""

    def careless(rows: Any, connection: Any) -> None:
        original([(f"{name} {id(connection)} {next(tries)}", action) for name, action in rows], connection)

    original, tries = module._insert, iter(range(100))
    monkeypatch.setattr(module, "_insert", careless)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    slow = Sluggish(sqlite_ledger)
    slow.failures = ["after"]
    trail = Actions(slow)  # type: ignore[arg-type]  # a stand-in
    async with running(trail):
        trail.note(ONE)
        assert await until(trail, 2) == [ONE, ONE]


async def test_what_finds_no_room_is_counted(sqlite_ledger: Ledger) -> None:
    """The queue is bounded: `note` never waits, the newest are lost and counted, the others are written."""
    slow = Sluggish(sqlite_ledger)
    slow.held = asyncio.Event()
    trail, before = Actions(slow, most=3), lost()  # type: ignore[arg-type]  # a stand-in
    async with running(trail):
        for at in range(5):
            trail.note(replace(ONE, at=at))
        assert lost() - before == 2
        slow.held.set()
        assert [each.at for each in await until(trail, 3)] == [0, 1, 2]


async def test_a_row_that_cannot_be_written_costs_itself(ledger: Ledger) -> None:
    """What no database takes (a bug) is counted as lost; those before and behind it are written."""
    trail, before = Actions(ledger), lost()
    async with running(trail):
        for verb in ("first", "bad \ud800", "last"):
            trail.note(replace(ONE, verb=verb))
        assert [each.verb for each in await until(trail, 2)] == ["first", "last"]
    assert lost() - before == 1


async def test_the_rest_is_written_at_the_end(sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving writes what waits; what no ledger takes in time is given up and counted, and nothing is raised."""
    trail = Actions(sqlite_ledger)
    trail.note(ONE)
    await trail.leave()
    assert await until(trail, 1) == [ONE]
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.01)
    slow = Sluggish(sqlite_ledger)
    slow.held = asyncio.Event()
    stuck, before = Actions(slow), lost()  # type: ignore[arg-type]  # a stand-in
    stuck.note(ONE)
    await stuck.leave()
    assert lost() - before == 1
