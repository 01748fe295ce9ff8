"""hold_batch: many operations in one step, in their order, written once or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from server.inventory.batcher import MOST_OPERATIONS
from tests.deadlines import packed

if TYPE_CHECKING:
    from tests.lua.scene import Scene

GARBAGE = b"\xc1"  # the one byte that msgpack never uses


async def test_drops_and_verbs_are_mixed(scene: Scene) -> None:
    """Each operation has its outcome in its place; every drop is told once, every viewer what became of theirs."""
    mugs, lamps, hats = await scene.opened(3), await scene.opened(1), await scene.opened(2, mode="draw")
    old = await scene.held(mugs, "zoe", 2)
    async with scene.watched() as told:
        answer = await scene.run(
            "hold_batch",
            **scene.batch(
                scene.taking(lamps, "ann"),
                scene.bundling((mugs, 1), (lamps, 1), viewer="bob"),
                scene.releasing(old, "zoe"),
                scene.taking(mugs, "carl", 4, part=True),
                scene.joining(lamps, "dora"),
                scene.joining(hats, "emil", 2),
                scene.leaving(hats, "fred"),
                scene.taking("dr_none", "gina"),
                scene.joining(lamps, "hugo"),
            ),
        )
    names = [row and row[0] for row in answer["out"]]
    refused = [False, "out-of-stock"]
    entered = ["waiting", "waiting", "waiting", "not-found", "waiting"]
    assert names == ["held", *refused, "released", "held", *entered]
    assert answer["out"][-1] == ["waiting", 2, 2, 1]
    assert (await scene.numbers(mugs), await scene.numbers(lamps)) == ((0, 3, 0), (0, 1, 0))
    assert sorted(stock["drop_id"] for stock in told.stocks) == sorted([mugs, lamps, hats])
    assert sorted(event["drop_id"] for event in told.events) == sorted([mugs, lamps])
    assert told.states == [(old, "released")]
    assert await scene.figure("unmet_demand") == 1


async def test_awards_are_in_the_order_of_the_operations(scene: Scene) -> None:
    """The last units go to those who came first, ranks follow one another, and one note of the log has them all."""
    drop = await scene.opened(3)
    asked = [scene.taking(drop, f"viewer-{number}") for number in range(5)]
    outcomes = await scene.step(*asked)
    assert [row[0] for row in outcomes] == ["held"] * 3 + ["out-of-stock"] * 2
    assert [row[3] for row in outcomes[:3]] == [1, 2, 3]
    assert await scene.awarded(drop) == [(scene.reservation(each), 1) for each in asked[:3]]
    assert (await scene.chain(drop)).notes == 1


async def test_a_full_step(scene: Scene) -> None:
    """A step takes as many operations as the server ever puts into one, each of another viewer."""
    drop = await scene.opened(200)
    asked = [scene.taking(drop, f"viewer-{number}") for number in range(MOST_OPERATIONS)]
    outcomes = await scene.step(*asked)
    assert [row[0] for row in outcomes] == ["held"] * 200 + ["out-of-stock"] * (MOST_OPERATIONS - 200)
    assert await scene.numbers(drop) == (0, 200, 0)
    assert await scene.client.zcard(scene.key("expiry")) == 1
    again = await scene.step(*asked)
    assert [row[0] for row in again] == ["replayed"] * 200 + ["out-of-stock"] * (MOST_OPERATIONS - 200)


async def test_a_refusal_leaves_the_others_alone(scene: Scene) -> None:
    """Of operations in one step each succeeds or fails by itself; all refused, nothing is written but the demand."""
    drop = await scene.opened(1)
    await scene.held(drop, "zoe")
    asked = [
        scene.taking(drop, "ann", 2),
        scene.taking("dr_none"),
        scene.releasing("rs_none"),
        scene.taking(drop, "bob"),
    ]
    assert (await scene.refused_step(*asked, unmet=3))[:2] == ["out-of-stock", 0]


@pytest.mark.parametrize("kind", ["drops", "stock", "mine", "holds", "waiting", "numbers"])
async def test_an_error_half_way_leaves_no_trace(scene: Scene, kind: str) -> None:
    """Where a record cannot be read, whatever came before it in the step, nothing is written and nobody is told."""
    good, drop = await scene.opened(9), await scene.opened(1)
    held = await scene.held(drop, "zoe")
    await scene.joined(drop, "ann")
    fields = {
        "drops": drop,
        "stock": drop,
        "mine": "ann",
        "holds": held.rpartition("_")[2],
        "waiting": "2 ann",
        "numbers": "2",
    }
    place, field = scene.key(kind), fields[kind]
    whole = await scene.client.hget(place, field)
    await scene.client.hset(place, field, GARBAGE)
    before = await scene.dump()
    asked = [
        scene.taking(good, "bob", 2),
        scene.joining(good, "carl", 99),
        scene.releasing(held, "zoe"),
        scene.taking(good, "dora"),
    ]
    async with scene.watched() as told:
        with pytest.raises(ResponseError):
            await scene.step(*asked)
    assert (await scene.dump(), told.nothing) == (before, True)
    await scene.client.hset(place, field, whole or b"")
    assert [row[0] for row in await scene.step(*asked)] == ["held", "waiting", "released", "out-of-stock"]


@pytest.mark.parametrize(
    ("script", "args"),
    [
        ("hold_sweep", {"limit": 10}),
        ("hold_unclaim", {"order": "or_1"}),
        ("drop_restock", {"quantity": 1, "most": 99, "operation": "more"}),
        ("drop_wave", {"by": "host", "operation": "next"}),
        ("drop_promote", {"by": "clock"}),
        ("drop_resume", {}),
    ],
)
async def test_nor_does_one_in_another_script(scene: Scene, script: str, args: dict[str, object]) -> None:
    """Every script that gives units to who waits has read all it needs before it writes."""
    drop = await scene.opened(5, waves=[{"quantity": 1}])
    lapsing, unclaimed, sold, free = [await scene.held(drop, "zoe") for _ in range(4)]
    await scene.claimed(unclaimed, viewer="zoe")
    await scene.authorized(sold, order="or_2", viewer="zoe")
    await scene.lapsed(lapsing, unclaimed)
    await scene.moved("drop_pause", drop=drop)
    await scene.joined(drop, "ann")
    await scene.released(free, "zoe")
    if script != "drop_resume":
        await scene.client.hset(scene.key("drops"), drop, await packed_terms(scene, drop, "open"))
    whole = await scene.client.hget(scene.key("waiting"), "1 ann")
    await scene.client.hset(scene.key("waiting"), "1 ann", GARBAGE)
    before = await scene.dump()
    takes_drop = {} if script.startswith("hold_") else {"drop": drop}
    async with scene.watched() as told:
        with pytest.raises(ResponseError):
            await scene.run(script, **takes_drop, **args)
    assert (await scene.dump(), told.nothing) == (before, True)
    await scene.client.hset(scene.key("waiting"), "1 ann", whole or b"")
    await scene.run(script, **takes_drop, **args)
    assert await scene.queue(drop) == []


async def packed_terms(scene: Scene, drop: str, status: str) -> bytes:
    """Return a drop's terms as they are stored, in another state."""
    return packed({**await scene.terms(drop), "status": status})
