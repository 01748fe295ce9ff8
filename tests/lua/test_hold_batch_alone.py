"""hold_batch: a step is exactly as if each of its operations had come alone, one after the other."""

from __future__ import annotations

import random
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from server.store.lua import lua_folder
from server.store.scripts import Scripts
from tests.lua.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.inventory.asks import Ask

VIEWERS = ("ann", "bob", "carl", "dora", "emil")
OPERATIONS = 40

Plan = tuple[str, str, int, int, int]  # verb, viewer, drop, units, which earlier operation


def planned(seed: int) -> list[Plan]:
    """Return operations that get into each other's way: few units, few viewers, everything given back at once."""
    chance = random.Random(seed)  # noqa: S311  the same operations for the same seed
    verbs = ("reserve", "reserve", "part", "bundle", "release", "release", "join", "join", "leave", "repeat")
    return [
        (
            chance.choice(verbs),
            chance.choice(VIEWERS),
            chance.randrange(3),
            chance.randint(1, 3),
            chance.randrange(at + 1),
        )
        for at in range(OPERATIONS)
    ]


async def stage(scene: Scene) -> list[str]:
    """Make a live show with limits and three drops, the last of them a draw; return the drops."""
    await scene.created(limit_per_viewer=7)
    await scene.moved("show_start")
    terms: dict[str, Any] = {"limit_per_viewer": 4}
    return [
        await scene.opened(4, **terms),
        await scene.opened(2, **terms),
        await scene.opened(2, mode="draw", **terms),
    ]


def asked(scene: Scene, drops: list[str], plan: list[Plan]) -> list[Ask]:
    """Return the operations of a plan for one show."""
    asks: list[Ask] = []
    for number, (verb, viewer, which, units, earlier) in enumerate(plan):
        drop, operation = drops[which], f"op-{number}"
        old = asks[earlier] if earlier < number else None
        match verb:
            case "reserve" | "part":
                asks.append(scene.taking(drop, viewer, units, operation, part=verb == "part"))
            case "bundle":
                asks.append(
                    scene.bundling((drops[0], 1), (drops[1], units), viewer=viewer, operation=operation)
                )
            case "join":
                asks.append(scene.joining(drop, viewer, units, operation))
            case "leave":
                asks.append(scene.leaving(drop, viewer))
            case "release" if old:
                asks.append(scene.releasing(scene.reservation(old), old.viewer))
            case "repeat" if old:
                asks.append(old)
            case _:
                asks.append(scene.taking(drop, viewer, 1, operation))
    return asks


def outcome(row: Any) -> Any:
    """Return what does not depend on when it was looked at: a place's numbers are those at the end of the step."""
    if not row or row[0] == "waiting":
        return row and row[0]
    if row[0] == "held":
        return row[0], row[1], row[3] if row[1] else 0
    if row[0] in {"replayed", "released"}:
        return row[0], row[1]["quantity"], row[1]["state"]
    return row[:2] if row[0] == "out-of-stock" else row[:1]


async def left(scene: Scene, drops: list[str]) -> Any:
    """Return what the operations left: numbers, queues, awards in their order, and what each viewer has."""
    rows = []
    for drop in drops:
        holds = [(await scene.hold(own), units) for own, units in await scene.awarded(drop)]
        awards = [(hold["viewer"], units, hold["rank"], hold["state"]) for hold, units in holds]
        stock, queue = await scene.stock(drop), await scene.queue(drop)
        if drop == drops[-1]:
            queue.sort()  # a draw's order is each show's own
        rows.append((await scene.numbers(drop), queue, awards, stock["backlog"], stock["joined"]))
    mine = {viewer: [row[:2] for row in await scene.mine(viewer)] for viewer in VIEWERS}
    return rows, mine, await scene.figure("unmet_demand")


async def compared(together: Scene, alone: Scene, seed: int) -> tuple[Any, Any]:
    """Carry the same plan out in one step and one by one; return what came of it both ways."""
    plan = planned(seed)
    found = []
    for scene, size in ((together, OPERATIONS), (alone, 1)):
        drops = await stage(scene)
        asks = asked(scene, drops, plan)
        rows = [row for at in range(0, len(asks), size) for row in await scene.step(*asks[at : at + size])]
        found.append(([outcome(row) for row in rows], await left(scene, drops)))
        await scene.audit()
    return found[0], found[1]


@asynccontextmanager
async def another(scene: Scene, scripts: Scripts) -> AsyncIterator[Scene]:
    """Give one more show, on these scripts."""
    one = Scene(scene.client, scripts)
    yield one
    await one.clear()


@pytest.mark.parametrize("seed", range(30))
async def test_as_if_each_had_come_alone(scene: Scene, seed: int) -> None:
    """Outcomes, numbers, queues, the order of awards, and what each viewer has at the end are the same."""
    async with another(scene, scene.scripts) as alone:
        one, other = await compared(scene, alone, seed)
    assert one == other


async def test_a_step_that_serves_the_queue_at_its_end_is_caught(scene: Scene, tmp_path: Path) -> None:
    """The control: where units go to who waits only once all operations are through, the same comparison differs."""
    folder = tmp_path / "lua"
    shutil.copytree(lua_folder(), folder)
    release = folder / "includes" / "batch_release.lua"
    text = release.read_text()
    assert text.count("desk_promote(desk, drop)") == 1
    release.write_text(text.replace("desk_promote(desk, drop)", ""))
    late = Scripts(scene.client, folder)
    differing = 0
    for seed in range(10):
        async with another(scene, late) as together, another(scene, scene.scripts) as alone:
            one, other = await compared(together, alone, seed)
            differing += one != other
    assert differing > 0
