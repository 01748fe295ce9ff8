"""show_sample: a note of the show's figures, once in a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.lua.scene import Scene

OFTEN: dict[str, Any] = {"every_ms": 1, "most": 10}


async def noted(scene: Scene) -> list[tuple[int, Any]]:
    """Return the notes: when, and what."""
    rows: Any = await scene.client.xrange(scene.key("series"))
    return [(int(name.partition(b"-")[0]), msgpack.unpackb(fields[b"p"])) for name, fields in rows]


@pytest.mark.parametrize("state", ["live", "paused"])
async def test_noted(scene: Scene, state: str) -> None:
    """While the show is on, a note is kept as it was given, with the moment; nobody is told."""
    await scene.live()
    if state == "paused":
        await scene.moved("show_pause")
    before = await scene.now()
    async with scene.watched() as told:
        answer = await scene.run("show_sample", point=msgpack.packb([1, 0.5]), **OFTEN)
    assert (answer, told.nothing) == ({"outcome": "noted"}, True)
    ((at, point),) = await noted(scene)
    assert (before <= at <= await scene.now(), point) == (True, [1, 0.5])


async def test_early(scene: Scene) -> None:
    """Of several who note at the same time one does; the next note is due so many ms later."""
    await scene.live()
    await scene.run("show_sample", point=msgpack.packb([1]), **OFTEN)
    late: dict[str, Any] = {"every_ms": 60_000, "most": 10}
    assert await scene.refused("show_sample", point=msgpack.packb([2]), **late) == {"outcome": "early"}
    assert [point for _at, point in await noted(scene)] == [[1]]


async def test_the_newest_are_kept(scene: Scene) -> None:
    """A long show forgets its beginning."""
    await scene.live()
    for number in range(4):

        async def told(point: int = number) -> bool:
            answer = await scene.run("show_sample", point=msgpack.packb([point]), every_ms=1, most=2)
            return bool(answer["outcome"] == "noted")

        await wait_for(told, "the next millisecond")
    assert [point for _at, point in await noted(scene)] == [[2], [3]]


@pytest.mark.parametrize("state", ["scheduled", "ended"])
async def test_wrong_state(scene: Scene, state: str) -> None:
    """Before and after there is nothing to note."""
    await scene.created()
    if state == "ended":
        await scene.moved("show_end")
    refused = await scene.refused("show_sample", point=msgpack.packb([1]), **OFTEN)
    assert refused == {"outcome": "wrong-state", "state": state}


async def test_not_found(scene: Scene) -> None:
    """A show that is not there has no figures."""
    assert await scene.refused("show_sample", point=msgpack.packb([1]), **OFTEN) == {"outcome": "not-found"}
