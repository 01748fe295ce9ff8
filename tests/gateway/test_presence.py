"""Presence: several processes tell one Redis who is here, and the show's count is by viewer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import unavailable
from server.gateway import presence
from server.gateway.presence import Presence
from server.store.scripts import Scripts
from tests.keys import LONGEST_MS
from tests.outside.stores import store
from tests.presence import let_lapse, live_scene, stays
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from server.store.embedded import Embedded
    from tests.lua.scene import Scene


SHORT_MS = 200
LONG_MS = 600_000


class Line(Scripts):
    """The scripts, at the end of a line on which calls and answers get lost.

    `fates` are those of the next calls: "lost" on the way there, "unanswered", "endless", or "late", which means lost
    until it may `arrive`. When they are used up, all goes "well". `sent` are the calls that came through at once.
    """

    fates: tuple[str, ...] = ()

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.client)
        self.sent: list[dict[str, Any]] = []
        self.held: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    async def run(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Any:
        fate, self.fates = (self.fates[0], self.fates[1:]) if self.fates else ("well", ())
        if fate == "endless":
            await asyncio.Event().wait()
        if fate == "late":
            self.held.append((name, ids, args))
        if fate in {"late", "lost"}:
            raise unavailable("the line is cut")
        self.sent.append(args)
        answer = await super().run(name, ids, **args)
        if fate == "unanswered":
            raise unavailable("the line is cut")
        return answer

    async def arrive(self) -> None:
        """Let what was held up arrive."""
        held, self.held = self.held, []
        for name, ids, args in held:
            await super().run(name, ids, **args)


class Process:
    """A process' presence in one show, on a line of its own."""

    def __init__(self, scene: Scene, lease_ms: int = LONG_MS) -> None:
        self.show = scene.show
        self.line = Line(scene)
        self.presence = Presence(self.line, lease_ms=lease_ms)

    def came(self, *viewers: str) -> None:
        for viewer in viewers:
            self.presence.came(self.show, viewer)

    def left(self, *viewers: str) -> None:
        for viewer in viewers:
            self.presence.left(self.show, viewer)

    async def tell(self, *fates: str) -> None:
        """Tell what changed, over a line on which this happens."""
        self.line.fates = fates
        await self.presence.tell()
        self.line.fates = ()

    @property
    def names(self) -> set[str]:
        """Every name that it ever had."""
        return {call["gateway"] for call in self.line.sent}


@pytest.fixture(scope="module")
def private_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give a Valkey of this module's own: every key in it is looked at."""
    with store(tmp_path_factory.mktemp("presence")) as server:
        yield server


@pytest.fixture
async def scene(private_valkey: Embedded) -> AsyncIterator[Scene]:
    async with live_scene(private_valkey.url) as one:
        yield one


async def who(scene: Scene) -> set[str]:
    """Return the viewers who count."""
    return set().union(*(await stays(scene.client, scene.show)).values())


async def test_two_processes(scene: Scene) -> None:
    """A viewer on both processes counts once, and stays when one of them loses them."""
    a, b = Process(scene), Process(scene)
    a.came("x", "y")
    b.came("y", "z")
    await a.tell()
    await b.tell()
    assert await scene.figure("viewers") == 3
    a.left("y")
    await a.tell()
    assert await scene.figure("viewers") == 3
    b.left("y", "z")
    await b.tell()
    assert await who(scene) == {"x"}


async def test_nothing_new_costs_nothing(scene: Scene) -> None:
    """A round without changes sends nothing, nor does a viewer who came and went between two rounds."""
    a = Process(scene)
    a.came("x")
    await a.tell()
    a.came("x", "y")
    a.left("y", "z")
    a.left("x")
    a.came("x")
    await a.tell()
    assert len(a.line.sent) == 1


async def test_renewal_names_nobody(scene: Scene) -> None:
    """However many viewers there are, renewing the lease is one call without names."""
    a = Process(scene, SHORT_MS)
    a.came(*map(str, range(600)))
    await a.tell()
    before = len(a.line.sent)

    async def renewed() -> bool:
        await a.tell()
        return len(a.line.sent) > before

    await wait_for(renewed, "the lease is renewed")
    assert (a.line.sent[-1]["here"], a.line.sent[-1]["left"]) == ([], [])
    assert await scene.figure("viewers") == 600


async def test_chunks(scene: Scene) -> None:
    """Many changes go in calls of a bounded number of viewers, all in one round."""
    a = Process(scene)
    a.came(*map(str, range(1200)))
    await a.tell()
    assert await scene.figure("viewers") == 1200
    a.left(*map(str, range(700)))
    await a.tell()
    assert await scene.figure("viewers") == 500
    assert max(len(call["here"]) + len(call["left"]) for call in a.line.sent) <= presence.CHUNK <= 500


async def test_a_dead_process(scene: Scene) -> None:
    """The viewers of a process of which nothing is heard go when its lease ends, those on another one stay."""
    a, b = Process(scene, SHORT_MS), Process(scene, SHORT_MS)
    a.came("x", *map(str, range(600)))
    b.came("x", "y")
    await a.tell()
    running = asyncio.create_task(b.presence.run())
    await wait_for(lambda: who_is(scene, {"x", "y"}), "the dead one's viewers are gone")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def who_is(scene: Scene, expected: set[str]) -> bool:
    return await who(scene) == expected


async def test_a_paused_process(scene: Scene) -> None:
    """A process that was silent for longer than its lease brings its viewers back, less those who left meanwhile."""
    a, b = Process(scene), Process(scene)
    a.came("x", "y", *map(str, range(600)))
    b.came("z")
    await a.tell()
    await let_lapse(scene.client, scene.show, *a.names)
    await b.tell()
    assert await who(scene) == {"z"}
    a.left("y", *map(str, range(600)))
    await a.tell()
    assert await who(scene) == {"x", "z"}


async def test_an_outage(scene: Scene) -> None:
    """What could not be told is told later, once; who came and went meanwhile is not remembered."""
    a = Process(scene)
    a.came("x")
    await a.tell("lost")
    for number in range(1000):
        a.came(f"guest {number}")
        a.left(f"guest {number}")
        await a.tell("lost")
    a.left("x")
    a.came("y")
    await a.tell()
    await a.tell()
    assert await who(scene) == {"y"}
    assert await scene.client.pfcount(scene.key("audience")) == 2
    assert [(call["here"], call["left"]) for call in a.line.sent] == [(["x"], []), (["y"], ["x"])]


async def test_a_call_that_was_held_up(scene: Scene) -> None:
    """A call that Redis gets long after it was repeated brings nobody back."""
    a = Process(scene)
    a.came("x", "y")
    await a.tell("late")
    await a.tell()
    a.left("x")
    await a.tell()
    await a.line.arrive()
    assert await who(scene) == {"y"}


async def test_leaving(scene: Scene) -> None:
    """At its end a process takes all its viewers out, at once, even those whose coming was not confirmed."""
    a, b = Process(scene), Process(scene)
    a.came(*map(str, range(600)))
    b.came("1", "x")
    await a.tell("well", "unanswered")
    await b.tell()
    await a.presence.leave()
    assert await who(scene) == {"1", "x"}


async def test_leaving_without_redis(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Redis does not answer, the end of a process waits for it no longer than it says, and raises nothing."""
    monkeypatch.setattr(presence, "LEAVE_SECONDS", 0.1)
    a = Process(scene)
    a.came("x")
    a.line.fates = ("endless",)
    async with asyncio.timeout(5):
        await a.presence.leave()
    assert not a.line.sent


async def test_other_shows_go_on(scene: Scene, private_valkey: Embedded) -> None:
    """A show that cannot be told, for whatever reason, holds up no other."""
    a = Process(scene)
    async with live_scene(private_valkey.url) as other:
        await scene.client.set(scene.key("gateways"), "not a hash")
        a.came("x")
        a.presence.came(other.show, "y")
        await a.tell()
        assert await who(other) == {"y"}
        await scene.client.delete(scene.key("gateways"))
        await a.tell()
        assert await who(scene) == {"x"}


async def test_a_show_that_goes(scene: Scene) -> None:
    """A show with a TTL gets no keys that would outlive it."""
    await scene.client.pexpire(scene.key("show"), LONGEST_MS)
    before = await scene.dump()
    a = Process(scene)
    a.came("x")
    await a.tell()
    a.left("x")
    await a.tell()
    assert await scene.dump() == before
    await scene.client.persist(scene.key("show"))


async def test_an_empty_show_that_fills_again(scene: Scene) -> None:
    """A show that all viewers left for a moment is told of under the same name: names do not pile up in Redis."""
    a = Process(scene)
    for _ in range(5):
        a.came("x")
        await a.tell()
        a.left("x")
        await a.tell()
        await a.tell()
    assert len(a.names) == 1


async def test_an_empty_roll_is_forgotten(scene: Scene) -> None:
    """A show that nobody here watches any more is not renewed; its process' name goes with the lease."""
    a = Process(scene, SHORT_MS)
    a.came("x")
    await a.tell()
    a.left("x")
    await a.tell()
    sent = len(a.line.sent)

    async def forgotten() -> bool:
        await a.tell()
        return not a.presence._rolls

    await wait_for(forgotten, "the show is forgotten")
    assert len(a.line.sent) == sent


FATES = st.lists(st.sampled_from(["well", "lost", "unanswered", "late"]), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["came", "left"]), st.integers(0, 2), st.sampled_from("uvwxyz")),
        st.tuples(st.just("tell"), st.integers(0, 2), FATES),
        st.tuples(st.sampled_from(["silent", "arrive"]), st.integers(0, 2), st.none()),
        st.tuples(st.sampled_from(["back up", "fall back", "settle"]), st.none(), st.none()),
    ),
    max_size=40,
)
PRESENCE_KEYS = ("gateways", "present", "viewers", "figures")


class Model:
    """Three processes of one show, beside the sets of viewers that they have."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.processes = [Process(scene) for _ in range(3)]
        self.here: list[set[str]] = [set() for _ in range(3)]
        self.markers = 0
        self.backup: dict[str, bytes | None] = dict.fromkeys(PRESENCE_KEYS)

    async def step(self, verb: str, number: int | None, value: Any) -> None:
        """Do one step; whatever went wrong before, what Redis has written down must agree with itself after it."""
        if number is None:
            await {"back up": self.back_up, "fall back": self.fall_back, "settle": self.settle}[verb]()
            return
        process = self.processes[number]
        if verb in {"came", "left"}:
            getattr(process, verb)(value)
            (self.here[number].add if verb == "came" else self.here[number].discard)(value)
        elif verb == "tell":
            await process.tell(*value)
        elif verb == "silent":
            await let_lapse(self.scene.client, self.scene.show, *process.names)
        else:
            await process.line.arrive()
        await stays(self.scene.client, self.scene.show)

    async def back_up(self) -> None:
        """Keep what Redis knows, as a replica does that is cut off from here on."""
        for name in PRESENCE_KEYS:
            self.backup[name] = await self.scene.client.dump(self.scene.key(name))

    async def fall_back(self) -> None:
        """Let the replica take over: what came after is lost."""
        for name, content in self.backup.items():
            await self.scene.client.delete(self.scene.key(name))
            if content is not None:
                await self.scene.client.restore(self.scene.key(name), 0, content)

    async def settle(self) -> None:
        """Let every process tell once more over a good line, and all leases of old names end: all must be right."""
        self.markers += 1
        for number, process in enumerate(self.processes):
            marker = f"marker {self.markers} of {number}"
            process.came(marker)
            self.here[number].add(marker)
            await process.tell()
            await process.tell()
        current = {process.line.sent[-1]["gateway"] for process in self.processes}
        old = set().union(*(process.names for process in self.processes)) - current
        await let_lapse(self.scene.client, self.scene.show, *old)
        nobody = {"gateway": "", "turn": 1, "here": [], "left": [], "lease_ms": 0, "keep_ms": 0, "most": 1000}
        await self.scene.run("viewer_present", **nobody)
        found = await stays(self.scene.client, self.scene.show)
        told = [found.get(process.line.sent[-1]["gateway"], set()) for process in self.processes]
        assert told == self.here
        assert set(found) <= current


@settings(max_examples=40, deadline=None)  # a busy machine is no failure
@given(STEPS)
def test_any_story(private_valkey: Embedded, steps: list[tuple[str, int | None, Any]]) -> None:
    """Whatever is lost, late, silent or fallen back: a round over a good line makes each process' viewers count."""

    async def play() -> None:
        async with live_scene(private_valkey.url) as scene:
            model = Model(scene)
            for step in [*steps, ("settle", None, None)]:
                await model.step(*step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presence, "CHUNK", 2)
        asyncio.run(play())
