"""hold_batch: the short way of a reservation that nothing speaks against does what the long way would have done."""

from __future__ import annotations

import random
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.inventory.asks import Ask
from server.store import reads
from server.store.answers import ask
from server.store.lua import lua_folder
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.deadlines import packed
from tests.lua.scene import Scene, spelt_out
from tests.lua.told import listening
from tests.outside.stores import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.store.embedded import Embedded

Edit = tuple[str, str, str]  # an include, what stands in it once, and what stands there instead

NOW = 1_700_000_000_000  # in both copies at all times, so that what they write can be compared byte by byte
STILL: tuple[Edit, ...] = (
    ("now_ms", "return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)", f"return {NOW}"),
    ("award_log", "'*'", "'1-*'"),
)
LONG: Edit = ("batch_award", "if not drop or quantity > desk_free(drop) then", "if true then")
BROKEN: dict[str, Edit] = {
    "a limit is forgotten": ("batch_award", "taken + quantity > terms.limit_per_viewer or ", ""),
    "what waits is passed": ("batch_award", "quantity > desk_free(drop)", "quantity > drop.stock.available"),
    "a repeat takes again": ("batch_award", "not desk.known[i] and not desk.holds[own] and ", ""),
    "nothing is held": ("batch_award", " or quantity < 1", ""),
    "a list is overwritten": ("desk_keep", "packed and mine == false", "packed"),
    "a record is cut": ("desk_take", ".. cmsgpack.pack(rank)", ".. cmsgpack.pack(rank % 128)"),
}
SEEDS = 12
STEPS = 6
NAMES = (
    "ann",
    "bob",
    "carl",
    "dora",
    "x" * 31,
    "x" * 32,
    "ü" * 20,
    "日" * 90,
)  # short and long in msgpack's eyes
VERBS = (
    *("reserve",) * 12,
    *("release",) * 4,
    *("part", "bundle", "bundle", "claim", "join", "join", "leave", "again", "other"),
)
MODES = ("fifo",) * 4 + ("draw", "first_paid")
PRICES = (0, 127, 128, 1250, 2**31, 2**33)
RANKS = (0, 0, 126, 65_534, 2**31 - 2, 2**40)  # how many awards there were before


@dataclass(slots=True)
class Pair:
    """One show twice, in two databases: on scripts with a short way and on scripts without one."""

    short: Scene
    long: Scene
    taken: int = 0  # operations that went the short way

    async def both(self, script: str, **args: Any) -> None:
        """Run a script on both."""
        assert await self.short.run(script, **args) == await self.long.run(script, **args)

    async def drop(self, chance: random.Random, number: int) -> str:
        """Plan a drop, open it most of the time, and return its id."""
        drop, mode = f"dr_{self.short.show[3:]}_{number:08}", chance.choice(MODES)
        terms: dict[str, Any] = {
            "mode": mode,
            "waitlist": mode == "draw" or (mode == "fifo" and chance.random() < 0.6),
            "limit_per_viewer": chance.choice((1, 4, 100)),
            "unit_price": chance.choice(PRICES),
            "hold_seconds": chance.choice((1, 60, 3600)),
            **({"limit_per_address": chance.randint(1, 5)} if chance.random() < 0.3 else {}),
        }
        await self.both("drop_create", **self.short.plan(drop, chance.choice((3, 3, 8, 40, 2**32)), **terms))
        if chance.random() < 0.9:
            await self.both("drop_open", drop=drop, countdown_ms=0, by="host")
        awards = chance.choice(RANKS)
        for scene in (self.short, self.long):
            row = await scene.record("stock", drop)
            row[8] = awards
            await scene.client.hset(scene.key("stock"), drop, packed(row))
        return drop

    async def stage(self, chance: random.Random) -> list[str]:
        """Make a live show with a few drops, and some who are there; return the drops."""
        self.short.show = self.long.show = f"sh_{chance.randrange(10**12):012}"
        limit = {"limit_per_viewer": 6} if chance.random() < 0.3 else {}
        here: Any = dict.fromkeys(chance.sample(NAMES, 4), "1")
        for scene in (self.short, self.long):
            await scene.created(**limit)
            await scene.client.hset(scene.key("viewers"), mapping=here)
        await self.both("show_start")
        return [await self.drop(chance, number) for number in range(4)]

    async def move(self, chance: random.Random, drop: str) -> None:
        """Let the host do something: the show pauses for one step at a time, a drop for a few."""
        status = await reads.field(self.short.client, self.short.key("show"), "status", "status")
        usual = ("drop_pause", "drop_resume", "drop_resume", "show_pause", "")
        script = "show_resume" if status == b"paused" else chance.choice(usual)
        if script:
            await self.both(script, **({"drop": drop} if script.startswith("drop") else {}))

    async def step(self, asks: list[Ask], **terms: Any) -> tuple[Any, Any]:
        """Carry out the same operations on both, and return what was answered, told and written on each."""
        args, found = self.short.batch(*asks, **terms), []
        for scene in (self.short, self.long):
            async with listening(scene.client, scene.show) as told:
                answer = await ask(scene.scripts, "hold_batch", {"show": scene.show}, **args)
            del answer["spent_us"]
            ranks = sum(type(row) is int for row in answer["out"])
            assert scene is self.short or not ranks
            self.taken += ranks
            found.append((spelt_out(answer, **args), told, await scene.dump()))
        return found[0], found[1]

    async def differs(self, seed: int) -> bool:
        """Whether random steps on a show of its own end differently on the two."""
        chance = random.Random(seed)  # noqa: S311  the same steps for the same seed
        drops, asks = await self.stage(chance), list[Ask]()
        try:
            for number in range(STEPS):
                await self.move(chance, chance.choice(drops))
                known, size = len(asks), chance.choice((1, 3, 20, 60))
                while len(asks) < known + size:
                    asks.append(asked(chance, self.short, drops, asks, number))
                terms = {"addresses": chance.random() < 0.3, "skip_absent": chance.random() < 0.3}
                one, other = await self.step(asks[known:], most_waiting=chance.choice((1000, 2)), **terms)
                if one != other:
                    return True
        finally:
            await self.short.clear()
            await self.long.clear()
        return False


def asked(  # noqa: PLR0911  one per verb
    chance: random.Random, scene: Scene, drops: list[str], old: list[Ask], step: int
) -> Ask:
    """Return an operation: mostly a newcomer's wish, often one that gets into the way of another."""
    viewer = chance.choice(NAMES) if chance.random() < 0.3 else f"viewer {step} {len(old)}"
    verb, drop, units = chance.choice(VERBS), chance.choice(drops), chance.choice((1, 1, 1, 2, 3, 0))
    operation, address = f"op-{len(old)}", chance.choice(("", "10.0.0.1", "10.9.0.2"))
    earlier = chance.choice(old) if old else scene.taking(drop, viewer, operation="first")
    own, _drop, quantity = earlier.items[0]
    match verb:
        case "reserve":
            return scene.taking(drop, viewer, units, operation, address=address)
        case "part":
            return scene.taking(drop, viewer, max(units, 1), operation, part=True, address=address)
        case "bundle" | "claim":
            items = [(each, 1) for each in chance.sample(drops, chance.randint(1, 3))]
            terms = {"claim": verb == "claim", "address": address}
            return scene.bundling(*items, viewer=viewer, operation=operation, **terms)
        case "join":
            return scene.joining(drop, viewer, max(units, 1), operation, address=address)
        case "leave":
            return scene.leaving(drop, viewer)
        case "release":
            return scene.releasing(
                ids.full(scene.show, own), chance.choice((earlier.viewer, earlier.viewer, viewer))
            )
        case "other":  # an id that was given to something else, perhaps by somebody else
            return Ask(
                scene.show, "reserve", chance.choice((earlier.viewer, viewer)), [(own, drop, quantity or 1)]
            )
        case _:
            return earlier


def copied(into: Path, *edits: Edit) -> Path:
    """Return a copy of the scripts with these edits, for which time stands still."""
    shutil.copytree(lua_folder(), into)
    for include, old, new in (*STILL, *edits):
        path = into / "includes" / f"{include}.lua"
        text = path.read_text()
        assert text.count(old) == 1, (include, old)
        path.write_text(text.replace(old, new))
    return into


@asynccontextmanager
async def paired(valkey: Embedded, folder: Path, *edits: Edit) -> AsyncIterator[Pair]:
    """Give a show twice, the one with the short way on scripts with these edits."""
    with beside(valkey.url) as second:
        one, other = connect(valkey.url), connect(second)
        try:
            short = Scene(one, Scripts(one, copied(folder / "short", *edits)))
            yield Pair(short, Scene(other, Scripts(other, copied(folder / "long", LONG))))
        finally:
            await one.aclose()
            await other.aclose()


async def test_the_short_way_ends_where_the_long_one_does(valkey: Embedded, tmp_path: Path) -> None:
    """Answers, messages and, byte by byte, all records are the same, whatever else is in the step."""
    async with paired(valkey, tmp_path) as pair:
        assert [seed for seed in range(SEEDS) if await pair.differs(seed)] == []
        assert pair.taken > 5 * SEEDS


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_short_way_is_caught(valkey: Embedded, tmp_path: Path, fault: str) -> None:
    """The control: where the short way forgets one thing, the same steps end differently."""
    async with paired(valkey, tmp_path, BROKEN[fault]) as pair:
        for seed in range(SEEDS):
            if await pair.differs(seed):
                return
    pytest.fail("no step told the two apart")
