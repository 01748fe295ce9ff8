"""limit_take: many takes in one step, each thing by its own rate and burst."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.store.answers import ask
from server.store.keys import key
from server.store.redis import RedisError
from tests.faulty_scripts import faulty_scripts

if TYPE_CHECKING:
    from server.store.answers import Answer
    from tests.lua.scene import Scene

MINUTE = 60_000_000  # µs; intervals of ten leave the clock of a slow machine no say
INTERVAL = 10 * MINUTE
TEN_MS = INTERVAL // 1000

Take = tuple[str, int]  # a thing and its burst


@pytest.fixture
def part() -> str:
    return ids.secret(8)


async def take(scene: Scene, part: str, *takes: Take, interval: int = INTERVAL) -> list[int]:
    """Take in one step; return the waits, ms."""
    answer: Answer = await ask(
        scene.scripts,
        "limit_take",
        {"part": part},
        things=[thing for thing, _ in takes],
        intervals=[interval] * len(takes),
        bursts=[burst for _, burst in takes],
    )
    assert answer["outcome"] == "counted"
    waits: list[int] = answer["waits"]
    return waits


async def counted(scene: Scene, part: str) -> list[tuple[bytes, float]]:
    """Return what is counted, and when each burst is whole again."""
    rows: Any = await scene.client.zrange(key("limits", part=part), 0, -1, withscores=True)
    return [(name, score) for name, score in rows]


async def let_pass(scene: Scene, part: str, us: int) -> None:
    """Let so much time go by for all that is counted."""
    place = key("limits", part=part)
    for thing, _at in await counted(scene, part):
        await scene.client.zincrby(place, -us, thing)


async def test_counted(scene: Scene, part: str) -> None:
    """A burst is let through, what is beyond it is told to wait for its interval; another thing has its own burst."""
    waits = await take(scene, part, *[("ann", 3)] * 5, ("bob", 3))
    assert waits[:3] == [0, 0, 0]
    assert waits[3:5] == [TEN_MS] * 2
    assert waits[5] == 0
    (later,) = await take(scene, part, ("ann", 3))
    assert 0 < later <= TEN_MS


async def test_each_interval_gives_one_more(scene: Scene, part: str) -> None:
    """After an interval one is let through, after a long time a whole burst and no more."""
    assert await take(scene, part, *[("ann", 2)] * 2) == [0, 0]
    await let_pass(scene, part, INTERVAL)
    assert [wait == 0 for wait in await take(scene, part, *[("ann", 2)] * 2)] == [True, False]
    await let_pass(scene, part, 100 * INTERVAL)
    assert [wait == 0 for wait in await take(scene, part, *[("ann", 2)] * 4)] == [True, True, False, False]


@pytest.mark.parametrize("seed", range(12))
async def test_it_does_what_a_slow_model_does(scene: Scene, part: str, seed: int) -> None:
    """Random takes by four things and random times between: step by step as a bucket of whole tokens decides."""
    chance = random.Random(seed)  # noqa: S311  a repeat must meet the same
    bursts = {name: chance.randint(1, 6) for name in "abcd"}
    tokens = Counter(bursts)
    for _ in range(6):
        takes = [(name, bursts[name]) for name in chance.choices("abcd", k=chance.randint(1, 12))]
        expected = []
        for name, _burst in takes:
            expected.append(tokens[name] > 0)
            tokens[name] -= expected[-1]
        assert [wait == 0 for wait in await take(scene, part, *takes)] == expected, f"seed {seed}"
        passed = chance.randint(0, 3)
        await let_pass(scene, part, passed * INTERVAL)
        for name, burst in bursts.items():
            tokens[name] = min(burst, tokens[name] + passed)


async def test_what_is_refused_counts_nothing(scene: Scene, part: str) -> None:
    """However often somebody tries, they wait no longer; a step in which all are refused writes nothing."""
    place = key("limits", part=part)
    await take(scene, part, ("ann", 1))
    stored = await counted(scene, part)
    ends = await scene.client.pexpiretime(place)
    for _ in range(5):
        assert 0 < (await take(scene, part, *[("ann", 1)] * 4))[3] <= TEN_MS
    assert await counted(scene, part) == stored
    assert await scene.client.pexpiretime(place) == ends


async def test_nothing_is_kept_longer_than_it_matters(scene: Scene, part: str) -> None:
    """The key goes when all bursts are whole again; what is whole sooner is taken off with the next step."""
    place = key("limits", part=part)
    await take(scene, part, *[("ann", 6)] * 6)
    await take(scene, part, ("bob", 1))
    assert 5 * TEN_MS < await scene.client.pttl(place) <= 6 * TEN_MS
    await let_pass(scene, part, 2 * INTERVAL)
    await take(scene, part, ("cleo", 1))
    assert sorted(name for name, _ in await counted(scene, part)) == [b"ann", b"cleo"]


async def test_a_clock_that_falls_back_locks_nobody_out(scene: Scene, part: str) -> None:
    """What was counted by a clock far ahead is no further off than an empty burst."""
    await take(scene, part, *[("ann", 3)] * 3)
    await let_pass(scene, part, -1000 * INTERVAL)
    assert await take(scene, part, ("ann", 3)) == [TEN_MS]


@pytest.mark.parametrize(
    ("intervals", "bursts"),
    [([INTERVAL, 0], [1, 1]), ([INTERVAL, INTERVAL], [1, 0]), ([INTERVAL], [1, 1]), ([INTERVAL] * 2, [1])],
)
async def test_nothing_is_written_where_anything_is_wrong(
    scene: Scene, part: str, intervals: list[int], bursts: list[int]
) -> None:
    """A take that makes no sense fails the step as a whole, also when it is the last one."""
    with pytest.raises(RedisError, match="expected"):
        await ask(
            scene.scripts,
            "limit_take",
            {"part": part},
            things=["ann", "bob"],
            intervals=intervals,
            bursts=bursts,
        )
    assert not await scene.client.exists(key("limits", part=part))


async def test_a_step_that_forgets_itself_is_found(scene: Scene, part: str) -> None:
    """The negative control: were takes of one step blind to each other, a burst of one would let all through."""
    line = "local at = whole[thing] or tonumber(known[i] or 0)"
    edit = ("limit_take.lua", line, line.replace("whole[thing] or ", ""))
    scene.scripts._scripts = {**scene.scripts._scripts, **faulty_scripts([edit])}
    assert await take(scene, part, *[("ann", 1)] * 3) == [0, 0, 0]
