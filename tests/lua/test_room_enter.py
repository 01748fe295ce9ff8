"""room_enter: seats of a show with a capacity, and the line of those who wait for one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.deadlines import redis_now

if TYPE_CHECKING:
    from tests.lua.scene import Scene

KEEP_MS = 600_000  # longer than any test takes
LEASE_MS = 600_000
CHUNK = 1000


class Room:
    """A show's waiting room, with as many seats as `capacity` says, and one process that tells who is in the show."""

    def __init__(self, scene: Scene, capacity: int, **rules: int) -> None:
        self.scene = scene
        self.rules: dict[str, Any] = {"per_second": 0, "keep_ms": KEEP_MS, "longest": 1000, **rules}
        self.rules["capacity"] = capacity
        self.turn = 0

    async def look(self, names: str, lots: list[float] | None = None) -> dict[str, Any]:
        """Ask for viewers, one letter each, and return the whole answer."""
        asked = {"viewers": list(names), "lots": lots or [0.5] * len(names)}
        answer = await self.scene.run("room_enter", **asked, **self.rules)
        assert answer["outcome"] == "looked", answer
        return answer

    async def places(self, names: str, lots: list[float] | None = None) -> list[int]:
        """Do the same and return where each stands: 0 is in, -1 nowhere."""
        found: list[int] = (await self.look(names, lots))["places"]
        return found

    async def present(self, here: str = "", left: str = "", *, keep_ms: int = KEEP_MS) -> None:
        """Tell who has come into the show and who has left it."""
        self.turn += 1
        times = {"lease_ms": LEASE_MS, "most": CHUNK, "keep_ms": keep_ms}
        people = {"here": list(here), "left": list(left)}
        await self.scene.run("viewer_present", gateway="a", turn=self.turn, **people, **times)

    async def away(self, name: str) -> None:
        """Let the time be over for which a seat is kept for somebody."""
        await self.scene.client.zadd(self.scene.key("seats"), {name: 1}, xx=True)

    async def silent(self, names: str) -> None:
        """Let nobody have heard for long of those who wait."""
        past = await redis_now(self.scene.client) - KEEP_MS - 1
        await self.scene.client.zadd(self.scene.key("heard"), dict.fromkeys(names, past), xx=True)


async def test_who_comes_while_there_is_room_comes_in(scene: Scene) -> None:
    """As many as there are seats come in, the next ones wait in the order in which they came."""
    await scene.live()
    room = Room(scene, 2)
    assert await room.places("abcd") == [0, 0, 1, 2]
    assert await room.places("dcba") == [2, 1, 0, 0]


async def test_a_seat_that_comes_free_goes_to_who_waits_longest(scene: Scene) -> None:
    """A turn goes to the first in the line, whoever asks first; and only once the seat is kept for nobody."""
    await scene.live()
    room = Room(scene, 1)
    assert await room.places("abc") == [0, 1, 2]
    await room.present("a")
    await room.present(left="a")
    assert await room.places("cba") == [2, 1, 0]
    await room.away("a")
    assert await room.places("c") == [1]
    assert await room.places("b") == [0]
    assert await room.places("a") == [2]


async def test_a_turn_that_is_not_used_goes_to_the_next(scene: Scene) -> None:
    """Who is away at their turn has so long to come back; then they begin at the end."""
    await scene.live()
    room = Room(scene, 1)
    assert await room.places("abc") == [0, 1, 2]
    await room.away("a")
    assert await room.places("c") == [1]  # b's turn
    await room.away("b")
    assert await room.places("c") == [0]
    assert await room.places("b") == [1]


async def test_who_is_not_heard_of_loses_the_place(scene: Scene) -> None:
    """A place is kept for a while and no longer; everybody behind it moves up."""
    await scene.live()
    room = Room(scene, 1)
    assert await room.places("abcd") == [0, 1, 2, 3]
    await room.silent("bc")
    answer = await room.look("d")
    assert (answer["places"], answer["waiting"]) == ([1], 1)
    assert await room.places("b") == [2]


async def test_where_we_were_away_everybody_keeps_their_place(scene: Scene) -> None:
    """After a time in which nobody at all was heard of, nobody loses anything, and has as long again to be heard of."""
    await scene.live()
    room = Room(scene, 1)
    assert await room.places("abcd") == [0, 1, 2, 3]
    await room.silent("bcd")
    assert await room.places("d") == [3]
    assert await room.places("cb") == [2, 1]
    await room.silent("bc")
    assert await room.places("d") == [3]
    await scene.client.hset(scene.key("door"), "woke_at", 1)
    assert await room.places("d") == [1]


async def test_before_the_show_begins_lots_decide(scene: Scene) -> None:
    """Nobody comes in before; then lots decide about those who came before, and whoever came later stands behind."""
    await scene.created()
    room = Room(scene, 1)
    answer = await room.look("abc", [0.9, 0.1, 0.5])
    assert answer["open"] is False
    assert 0 not in answer["places"]
    assert await room.places("a", [0.01]) != [0]  # who asks again draws no other lot
    await scene.moved("show_start")
    assert await room.places("d") == [3]
    assert await room.places("bca") == [0, 1, 2]


async def test_who_takes_part_comes_in_beyond_the_capacity(scene: Scene) -> None:
    """Who has units in the show comes in at once, and their seat counts."""
    drop = await scene.opened(5)
    await scene.held(drop, "z")
    room = Room(scene, 1)
    assert await room.places("ab") == [0, 1]
    assert await room.places("z") == [0]
    await room.away("a")
    assert await room.places("b") == [1]


async def test_who_let_everything_go_or_only_waits_waits(scene: Scene) -> None:
    """What is let go again is no way in, nor is a place in a drop's queue, which cost nothing."""
    drop = await scene.opened(1)
    await scene.released(await scene.held(drop, "y"), "y")
    await scene.held(drop, "z")
    await scene.joined(drop, "x")
    room = Room(scene, 1)
    assert await room.places("axyz") == [1, 2, 3, 0]


async def test_who_is_in_the_show_needs_no_seat_twice(scene: Scene) -> None:
    """A seat that was kept is the viewer's own once they are there: it is not counted beside them."""
    await scene.live()
    room = Room(scene, 2)
    assert await room.places("abc") == [0, 0, 1]
    await room.present("a")
    assert await room.places("c") == [1]
    await room.present(left="a", keep_ms=0)
    assert await room.places("c") == [0]


async def test_the_line_has_an_end(scene: Scene) -> None:
    """Beyond its places nobody can wait, and who waits keeps theirs."""
    await scene.live()
    room = Room(scene, 1, longest=2)
    assert await room.places("abcd") == [0, 1, 2, -1]
    assert await room.places("dcb") == [-1, 2, 1]


async def test_turns_come_at_their_pace(scene: Scene) -> None:
    """With room for all, one second's turns are given at once and no more; those who wait know how many they are."""
    await scene.live()
    room = Room(scene, 100, per_second=1)
    assert await room.places("abc") == [0, 1, 2]


async def test_how_fast_the_line_moves(scene: Scene) -> None:
    """That the show fills for the first time says nothing; turns that follow do."""
    await scene.live()
    room = Room(scene, 1)
    assert "rate" not in await room.look("abc")
    assert "rate" not in await room.look("c")
    await room.away("a")
    answer = await room.look("c")
    assert 0 < answer["rate"] <= 1 / 60


async def test_the_plan_is_told(scene: Scene) -> None:
    """Where the show's beginning is planned, the answer has it."""
    await scene.created()
    await scene.client.hset(scene.key("show"), "starts_at", "1800000000000")
    assert (await Room(scene, 1).look("a"))["starts_at"] == 1_800_000_000_000


async def test_a_show_that_is_gone(scene: Scene) -> None:
    """It gets no keys that would outlive it."""
    await scene.live()
    await scene.client.pexpire(scene.key("show"), 60_000)
    rules = Room(scene, 1).rules
    assert (await scene.refused("room_enter", viewers=["a"], lots=[0.5], **rules))["outcome"] == "gone"


@pytest.mark.parametrize("seed", range(4))
async def test_any_crowd(scene: Scene, seed: int) -> None:
    """Whoever comes, goes and returns: never more in the show than it has seats, in the order in which they came."""
    await scene.live()
    chance, capacity = random.Random(seed), 3  # noqa: S311  a walk that can be repeated
    room, inside, line = Room(scene, capacity), set[str](), list[str]()
    for _ in range(60):
        name = chance.choice("abcdefgh")
        if name in inside and chance.random() < 0.5:
            inside.discard(name)
            await room.present(left=name, keep_ms=0)
        elif name not in inside:
            line += [name] if name not in line else []
        for each in list(line[: capacity - len(inside)]):
            assert await room.places(each) == [0], (each, line, inside)
            await room.present(each)
            line.remove(each)
            inside.add(each)
        if line:
            assert await room.places("".join(line)) == list(range(1, len(line) + 1))
        assert len(inside) <= capacity
    assert line
