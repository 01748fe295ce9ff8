"""reaction_add: a gateway's gathered reactions, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.keys import LONGEST_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_counted(scene: Scene) -> None:
    """Counts add up per kind, and every call tells all of them."""
    await scene.live()
    async with scene.watched() as told:
        assert await scene.run("reaction_add", added={"heart": 2}, most=3) == {"outcome": "counted"}
        await scene.run("reaction_add", added={"heart": 1, "fire": 5}, most=3)
    assert [message["counts"] for message in told.counts] == [{"heart": 2}, {"heart": 3, "fire": 5}]


async def test_kinds_are_bounded(scene: Scene) -> None:
    """Beyond the bound new kinds are dropped, known ones still count."""
    await scene.live()
    await scene.run("reaction_add", added={"heart": 1, "fire": 1}, most=2)
    async with scene.watched() as told:
        await scene.run("reaction_add", added={"boo": 9, "heart": 1}, most=2)
    assert told.counts[0]["counts"] == {"heart": 2, "fire": 1}


async def test_a_show_that_goes_gets_no_keys(scene: Scene) -> None:
    """In a show that is gone, or has its TTL, nothing is written and nothing told."""
    assert await scene.refused("reaction_add", added={"heart": 1}, most=3) == {"outcome": "counted"}
    await scene.live()
    await scene.client.pexpire(scene.key("show"), LONGEST_MS)
    assert await scene.refused("reaction_add", added={"heart": 1}, most=3) == {"outcome": "counted"}
