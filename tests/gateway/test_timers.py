"""Looks are spread and never forgotten; deadlines are met once, in place of earlier ones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from server.gateway import timers as module
from server.gateway.timers import PERIOD_SECONDS, SLOTS, Timers
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Watched:
    """A connection that counts how often it is called."""

    def __init__(self) -> None:
        self.slot = self.due = self.looks = self.calls = 0

    def look(self) -> None:
        self.looks += 1

    def overdue(self) -> None:
        self.calls += 1


def watched(timers: Timers, count: int) -> list[Any]:
    """Keep some connections."""
    sockets: list[Any] = [Watched() for _ in range(count)]
    for socket in sockets:
        timers.keep(socket)
    return sockets


@asynccontextmanager
async def running(timers: Timers) -> AsyncIterator[None]:
    """Let the timers run."""
    task = asyncio.create_task(timers.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the ticks a hundred times shorter."""
    monkeypatch.setattr(module, "TICK_SECONDS", 0.0025)


def test_a_dead_peer_is_gone_within_forty_seconds() -> None:
    """Three looks: the last sign of life is forgotten, the ping goes out, its answer has not come."""
    assert 3 * PERIOD_SECONDS <= 40


def test_connections_are_spread_over_the_period() -> None:
    """However many arrive at once, a tick looks at its share of them only."""
    timers = Timers()
    watched(timers, SLOTS * 5)
    assert {len(slot) for slot in timers._slots} == {5}


@pytest.mark.usefixtures("quick")
async def test_everybody_is_looked_at_once_per_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over two periods each connection has its two looks, and a forgotten one has none."""
    monkeypatch.setattr(module, "LATE_TICKS", 10**9)  # pauses are another claim's
    timers = Timers()
    sockets = watched(timers, SLOTS + 7)
    gone = sockets.pop()
    timers.forget(gone)
    async with running(timers):
        await wait_for(lambda: all(socket.looks >= 2 for socket in sockets), "two looks each")
    assert max(socket.looks for socket in sockets) <= min(socket.looks for socket in sockets) + 1
    assert gone.looks == 0
    assert timers.count == len(sockets) == len(timers.everybody())


@pytest.mark.usefixtures("quick")
async def test_a_deadline_in_a_pause_of_ours_is_put_off_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer has sent in time is read first; whoever has sent nothing meets it later, pause or not."""
    monkeypatch.setattr(module, "SPARED_SECONDS", 3600.0)
    timers = Timers()
    one, other = watched(timers, 2)
    for socket in (one, other):
        timers.deadline(socket, 0.0)
    timers._ticks -= module.LATE_TICKS + 10  # as if nothing had run for so long
    async with running(timers):
        await wait_for(lambda: len(timers._spared) == 2, "both are put off")
    assert (one.calls, other.calls) == (0, 0)
    timers.call_off(one)  # its hello was there
    timers._deadlines[timers._ticks + 1] = timers._deadlines.pop(other.due)
    timers._ticks -= module.LATE_TICKS + 10
    async with running(timers):
        await wait_for(lambda: other.calls == 1, "the other has had its time")
    assert one.calls == 0
    assert not timers._spared


@pytest.mark.usefixtures("quick")
async def test_a_deadline_is_met_once_and_the_latest_counts() -> None:
    """One deadline per connection: a new one replaces it, calling off and forgetting take it back."""
    timers = Timers()
    kept, moved, off, gone = watched(timers, 4)
    for socket in (kept, moved, off, gone):
        timers.deadline(socket, 0.01)
    timers.deadline(moved, 3600)
    timers.call_off(off)
    timers.forget(gone)
    last = watched(timers, 1)[0]
    timers.deadline(last, 0.05)
    async with running(timers):
        await wait_for(lambda: last.calls == 1, "the last deadline")
    assert [socket.calls for socket in (kept, moved, off, gone, last)] == [1, 0, 0, 0, 1]
    timers.forget(moved)
    assert timers._deadlines == {}


@pytest.mark.usefixtures("quick")
async def test_a_deadline_may_set_the_next_one() -> None:
    """Who is called may ask to be called again, as a token that was renewed meanwhile does."""

    class Again(Watched):
        def overdue(self) -> None:
            super().overdue()
            if self.calls < 3:
                timers.deadline(self, 0.0)  # type: ignore[arg-type]  # a stand-in

    timers, again = Timers(), Again()
    timers.keep(again)  # type: ignore[arg-type]  # a stand-in
    timers.deadline(again, 0.0)  # type: ignore[arg-type]  # a stand-in
    async with running(timers):
        await wait_for(lambda: again.calls == 3, "three calls")
