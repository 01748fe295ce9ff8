"""show_join: where the log stands, with what was missed or the full picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store.answers import unpacked
from tests.lua.scene import LOG_LENGTH
from tests.lua.told import read_log, top_of

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def joined(scene: Scene, epoch: str = "", since: int = 0) -> tuple[dict[str, Any], list[bytes]]:
    """Join as ann; assert that joining writes nothing; return the answer and the missed events."""
    before = await scene.dump()
    async with scene.watched() as told:
        reply = await scene.scripts.run(
            "show_join", {"show": scene.show}, viewer="ann", epoch=epoch, since=since
        )
    assert told.nothing
    assert await scene.dump() == before
    return unpacked(reply[0]), list(reply[2:])


async def test_snapshot(scene: Scene) -> None:
    """A new viewer gets the show, the drops with their numbers, their own reservations, and the viewer count."""
    drop = await scene.opened(5)
    mine = await scene.held(drop, "ann", 2)
    await scene.held(drop, "bob")
    await scene.run("viewer_present", here=["ann", "bob"], left=[], lease_ms=60_000)
    answer, missed = await joined(scene)
    snapshot = answer["snapshot"]
    assert (answer["outcome"], answer["epoch"], answer["offset"], missed) == ("snapshot", "first", 3, [])
    assert (snapshot["show"]["status"], snapshot["viewers"], snapshot["waitlist"]) == ("live", 2, [])
    numbers = [snapshot["drops"][0][name] for name in ("id", "available", "held", "sold", "quantity")]
    assert numbers == [drop, 2, 3, 0, 5]
    assert [(own["id"], own["quantity"], own["state"]) for own in snapshot["reservations"]] == [
        (mine, 2, "held")
    ]
    assert answer["server_time_at"] <= await scene.now()


@pytest.mark.parametrize("since", range(5))
async def test_recovered(scene: Scene, since: int) -> None:
    """Who knows the epoch gets exactly the bytes of the log after their offset, none where they are at its top."""
    drop = await scene.opened()
    await scene.moved("drop_pause", drop=drop)
    answer, missed = await joined(scene, "first", since)
    assert (answer["outcome"], answer["offset"], "snapshot" in answer) == ("recovered", 4, False)
    assert missed == [packed for offset, packed in await read_log(scene.client, scene.show) if offset > since]


async def test_recovered_with_the_newest_numbers(scene: Scene) -> None:
    """A returning viewer gets every drop's numbers, which no event of the log would bring, and their reservations."""
    first, second = await scene.opened(5), await scene.opened(7)
    mine = await scene.held(second, "ann", 3)
    answer, _missed = await joined(scene, "first", 5)
    stocks = {stock["drop_id"]: (stock["available"], stock["held"]) for stock in answer["stocks"]}
    assert stocks == {first: (5, 0), second: (4, 3)}
    assert [own["id"] for own in answer["reservations"]] == [mine]


@pytest.mark.parametrize(("epoch", "since"), [("another", 2), ("first", 5)])
async def test_another_life_of_the_log(scene: Scene, epoch: str, since: int) -> None:
    """Another epoch, or an offset that the log has not reached, starts over."""
    drop = await scene.opened()
    await scene.moved("drop_pause", drop=drop)
    assert (await joined(scene, epoch, since))[0]["outcome"] == "snapshot"


async def test_a_log_that_was_trimmed(scene: Scene) -> None:
    """The log keeps its newest events; who is further behind by one starts over, who is not recovers all."""
    await scene.live()
    for _ in range(LOG_LENGTH // 2 + 5):
        await scene.moved("show_pause")
        await scene.moved("show_resume")
    assert len(await read_log(scene.client, scene.show)) == LOG_LENGTH
    top = await top_of(scene.client, scene.show)
    answer, missed = await joined(scene, "first", top - LOG_LENGTH)
    assert (answer["outcome"], len(missed)) == ("recovered", LOG_LENGTH)
    answer, missed = await joined(scene, "first", top - LOG_LENGTH - 1)
    assert (answer["outcome"], missed) == ("snapshot", [])


async def test_not_found(scene: Scene) -> None:
    """A show that is not there cannot be joined."""
    assert await joined(scene) == ({"outcome": "not-found"}, [])
