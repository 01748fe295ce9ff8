"""viewer_present: who is here, by viewer over all processes, each under a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.keys import LONGEST_MS
from tests.presence import leases, let_lapse, stays

if TYPE_CHECKING:
    from server.store.answers import Answer
    from tests.lua.scene import Scene

LEASE_MS = 60_000
CHUNK = 500


class Process:
    """One process' calls, with a lease that no test outlives."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.name = name
        self.turn = 0

    async def call(self, here: str = "", left: str = "", *, turn: int = 0, **options: int) -> Answer:
        """Tell of the viewers named, one letter each, in the next turn or in the given one."""
        self.turn = turn or self.turn + 1
        times = {"lease_ms": LEASE_MS, "most": CHUNK, "keep_ms": 0, **options}
        people = {"here": list(here), "left": list(left)}
        answer = await self.scene.run("viewer_present", gateway=self.name, turn=self.turn, **people, **times)
        await stays(self.scene.client, self.scene.show)
        return answer

    async def lapse(self) -> None:
        """Let the process' lease be over."""
        await let_lapse(self.scene.client, self.scene.show, self.name)

    async def count(self, here: str = "", left: str = "", **options: int) -> int:
        """Do the same and return the count."""
        answer = await self.call(here, left, **options)
        assert answer["outcome"] == "counted", answer
        viewers: int = answer["count"]
        return viewers


async def test_counted(scene: Scene) -> None:
    """A viewer counts once; who left does not count; every change of the number is told, and nothing else."""
    await scene.live()
    a = Process(scene, "a")
    async with scene.watched() as told:
        assert await a.count("xy") == 2
        assert await a.count("xz", "y") == 2
        assert await a.count("", "x") == 1
    assert told.counts == [
        {"type": "viewers.updated", "count": 2},
        {"type": "viewers.updated", "count": 1},
    ]
    assert (await scene.figure("viewers"), await scene.figure("peak_viewers")) == (1, 2)
    assert await scene.client.pfcount(scene.key("audience")) == 3


async def test_a_viewer_on_two_processes_is_one(scene: Scene) -> None:
    """Who is on two processes counts once, and still counts when one of them loses them."""
    await scene.live()
    a, b = Process(scene, "a"), Process(scene, "b")
    assert await a.count("xy") == 2
    assert await b.count("yz") == 3
    assert await a.count(left="y") == 3
    assert await b.count(left="y") == 2


@pytest.mark.parametrize(
    ("lapsed", "other"), [("a", "aa"), ("aa", "a"), ("a", "a\1"), ("a", "A"), ("a-b", "a[b")]
)
async def test_names_that_are_alike(scene: Scene, lapsed: str, other: str) -> None:
    """Taking out one process' viewers leaves those of another with nearly the same name."""
    await scene.live()
    silent = Process(scene, lapsed)
    await silent.count("xya")
    await silent.lapse()
    assert await Process(scene, other).count("xa") == 2


async def test_renewing_is_no_news(scene: Scene) -> None:
    """A call without changes extends the lease and tells nobody."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("x")
    before = await leases(scene.client, scene.show)
    async with scene.watched() as told:
        assert await a.count(lease_ms=2 * LEASE_MS) == 1
    after = await leases(scene.client, scene.show)
    assert told.nothing
    assert after["a"][0] >= before["a"][0] + LEASE_MS


async def test_a_lease_ends(scene: Scene) -> None:
    """A process of which nothing was heard for the length of its lease has no viewers any more."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("xy")
    await a.lapse()
    assert await Process(scene, "b").count("yz") == 2
    assert set(await leases(scene.client, scene.show)) == {"b"}


async def test_anybody_may_ask(scene: Scene) -> None:
    """A call without a lease takes lapsed viewers out like any other, and is not remembered."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("xy")
    await a.lapse()
    nobody = {"gateway": "", "turn": 1, "here": [], "left": [], "lease_ms": 0, "keep_ms": 0, "most": CHUNK}
    assert await scene.run("viewer_present", **nobody) == {"outcome": "counted", "count": 0, "more": False}
    await stays(scene.client, scene.show)
    assert not await scene.client.exists(scene.key("gateways"), scene.key("present"), scene.key("viewers"))


async def test_a_call_takes_out_a_bounded_number(scene: Scene) -> None:
    """Many lapsed viewers go over several calls, of whichever process, each told of what is left to do."""
    await scene.live()
    a, b = Process(scene, "a"), Process(scene, "b")
    await a.count("stuvwxyz")
    await a.lapse()
    first = await b.call("z", most=3)
    assert first == {"outcome": "counted", "count": 5, "more": True}
    assert (await Process(scene, "c").call(most=3))["more"]
    assert await b.call(most=3) == {"outcome": "counted", "count": 1, "more": False}


async def test_the_peak_is_kept(scene: Scene) -> None:
    """The peak is the most viewers there were at once."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("xyz")
    await a.count("", "xyz")
    await a.count("uv")
    assert (await scene.figure("viewers"), await scene.figure("peak_viewers")) == (2, 3)


async def test_the_last_call_again(scene: Scene) -> None:
    """A call that is repeated, because its answer was lost, changes nothing but the lease and is answered alike."""
    await scene.live()
    a = Process(scene, "a")
    first = await a.call("xy")
    async with scene.watched() as told:
        assert await a.call("xy", turn=1) == first
        second = await a.call("z", "x")
        await a.lapse()
        assert await a.call("z", "x", turn=2) == second
        assert await Process(scene, "b").count() == 2
    assert told.nothing
    assert await scene.client.zcard(scene.key("present")) == 2


async def test_a_call_that_was_held_up(scene: Scene) -> None:
    """A call that arrives after later ones, from a connection given up long ago, brings nobody back."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("x")
    await a.count(left="x")
    assert await a.count("x", turn=1) == 0


async def test_a_gap_in_the_turns(scene: Scene) -> None:
    """Where a turn is missing (the store lost it) the process is not believed, and must tell all anew."""
    await scene.live()
    a = Process(scene, "a")
    await a.count("x")
    assert await a.call("y", turn=3) == {"outcome": "unknown"}
    assert await Process(scene, "b").count() == 1


@pytest.mark.parametrize("most", [1, 2, CHUNK])
async def test_who_was_taken_out_is_unknown(scene: Scene, most: int) -> None:
    """A process whose viewers were taken out, all or some, must tell them anew; nobody counts twice meanwhile."""
    await scene.live()
    a, b = Process(scene, "a"), Process(scene, "b")
    await a.count("xyz")
    await a.lapse()
    await b.count(most=most)
    assert await a.call(left="z") == {"outcome": "unknown"}
    await Process(scene, "a2").count("xy")
    while (await b.call(most=most))["more"]:
        pass
    assert await b.count() == 2


async def test_late_but_not_yet_taken_out(scene: Scene) -> None:
    """A process that is late, but whose viewers nobody began to take out, goes on as if nothing had been."""
    await scene.live()
    a, b = Process(scene, "a"), Process(scene, "b")
    await a.count("x")
    await b.count("yz")
    await a.lapse()
    await b.lapse()
    assert await Process(scene, "c").count(most=1) == 2
    assert await b.count("u", "z") == 2
    assert await Process(scene, "c2").count() == 2


@pytest.mark.parametrize("ttl_ms", [None, LONGEST_MS])
async def test_a_show_that_goes_gets_no_keys(scene: Scene, ttl_ms: int | None) -> None:
    """In a show that is gone, or has its TTL, nothing is written and nobody counts."""
    if ttl_ms:
        await scene.live()
        await scene.client.pexpire(scene.key("show"), ttl_ms)
    call = {
        "gateway": "a",
        "turn": 1,
        "here": ["x"],
        "left": [],
        "lease_ms": LEASE_MS,
        "keep_ms": 0,
        "most": CHUNK,
    }
    assert await scene.refused("viewer_present", **call) == {"outcome": "gone"}
