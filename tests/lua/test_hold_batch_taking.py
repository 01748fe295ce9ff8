"""hold_batch, reserve and part: units taken and held until they lapse, or exactly why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lua.scene import HOLD_SECONDS, PRICE

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_held(scene: Scene) -> None:
    """The units move from available to held, with a deadline, and everybody hears the new numbers."""
    drop = await scene.opened(5)
    before = await scene.now()
    asked = scene.taking(drop, "ann", 2)
    async with scene.watched() as told:
        answer = await scene.run("hold_batch", **scene.batch(asked))
    [[outcome, quantity, deadline, rank]] = answer["out"]
    assert (outcome, quantity, rank) == ("held", 2, 1)
    assert before <= deadline - HOLD_SECONDS * 1000 == answer["now"] <= await scene.now()
    assert await scene.numbers(drop) == (3, 2, 0)
    assert [(stock["available"], stock["held"]) for stock in told.stocks] == [(3, 2)]
    assert (told.kinds, told.private) == ([], [])
    hold = await scene.hold(scene.reservation(asked))
    assert hold == {
        "number": 1,
        "viewer": "ann",
        "quantity": 2,
        "state": "held",
        "unit_price": PRICE,
        "expires_at": deadline,
        "rank": 1,
        "order": "",
        "deadline": 0,
        "address": "",
        "returned": 0,
    }


async def test_what_the_caller_must_know_of_the_drop(scene: Scene) -> None:
    """Beside the outcomes stands what the step left of each drop that it named, false for one that is not there."""
    drop = await scene.opened(1)
    asked = [scene.taking(drop, "ann"), scene.taking("dr_none", "bob"), scene.joining(drop, "carl")]
    answer = await scene.run("hold_batch", **scene.batch(*asked))
    stock, terms = await scene.stock(drop), await scene.terms(drop)
    names = ("available", "held", "revision", "gone_at", "waiting")
    row = [stock[name] for name in names]
    assert answer["drops"] == [[*row, terms["opened_at"], "MUG", "EUR", PRICE, HOLD_SECONDS], False]
    assert (row[0], row[1], row[4]) == (0, 1, 1)
    assert stock["gone_at"] == answer["now"]
    assert answer["spent_us"] > 0


async def test_its_deadline_and_its_viewer_are_kept(scene: Scene) -> None:
    """The hold is in the expiry index at its deadline, in its viewer's list, and in the award log with its rank."""
    drop = await scene.opened(5)
    first, second = await scene.held(drop, "bob"), await scene.held(drop, "ann", 2)
    hold = await scene.hold(second)
    assert (hold["viewer"], hold["order"], hold["rank"]) == ("ann", "", 2)
    assert await scene.looked_at(second) == {hold["expires_at"]}
    assert await scene.mine("ann") == [(1, 2, second)]
    assert await scene.awarded(drop) == [(first, 1), (second, 2)]


async def test_sold_out_is_told_when_the_last_unit_goes(scene: Scene) -> None:
    """The log says `drop.sold_out` with the last unit, and within a second not again for stock that flutters."""
    drop = await scene.opened(2)
    await scene.held(drop)
    async with scene.watched() as told:
        last = await scene.held(drop)
        await scene.released(last)
        await scene.held(drop)
    assert [(event["type"], event["drop_id"]) for event in told.events] == [("drop.sold_out", drop)]
    assert [stock["available"] for stock in told.stocks] == [0, 1, 0]


async def test_revisions_grow(scene: Scene) -> None:
    """Every change of the numbers has a higher revision than the one before."""
    drop = await scene.opened(5)
    async with scene.watched() as told:
        for _ in range(3):
            await scene.held(drop)
    revisions = [stock["revision"] for stock in told.stocks]
    assert revisions == sorted(set(revisions))
    assert len(revisions) == 3


async def test_out_of_stock(scene: Scene) -> None:
    """Too few units: the answer has the true numbers, and nothing is written but the demand that was not met."""
    drop = await scene.opened(3)
    await scene.held(drop, "ann", 2)
    opened_at = (await scene.terms(drop))["opened_at"]
    refused = await scene.refused_step(scene.taking(drop, "bob", 2), unmet=2)
    assert refused == ["out-of-stock", 1, 2, 0, opened_at]
    await scene.held(drop, "carl")
    gone_at = (await scene.stock(drop))["gone_at"]
    refused = await scene.refused_step(scene.taking(drop, "bob"), unmet=1)
    assert refused == ["out-of-stock", 0, 3, gone_at, opened_at]


async def test_since_when_nothing_is_left(scene: Scene) -> None:
    """A drop knows since when it is sold out; it forgets as units come back, not where they go on to who waits."""
    drop = await scene.opened(1)
    first = await scene.held(drop, "ann")
    gone_at = (await scene.stock(drop))["gone_at"]
    assert gone_at > 0
    await scene.joined(drop, "bob")
    await scene.released(first, "ann")
    assert (await scene.stock(drop))["gone_at"] == gone_at
    await scene.released((await scene.mine("bob"))[0][2], "bob")
    assert (await scene.stock(drop))["gone_at"] == 0
    await scene.held(drop, "carl")
    assert (await scene.stock(drop))["gone_at"] >= gone_at


async def test_drop_not_open(scene: Scene) -> None:
    """Before a drop opens the answer says when it will, where that is known."""
    await scene.live()
    drop = await scene.planned()
    assert await scene.refused_step(scene.taking(drop)) == ["drop-not-open", "scheduled"]
    planned = await scene.planned(opens_at=2_000_000_000_000)
    refused = await scene.refused_step(scene.taking(planned))
    assert refused == ["drop-not-open", "scheduled", 2_000_000_000_000]


async def test_drop_closed(scene: Scene) -> None:
    """Nothing is taken of a closed drop, whatever the show's state."""
    drop = await scene.opened()
    await scene.moved("drop_close", drop=drop, by="host")
    assert await scene.refused_step(scene.taking(drop)) == ["drop-closed"]
    await scene.moved("show_end")
    assert await scene.refused_step(scene.taking(drop)) == ["drop-closed"]


async def test_show_not_live(scene: Scene) -> None:
    """Nothing is taken while the show halts; the answer names its state."""
    drop = await scene.opened()
    await scene.moved("show_pause")
    assert await scene.refused_step(scene.taking(drop)) == ["show-not-live", "paused"]


async def test_not_found(scene: Scene) -> None:
    """Nothing is taken of a drop that is not there."""
    await scene.live()
    assert await scene.refused_step(scene.taking("dr_none")) == ["not-found"]


@pytest.mark.parametrize("mode", ["first_paid", "draw"])
async def test_wrong_mode(scene: Scene, mode: str) -> None:
    """Where nothing is held, or a draw decides, nothing is taken; a drop that holds takes no claim."""
    drop, usual = await scene.opened(mode=mode), await scene.opened()
    assert await scene.refused_step(scene.taking(drop)) == ["wrong-mode", mode]
    assert await scene.refused_step(scene.taking(drop, part=True)) == ["wrong-mode", mode]
    assert await scene.refused_step(scene.bundling((usual, 1), claim=True)) == ["wrong-mode", "fifo"]


async def test_in_part(scene: Scene) -> None:
    """Who asks for more than is left gets what is left, and waits at the end of the queue for the rest."""
    drop = await scene.opened(3)
    asked = scene.taking(drop, "ann", 5, part=True)
    [[outcome, quantity, _until, rank, *place]] = await scene.step(asked)
    assert (outcome, quantity, rank, place) == ("held", 3, 1, [1, 1, 2])
    hold = scene.reservation(asked)
    assert await scene.mine("ann") == [(1, 3, hold), (-1, 2, f"{hold}w")]
    assert (await scene.numbers(drop), await scene.queue(drop)) == ((0, 3, 0), ["ann"])


async def test_in_part_of_nothing(scene: Scene) -> None:
    """Where nothing is left all of it waits; where everything is there, nothing does."""
    drop = await scene.opened(2)
    full = scene.taking(drop, "zoe", 2, part=True)
    assert [row[:2] for row in await scene.step(full)] == [["held", 2]]
    nothing = scene.taking(drop, "ann", 3, part=True)
    [[outcome, quantity, _until, _rank, *place]] = await scene.step(nothing)
    assert (outcome, quantity, place) == ("held", 0, [1, 1, 3])
    assert await scene.mine("ann") == [(-1, 3, f"{scene.reservation(nothing)}w")]
    assert await scene.awarded(drop) == [(scene.reservation(full), 2)]


async def test_in_part_without_a_queue(scene: Scene) -> None:
    """A drop without a waitlist, or with a full one, gives what is left and no place; of nothing it refuses."""
    drop = await scene.opened(2, waitlist=False)
    [row] = await scene.step(scene.taking(drop, "ann", 3, part=True))
    assert (row[:2], len(row), await scene.queue(drop)) == (["held", 2], 4, [])
    refused = await scene.refused_step(scene.taking(drop, "bob", 1, part=True), unmet=1)
    assert refused[:2] == ["out-of-stock", 0]
    full = await scene.opened(1)
    await scene.held(full, "zoe")
    await scene.joined(full, "yan")
    refused = await scene.refused_step(scene.taking(full, "bob", 1, part=True), unmet=1, most_waiting=1)
    assert refused[:2] == ["out-of-stock", 0]
