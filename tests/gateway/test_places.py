"""Who waits is told where they stand when that changes, and nobody is read about who does not wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.errors import Code, Problem, unavailable
from server.eventlog.recovery import Own
from server.gateway import places
from server.gateway.places import FRONT, MOST, Places
from server.inventory.outcomes import Waiting
from server.protocol.codec import pack
from tests.gateway.scene import SHOW, Guest, Scene, look, stock
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def queue(scene: Scene, *names: str) -> None:
    """Let these stand in the queue, in this order."""
    scene.queues.waiting["d"] = list(names)


def move(scene: Scene, revision: int) -> None:
    """Let the drop's numbers be heard."""
    scene.hub.live(SHOW, "s", "d", pack({"type": "stock.updated", **stock(revision)}))


async def joined(scene: Scene, name: str, guest: Guest | None = None) -> Guest:
    """Let a viewer in who stands where the queue has them."""
    guest = scene.come(name, guest=guest)
    await scene.asked()
    waiting = scene.queues.waiting.get("d", [])
    own = [{"drop": "d", "position": waiting.index(name) + 1, "quantity": 1}] if name in waiting else []
    ((_viewer, _snapshot, then),) = scene.looks.asked
    scene.looks.asked.clear()
    then(look(10), Own(pack([]), pack(own)))
    return guest


def told(guest: Guest) -> list[tuple[int, int]]:
    """Return the places and lengths that a viewer was told without asking."""
    return [
        (message["position"], message["length"]) for message in guest.heard if message["type"] == "waitlist"
    ]


async def test_who_moves_up_is_told_and_nobody_else() -> None:
    """One read for all who wait here; who stands where they stood hears nothing; who is served hears of no place."""
    scene = Scene()
    queue(scene, "ann", "bob", "cid")
    guests = {name: await joined(scene, name) for name in ("ann", "bob", "cid", "dan")}
    move(scene, 2)
    await scene.places.look()
    assert [told(guest) for guest in guests.values()] == [[]] * 4
    queue(scene, "ann", "cid", "eve")
    move(scene, 3)
    await scene.places.look()
    assert [told(guest) for guest in guests.values()] == [[], [(0, 3)], [(2, 3)], []]
    assert guests["cid"].heard == [
        {"type": "waitlist", "drop": "d", "position": 2, "length": 3, "quantity": 1}
    ]
    assert scene.queues.asked == [("d", ["ann", "bob", "cid"])] * 2


async def test_nothing_is_read_where_nothing_has_moved() -> None:
    """No numbers heard, nobody waits, or for another drop: the store is left alone."""
    scene = Scene()
    await joined(scene, "dan")
    move(scene, 2)
    queue(scene, "ann")
    await joined(scene, "ann")
    scene.hub.live(SHOW, "s", "other", pack({"type": "stock.updated", **stock(1, "other")}))
    await scene.places.look()
    assert scene.queues.asked == []
    move(scene, 3)
    for _ in range(3):
        await scene.places.look()
    assert len(scene.queues.asked) == 1


async def test_an_answer_under_way_is_not_taken_back() -> None:
    """What a command brings while the queue is read is newer than the read: the viewer is not told the older place."""
    scene = Scene()
    queue(scene, "bob", "ann")
    ann = await joined(scene, "ann")
    queue(scene, "ann")
    scene.queues.before = lambda: scene.places.answered(ann, Waiting("d", 0, 0, 0))  # type: ignore[arg-type]  # a stand-in
    move(scene, 2)
    await scene.places.look()
    assert told(ann) == []
    scene.queues.before = None
    move(scene, 3)
    await scene.places.look()
    assert told(ann) == []
    assert scene.hub._rooms[SHOW].queues == {}


async def test_the_check_of_the_race_finds_who_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: places that tell whatever they read throw the viewer back, and the same check sees it."""

    async def careless(self: Places, room: Any, drop: str) -> int:
        first = dict(room.queues[drop])
        found = await self._waitlist.places(room.show, drop, list(first))
        for subject, waiting in zip(first, found, strict=True):
            places._tell(room.people[subject].sockets, waiting)
        return len(first)

    monkeypatch.setattr(Places, "_read", careless)
    with pytest.raises(AssertionError):
        await test_an_answer_under_way_is_not_taken_back()


async def test_the_other_sockets_of_a_viewer_hear_of_their_command() -> None:
    """Who joins on one socket knows it on the others; the asking one has its answer."""
    scene = Scene()
    first, second = await joined(scene, "ann"), await joined(scene, "ann")
    scene.places.answered(first, Waiting("d", 4, 4, 2))  # type: ignore[arg-type]  # a stand-in
    assert (told(first), told(second)) == ([], [(4, 4)])
    scene.places.answered(second, Waiting("d", 0, 3, 0))  # type: ignore[arg-type]  # a stand-in
    assert (told(first), told(second)) == ([(0, 3)], [(4, 4)])


async def test_a_place_that_was_asked_for_elsewhere_is_known() -> None:
    """The message that tells of it reaches all sockets, then of its moves; a stranger's is not kept."""
    scene = Scene()
    queue(scene, "bob", "ann")
    first, second = [scene.come("ann") for _ in range(2)]
    for name in ("ann", "eve"):
        message = {"type": "waitlist", "drop": "d", "position": 2, "length": 2, "quantity": 1}
        scene.hub.live(SHOW, "v", name, pack(message))
    queue(scene, "ann")
    move(scene, 2)
    await scene.places.look()
    assert [told(guest) for guest in (first, second)] == [[(2, 2), (1, 1)]] * 2
    assert scene.queues.asked == [("d", ["ann"])]


async def test_who_has_left_the_show_is_forgotten() -> None:
    """With the last socket; one that remains goes on being told."""
    scene = Scene()
    queue(scene, "bob", "ann")
    first, second = await joined(scene, "ann"), await joined(scene, "ann")
    scene.hub.leave(first)  # type: ignore[arg-type]  # a stand-in
    queue(scene, "ann")
    move(scene, 2)
    await scene.places.look()
    assert (told(first), told(second)) == ([], [(1, 1)])
    scene.hub.leave(second)  # type: ignore[arg-type]  # a stand-in
    assert scene.hub._rooms[SHOW].queues == {}


@pytest.mark.parametrize(("code", "again"), [(Code.UNAVAILABLE, 1), (Code.NOT_FOUND, 0)])
async def test_a_store_that_cannot_say_is_asked_again(code: Code, again: int) -> None:
    """The next second, without another move; a drop that is gone is not asked about again."""
    scene = Scene()
    queue(scene, "bob", "ann")
    ann = await joined(scene, "ann")
    queue(scene, "ann")
    move(scene, 2)
    scene.queues.problem = unavailable("no answer") if code is Code.UNAVAILABLE else Problem(code, "gone")
    await scene.places.look()
    scene.queues.problem = None
    await scene.places.look()
    assert told(ann) == [(1, 1)] * again


async def test_a_long_queue_is_read_in_turns() -> None:
    """At most so many a second, those in front each time; after one move everybody has been read about, and no more."""
    scene = Scene()
    names = [f"v{number}" for number in range(MOST + 2 * (MOST - FRONT) - 7)]
    queue(scene, "first", *names)
    guests = [await joined(scene, name) for name in names]
    queue(scene, *names)
    move(scene, 2)
    reads = []
    for _ in range(5):
        scene.queues.asked.clear()
        await scene.places.look()
        reads.append([viewer for _drop, viewers in scene.queues.asked for viewer in viewers])
    assert [len(set(read)) for read in reads] == [MOST, MOST, MOST, MOST, 0]
    assert all(set(names[:FRONT]) <= set(read) for read in reads[:4])
    assert [told(guest) for guest in guests] == [[(place, len(names))] for place in range(1, len(names) + 1)]


async def test_the_job_goes_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moves are told within its pace."""
    monkeypatch.setattr(places, "PACE_SECONDS", 0.01)
    scene = Scene()
    queue(scene, "bob", "ann")
    ann = await joined(scene, "ann")
    job = asyncio.create_task(scene.places.run())
    moves = ((1, ["ann"]), (2, ["bob", "ann"]), (0, ["bob"]))
    for revision, (place, names) in enumerate(moves, start=2):
        queue(scene, *names)
        move(scene, revision)
        await wait_for(heard(ann, place), f"place {place} is told")
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


def heard(guest: Guest, place: int) -> Callable[[], bool]:
    """Return whether the newest place that a viewer was told is this one."""
    return lambda: bool(told(guest)) and told(guest)[-1][0] == place
