"""Turns: who gets one and in which order, who is refused, and that none is ever lost. No store, no clock."""

from __future__ import annotations

import asyncio

import pytest

from server.checkout.turns import SILENCE_SECONDS, Line, Turns
from server.errors import Code, Problem, unavailable
from tests.waiting import wait_for


class Crowd:
    """Some who want turns: each notes its name when it has one, and keeps it until it may go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.leave = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, *names: str, begun: bool) -> None:
        """Let them come one after the other."""
        line = self.turns.next if begun else self.turns.first
        for name in names:
            self.tasks.append(asyncio.create_task(self._want(line, name)))

    async def _want(self, line: Line, name: str) -> None:
        async with line:
            self.served.append(name)
            await self.leave.wait()

    async def in_line(self, first: int, following: int) -> None:
        """Wait until so many are in the two lines."""
        await wait_for(
            lambda: (len(self.turns.first), len(self.turns.next)) == (first, following), "the lines stand"
        )

    async def all_go(self, after: int = 0) -> None:
        """Let everybody come to their end, but the first few, who have gone."""
        self.leave.set()
        await asyncio.gather(*self.tasks[after:])


async def test_who_has_begun_goes_first_and_whoever_came_first_before_others() -> None:
    """Within each line the order is that of arrival, and the line of who has begun is served before the other."""
    crowd = Crowd(Turns(at_once=2))
    crowd.come("a", "b", "new-1", "new-2", begun=False)
    await crowd.in_line(2, 0)
    crowd.come("begun-1", "begun-2", "begun-3", begun=True)
    await crowd.in_line(2, 3)
    assert (crowd.served, crowd.turns.free) == (["a", "b"], 0)
    await crowd.all_go()
    assert crowd.served == ["a", "b", "begun-1", "begun-2", "begun-3", "new-1", "new-2"]
    assert crowd.turns.free == 2


async def test_never_more_at_once() -> None:
    """Of any number never more than the turns are at it at the same moment, and in the end all have been."""
    turns, at_it, most = Turns(at_once=4), 0, 0

    async def work(number: int) -> None:
        nonlocal at_it, most
        async with turns.next if number % 3 else turns.first:
            at_it += 1
            most = max(most, at_it)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            at_it -= 1

    await asyncio.gather(*(work(number) for number in range(200)))
    assert (most, at_it, turns.free) == (4, 0, 4)


async def test_too_many_who_would_begin_are_told_when_to_come_back() -> None:
    """Beyond the bound a newcomer hears `unavailable` with a time, at once; who has begun waits all the same."""
    crowd = Crowd(Turns(at_once=1, waiting=3))
    crowd.come("a", "b", "c", "d", begun=False)
    await crowd.in_line(3, 0)
    with pytest.raises(Problem) as refused:
        async with crowd.turns.first:
            pytest.fail("it was let in")
    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.extras["retry_after_ms"] > 0
    assert refused.value.detail == "3 checkouts wait here already; nothing was done."
    crowd.come("begun", begun=True)
    await crowd.in_line(3, 1)
    await crowd.all_go()
    assert (crowd.served[1], len(crowd.served), crowd.turns.free) == ("begun", 5, 1)


async def test_a_turn_comes_back_from_who_fails() -> None:
    """What goes wrong in a turn is its owner's matter: the next one gets it."""
    turns = Turns(at_once=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with turns.next:
                raise RuntimeError("it broke")
    assert turns.free == 1


class Silent:
    """A store that lets two wait until they are told that it does not answer; the time is what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.turns = Turns(at_once=2)
        self.crowd = Crowd(self.turns)
        self.given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr("server.checkout.turns.monotonic", lambda: self.now)

    async def give_up(self) -> None:
        """Ask in a turn; in the end it is not known what came of it."""
        async with self.turns.next:
            await self.given_up
            raise unavailable("no answer in time")

    async def while_others_wait(self) -> asyncio.Task[None]:
        """Let one be asked who hears nothing, another who does, and behind them one of each kind wait."""
        asking = asyncio.create_task(self.give_up())
        self.crowd.come("answered", begun=True)
        self.crowd.come("new", begun=False)
        self.crowd.come("begun", begun=True)
        await self.crowd.in_line(1, 1)
        return asking


async def test_a_silent_store_keeps_nobody_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a turn fails and nobody was answered in 2.5 s, all who wait hear `unavailable`; the turn itself is free."""
    store = Silent(monkeypatch)
    asking = await store.while_others_wait()
    store.now += SILENCE_SECONDS
    store.given_up.set_result(None)
    _, _, *waited = await asyncio.gather(
        asking, asyncio.wait(store.crowd.tasks[1:]), *store.crowd.tasks[1:], return_exceptions=True
    )
    assert [str(each) for each in waited] == ["The store does not answer; nothing was done."] * 2
    await store.crowd.all_go(after=3)
    await store.crowd.tasks[0]
    assert (store.crowd.served, store.turns.free) == (["answered"], 2)


@pytest.mark.parametrize("silence", [0.0, SILENCE_SECONDS - 0.1])
async def test_a_failure_among_answers_sends_nobody_away(
    monkeypatch: pytest.MonkeyPatch, silence: float
) -> None:
    """Where the store has just answered somebody, what fails is one turn's own matter: who waits gets it."""
    store = Silent(monkeypatch)
    store.now += 1000
    asking = await store.while_others_wait()
    store.now += silence
    store.given_up.set_result(None)
    with pytest.raises(Problem):
        await asking
    await store.crowd.all_go()
    assert (store.crowd.served, store.turns.free) == (["answered", "begun", "new"], 2)


async def who_leaves_keeps_no_turn(turns: Turns) -> None:
    """Assert that a turn goes on to the next from who left while it waited, or in the moment in which it was called."""
    crowd = Crowd(turns)
    crowd.come("waits", "called", "last", begun=True)

    async def owner() -> None:
        async with turns.next:
            await crowd.in_line(0, 3)
            crowd.tasks[0].cancel()
            await crowd.in_line(0, 2)
        crowd.tasks[1].cancel()  # it has the turn, and has not run since

    try:
        await owner()
        await asyncio.wait(crowd.tasks[:2])
        assert not len(turns.next), "nobody was called"
        await crowd.all_go(after=2)
        assert (crowd.served, turns.free) == (["last"], 1)
    finally:
        crowd.tasks[2].cancel()


async def test_who_leaves_keeps_no_turn() -> None:
    """A caller that goes away while it waits, or in the moment in which it is called, takes no turn with it."""
    await who_leaves_keeps_no_turn(Turns(at_once=1))


class Keeping(Line):
    """A line in which a turn goes with whoever was called and has left."""

    async def __aenter__(self) -> None:
        if not self._turns.take():
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                raise


async def test_a_turn_that_goes_with_its_owner_is_found() -> None:
    """Negative control: the same check, on a line that does not mind who leaves."""
    turns = Turns(at_once=1)
    turns.next = Keeping(turns)
    with pytest.raises(AssertionError, match="nobody was called"):
        await who_leaves_keeps_no_turn(turns)
