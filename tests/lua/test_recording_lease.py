"""recording_lease: one recorder has a show, for as long as it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import packed, redis_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.answers import Answer
    from tests.lua.scene import Scene

LEASE_MS = 5_000
PLACE = key("recordings")


@pytest.fixture(autouse=True)
async def nothing_recorded(scene: Scene) -> AsyncIterator[None]:
    """Leave no lease behind."""
    yield
    await scene.client.delete(PLACE)


async def lease(scene: Scene, whose: str = "mine", lease_ms: int = LEASE_MS, **args: Any) -> Answer:
    usual = {"show": scene.show, "most": 2}
    return await scene.run("recording_lease", secret=whose, lease_ms=lease_ms, **{**usual, **args})


async def leases(scene: Scene) -> dict[str, list[Any]]:
    found = await reads.fields(scene.client, PLACE, "leases")
    return {show.decode(): unpacked(lease) for show, lease in found.items()}


async def let_lapse(scene: Scene) -> None:
    """Let all leases be over, and still be there."""
    for show, (_, secret) in (await leases(scene)).items():
        await scene.client.hset(PLACE, show, packed([await redis_now(scene.client) - 1, secret]))


async def test_leased(scene: Scene) -> None:
    """The lease says until when, and whose it is; it goes by itself, also where nobody ends it."""
    answer = await lease(scene)
    assert (answer["outcome"], answer["running"]) == ("leased", False)
    assert await leases(scene) == {scene.show: [answer["now"] + LEASE_MS, "mine"]}
    assert 0 < await scene.client.pttl(PLACE) <= LEASE_MS


async def test_renewed(scene: Scene) -> None:
    """Who has it has it for longer; after a break they hear that there was one."""
    first = await lease(scene)
    second = await lease(scene)
    assert second["running"]
    assert second["now"] >= first["now"]
    await let_lapse(scene)
    third = await lease(scene)
    assert (third["outcome"], third["running"]) == ("leased", False)


async def test_taken(scene: Scene) -> None:
    """Nobody else can record, renew or end it while it lasts; after that they can."""
    await lease(scene)
    before = await leases(scene)
    assert await lease(scene, "theirs") == {"outcome": "taken"}
    assert await lease(scene, "theirs", 0) == {"outcome": "taken"}
    assert await leases(scene) == before
    await let_lapse(scene)
    assert await lease(scene, "theirs", 0) == {"outcome": "taken"}
    assert (await lease(scene, "theirs"))["outcome"] == "leased"
    assert [secret for _, secret in (await leases(scene)).values()] == ["theirs"]


async def test_ended(scene: Scene) -> None:
    """Who has it gives it up, at once; giving up what nobody has changes nothing."""
    await lease(scene)
    assert await lease(scene, lease_ms=0) == {"outcome": "ended"}
    assert not await scene.client.exists(PLACE)
    assert await lease(scene, lease_ms=0) == {"outcome": "ended"}


async def test_limit_reached(scene: Scene) -> None:
    """So many shows at the same time; one that lapsed makes room, and is forgotten."""
    await lease(scene, show="sh_a")
    await lease(scene, show="sh_b")
    assert await lease(scene) == {"outcome": "limit-reached", "limit": 2}
    assert (await lease(scene, show="sh_b"))["running"]
    await let_lapse(scene)
    assert (await lease(scene))["outcome"] == "leased"
    assert (await leases(scene)).keys() == {scene.show}
