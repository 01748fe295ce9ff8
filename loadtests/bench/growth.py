"""What a reservation costs in a show that has grown tenfold: in viewers, in drops, in holds; and what a hold weighs.

All reserve of one drop, as when a host has just opened it; what is there beside it is what grows. The shows are made
anew in every round, so what is measured in them stays small beside what they hold. What Redis pays is measured with a
fixed number of reservations in each call, what Python pays by the server's own way.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.bench.ground import BenchError
from loadtests.bench.meter import Way
from loadtests.bench.pipe import kept_busy
from loadtests.bench.taking import again_and_again, processes, reserving
from loadtests.bench.wholesale import MOST, SCRIPT, WHOLE, batch, held, strangers
from server import ids
from server.store import answers
from server.store.keys import KEYS, key

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

TENFOLD = 10
DROPS = 10
VIEWERS_PER_HOLD = 0.5
MEASURED = 0.3  # of the holds that are there already
WEIGHED = 10  # times the holds of a small show
IN_EACH_CALL = 64
AT_ONCE = 10_000  # viewers told of in one call
SHOW_KEYS = [name for name, each in KEYS.items() if "{show}" in each.pattern]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a show is: viewers who are there, drops, and holds, which are spread over both."""

    viewers: int
    drops: int
    holds: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A show of a size, and reserving in it: by the script, a fixed number in each call, and by the server's way."""

    name: str
    size: Size
    script: Way
    ours: Way


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes for each of so many holds: all that the store's memory grew by, and by the key of the show."""

    in_each_call: int
    holds: int
    each: float
    by_key: dict[str, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """The small show first, then those that have grown; and the weight of a hold, taken with others and alone."""

    shows: list[Grown]
    weights: list[Weight]


async def measure(ground: Ground, sizes: Sizes) -> Growth:
    """Return the cost in each show; their rounds take turns. Raises BenchError."""
    small = Size(int(sizes.holds * VIEWERS_PER_HOLD), DROPS, sizes.holds)
    grown = {
        "a small show": small,
        "ten times the viewers": replace(small, viewers=TENFOLD * small.viewers),
        "ten times the drops": replace(small, drops=TENFOLD * small.drops),
        "ten times the holds": replace(small, holds=TENFOLD * small.holds),
    }
    mine = processes(ground)
    shows = [Grown(name, size, Way(name, mine), Way(name, mine)) for name, size in grown.items()]
    for number in range(sizes.rounds):
        for show in shows if number % 2 == 0 else reversed(shows):
            ground.say(f"round {number + 1} of {sizes.rounds}: {show.name}")
            await _block(ground, show, int(sizes.holds * MEASURED), sizes.callers)
    return Growth(
        shows, [await _weigh(ground, WEIGHED * sizes.holds, in_each_call) for in_each_call in (MOST, 1)]
    )


async def _block(ground: Ground, grown: Grown, units: int, callers: int) -> None:
    async with ground.shelf() as (show, drop):
        size = grown.size
        drops = [drop, *[await ground.drop(show) for _ in range(size.drops - 1)]]
        viewers = [f"w{number}" for number in range(size.viewers)]
        await _come(ground, show, viewers)
        await _fill(ground, show, drops, viewers, size.holds)
        newcomers = strangers(units)
        with grown.script.measured() as block:
            block.units = await _fill(ground, show, [drop], newcomers, units, in_each_call=IN_EACH_CALL)
        left, ask = itertools.count(units, -1), await reserving(ground, show, drop)
        with grown.ours.measured() as block:
            block.units = await again_and_again(ask, callers, lambda: next(left) > 0)


async def _come(ground: Ground, show: str, viewers: list[str]) -> None:
    """Let viewers be there, told of by one process."""
    own = {"gateway": ids.new_gateway(), "lease_ms": 3_600_000, "most": len(viewers), "keep_ms": 0}
    for turn, first in enumerate(range(0, len(viewers), AT_ONCE), 1):
        here = viewers[first : first + AT_ONCE]
        answer = await answers.ask(
            ground.house.scripts, "viewer_present", {"show": show}, turn=turn, here=here, left=[], **own
        )
        if answer["outcome"] != "counted":
            raise BenchError(f"Viewers who came were answered {answer}")


async def _fill(  # noqa: PLR0913  a show is filled from many sides
    ground: Ground, show: str, drops: list[str], viewers: list[str], holds: int, *, in_each_call: int = MOST
) -> int:
    """Let viewers hold units of all the drops, in turn, one unit of one drop each; return how many they hold then."""
    in_turn, takers, left = itertools.cycle(drops), itertools.cycle(viewers), holds

    def command() -> bytes:
        nonlocal left
        size = min(in_each_call, left)
        left -= size
        return batch(ground, show, next(in_turn), list(itertools.islice(takers, size)))

    await ground.house.client.script_load(ground.house.scripts[SCRIPT].source)
    done = await kept_busy(ground.redis_url, command, held, WHOLE, lambda: left > 0)
    if done != holds:
        raise BenchError(f"Of {holds} reservations {done} were held.")
    return done


async def _weigh(ground: Ground, holds: int, in_each_call: int) -> Weight:
    """Return what a hold weighs where every viewer has one: the most that it can."""
    ground.say(f"weighing {holds:,} holds, {in_each_call} in each call")
    async with ground.shelf() as (show, drop):
        before, keys_before = await _memory(ground), await _keys(ground, show)
        await _fill(ground, show, [drop], strangers(holds), holds, in_each_call=in_each_call)
        after, keys_after = await _memory(ground), await _keys(ground, show)
    by_key = {name: (size - keys_before[name]) / holds for name, size in keys_after.items()}
    return Weight(in_each_call, holds, (after - before) / holds, by_key)


async def _memory(ground: Ground) -> int:
    """Return the bytes of the store's data: without the buffers of its connections and files."""
    return int((await ground.house.client.info("memory"))["used_memory_dataset"])


async def _keys(ground: Ground, show: str) -> dict[str, int]:
    """Return the bytes of each of the show's keys, 0 where there is none."""
    client = ground.house.client
    return {name: await client.memory_usage(key(name, show=show), samples=0) or 0 for name in SHOW_KEYS}
