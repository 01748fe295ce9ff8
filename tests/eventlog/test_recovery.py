"""Joining: many share one look, each gets their own, and everybody gets exactly one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from structlog.testing import capture_logs

from server import ids
from server.errors import Code, Problem, unavailable
from server.eventlog import recovery, stream
from server.eventlog.recovery import NOTHING, Joins, Look, Own
from server.inventory.outcomes import Held, Waiting
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.houses import live_show, open_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.house import House
    from server.store.scripts import Scripts

NONE = Own(b"\x90", b"\x90")  # two empty lists
Answer = tuple[str, Look | Problem, Own]


class Gate:
    """Stands before the scripts: counts the calls and who shared each, and holds them while it is shut."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self.calls: list[list[str]] = []
        self.asked: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, name: str, places: dict[str, str], /, **args: Any) -> Any:
        self.calls.append(args["viewers"])
        self.asked.append(args["snapshot"])
        await self.open.wait()
        return await self._scripts.run(name, places, **args)


class Desk:
    """Joins viewers and keeps what they are answered, in that order."""

    def __init__(self, scripts: Scripts) -> None:
        self.gate = Gate(scripts)
        self.joins = Joins(self.gate)  # type: ignore[arg-type]  # stands in for the scripts
        self.answers: list[Answer] = []

    def ask(self, show: str, *viewers: str, snapshot: bool = False) -> None:
        """Ask for viewers who keep their answers."""
        for viewer in viewers:
            self.joins.ask(show, viewer, snapshot=snapshot, then=self.keep(viewer))

    def keep(self, viewer: str) -> Callable[[Look | Problem, Own], None]:
        """Return the `then` of one viewer."""
        return lambda seen, own: self.answers.append((viewer, seen, own))

    async def answered(self, count: int) -> list[Answer]:
        """Wait for this many answers in all, and a moment for one too many."""
        await wait_for(lambda: len(self.answers) >= count, f"{count} are answered")
        await asyncio.sleep(0)
        assert len(self.answers) == count
        return self.answers


@pytest.fixture
async def desk(house: House) -> Desk:
    return Desk(house.scripts)


def names(count: int, first: int = 0) -> list[str]:
    return [f"viewer-{number}" for number in range(first, first + count)]


def codes(answers: list[Answer]) -> set[Code | None]:
    return {seen.code if isinstance(seen, Problem) else None for _viewer, seen, _own in answers}


async def test_whoever_comes_meanwhile_shares_the_next_look(house: House, desk: Desk) -> None:
    """One look at a time, at most 128 share it, in the order of arrival; and all are answered in that order."""
    show = await live_show(house)
    desk.gate.open.clear()
    desk.ask(show, *names(3))
    await wait_for(lambda: len(desk.gate.calls) == 1, "the first look is on its way")
    desk.ask(show, *names(300, first=3))
    await asyncio.sleep(0)
    assert len(desk.gate.calls) == 1
    desk.gate.open.set()
    answers = await desk.answered(303)
    assert [len(call) for call in desk.gate.calls] == [3, 128, 128, 44]
    assert [viewer for call in desk.gate.calls for viewer in call] == names(303)
    assert [viewer for viewer, _seen, _own in answers] == names(303)
    looks = [seen for _viewer, seen, _own in answers]
    assert all(isinstance(look, Look) for look in looks)
    assert len({id(look) for look in looks}) == 4


async def test_shows_do_not_wait_for_each_other(house: House, desk: Desk) -> None:
    """Each show has a look of its own on its way."""
    shows = [await live_show(house), await live_show(house)]
    desk.gate.open.clear()
    for show in shows:
        desk.ask(show, "ann")
    await wait_for(lambda: len(desk.gate.calls) == 2, "both looks are on their way")
    desk.gate.open.set()
    await desk.answered(2)


async def test_a_look(house: House, desk: Desk) -> None:
    """It has the log's place, every drop's numbers, and the picture, its drops in the order of their making."""
    show = await live_show(house)
    drops = [await open_drop(house, show, 10 + number) for number in range(3)]
    for number, drop in enumerate(drops):
        terms = unpacked(await reads.field(house.client, key("drops", show=show), drop, "drop") or b"")
        record = msgpack.packb({**terms, "created_at": 9 - number}, use_bin_type=False)
        await house.client.hset(key("drops", show=show), drop, record)
    await house.shows.pin(show, [{"sku": "MUG"}])
    await house.client.hset(key("figures", show=show), "viewers", "3")
    desk.ask(show, "ann", snapshot=True)
    ((_viewer, look, own),) = await desk.answered(1)
    assert isinstance(look, Look)
    assert look.snapshot is not None
    place = await stream.top(house.client, show)
    assert (stream.Place(look.epoch, look.offset), own) == (place, NONE)
    assert [stock["available"] for stock in look.stocks] == [10, 11, 12]
    assert set(look.snapshot) == {"show", "drops", "pinned", "viewers"}
    assert [drop["id"] for drop in look.snapshot["drops"]] == drops[::-1]
    assert look.snapshot["pinned"] == [{"sku": "MUG"}]
    assert look.snapshot["viewers"] == look.viewers == 3


async def test_a_picture_for_those_who_need_one(house: House, desk: Desk) -> None:
    """The picture is asked for where anybody in the call needs it, and not otherwise; nothing pinned is a list."""
    show = await live_show(house)
    desk.ask(show, "ann")
    await desk.answered(1)
    desk.ask(show, "bob")
    desk.ask(show, "carl", snapshot=True)
    await desk.answered(3)
    assert desk.gate.asked == [0, 1]
    snapshots = [seen.snapshot for _viewer, seen, _own in desk.answers if isinstance(seen, Look)]
    assert snapshots[0] is None
    assert snapshots[1] is snapshots[2]
    assert snapshots[1] is not None
    assert snapshots[1]["pinned"] == []


async def test_nobody_gets_what_is_another_viewers(house: House, desk: Desk) -> None:
    """In a crowd that shares a look, each one's reservations and places reach them and nobody else."""
    show = await live_show(house)
    drop, gone = await open_drop(house, show, 100), await open_drop(house, show, 1)
    await reserve(house, show, "first", "op", gone)
    crowd = names(50)
    mine = {
        viewer: [(await reserve(house, show, viewer, f"op-{n}", drop))["id"] for n in range(1 + at // 5 % 2)]
        for at, viewer in enumerate(crowd)
        if at % 5 == 0
    }
    waits = {viewer: place for place, viewer in enumerate(crowd[7::10], start=1)}
    for viewer in waits:
        assert isinstance(await house.waitlist.join(show, viewer, "op", gone, 2), Waiting)
    desk.ask(show, *crowd)
    answers = await desk.answered(50)
    held = {viewer: [each["id"] for each in unpacked(own.reservations)] for viewer, _seen, own in answers}
    assert {viewer: found for viewer, found in held.items() if found} == mine
    places = {viewer: unpacked(own.places) for viewer, _seen, own in answers}
    assert {viewer: found for viewer, found in places.items() if found} == {
        viewer: [{"drop": gone, "position": place, "quantity": 2}] for viewer, place in waits.items()
    }
    assert len(desk.gate.calls) == 1


async def test_a_failure_reaches_everybody_once(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A show that is gone, a store that cannot say, a bug: each joiner hears it once, and the next can join again."""
    gone = ids.new_show()
    desk.ask(gone, *names(3))
    answers = await desk.answered(3)
    assert codes(answers) == {Code.NOT_FOUND}
    assert {own for _viewer, _seen, own in answers} == {NOTHING}
    for error in (unavailable("no answer"), RuntimeError("a bug")):
        desk.answers.clear()
        with monkeypatch.context() as broken:
            broken.setattr(house.scripts, "run", failing(error))
            desk.ask(gone, *names(130))
            assert codes(await desk.answered(130)) == {Code.UNAVAILABLE}
    desk.answers.clear()
    desk.ask(await live_show(house), "ann")
    assert codes(await desk.answered(1)) == {None}


async def test_a_joiner_who_fails_costs_the_others_nothing(house: House, desk: Desk) -> None:
    """Whatever one viewer's answer leads to, the others get theirs."""
    show = await live_show(house)

    def fail(_seen: Look | Problem, _own: Own) -> None:
        raise RuntimeError("one viewer's bug")

    desk.ask(show, "ann")
    desk.joins.ask(show, "bob", snapshot=False, then=fail)
    desk.ask(show, "carl")
    assert [viewer for viewer, _seen, _own in await desk.answered(2)] == ["ann", "carl"]


async def test_a_joiner_may_ask_again_at_once(house: House, desk: Desk) -> None:
    """Whoever asks from within their answer gets a look made after it."""
    show = await live_show(house)
    desk.joins.ask(show, "ann", snapshot=False, then=lambda _seen, _own: desk.ask(show, "ann", snapshot=True))
    ((_viewer, look, _own),) = await desk.answered(1)
    assert isinstance(look, Look)
    assert look.snapshot is not None


async def test_too_many_are_told_to_come_back(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound a viewer is refused with a time to come back, later and not at once; those who wait stay."""
    monkeypatch.setattr(recovery, "WAITING_LIMIT", 5)
    show = await live_show(house)
    desk.gate.open.clear()
    desk.ask(show, "first")
    await wait_for(lambda: len(desk.gate.calls) == 1, "the first look is on its way")
    desk.ask(show, *names(7))
    assert desk.answers == []
    refused = await desk.answered(2)
    assert [viewer for viewer, _seen, _own in refused] == ["viewer-5", "viewer-6"]
    problem = refused[0][1]
    assert isinstance(problem, Problem)
    assert (problem.code, problem.extras) == (Code.UNAVAILABLE, {"retry_after_ms": recovery.RETRY_MS})
    desk.gate.open.set()
    assert codes((await desk.answered(8))[2:]) == {None}


async def test_a_crowd_leaves_the_loop_to_others(house: House, desk: Desk) -> None:
    """Between the answers to a crowd the loop turns: each may cost a welcome."""
    show = await live_show(house)
    desk.ask(show, *names(128))
    seen = {len(desk.answers)}
    while len(desk.answers) < 128:
        await asyncio.sleep(0)
        seen.add(len(desk.answers))
    assert {32, 64, 96} <= seen


async def test_whoever_waits_is_told_when_it_is_broken_off(house: House, desk: Desk) -> None:
    """At the end of the loop nobody is left without an answer."""
    show = await live_show(house)
    desk.gate.open.clear()
    desk.ask(show, "ann")
    await wait_for(lambda: len(desk.gate.calls) == 1, "the look is on its way")
    desk.ask(show, "bob")
    for task in desk.joins._tasks:
        task.cancel()
    answers = await desk.answered(2)
    assert [viewer for viewer, _seen, _own in answers] == ["ann", "bob"]
    assert codes(answers) == {Code.UNAVAILABLE}


async def test_a_look_for_nobody(house: House, desk: Desk) -> None:
    """Whoever only needs the numbers gets them with those who join, or the problem; leaving early is harmless."""
    show = await live_show(house)
    drop = await open_drop(house, show, 7)
    look = await desk.joins.look(show)
    assert ([stock["drop_id"] for stock in look.stocks], look.snapshot) == ([drop], None)
    with pytest.raises(Problem, match="no show"):
        await desk.joins.look(ids.new_show())
    impatient = asyncio.create_task(desk.joins.look(show))
    await asyncio.sleep(0)
    impatient.cancel()
    with capture_logs() as logged:
        desk.ask(show, "ann")
        assert codes(await desk.answered(1)) == {None}
    assert logged == []


async def reserve(house: House, show: str, viewer: str, operation: str, drop: str) -> dict[str, Any]:
    """Take one unit and return the reservation."""
    held = await house.holds.reserve(show, viewer, operation, drop, 1)
    assert isinstance(held, Held)
    return held.reservation


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    """Return scripts' `run` that fails."""

    async def run(*_args: Any, **_named: Any) -> Any:
        raise error

    return run
