"""idempotency_finish: the first answer is kept, or the key is free again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.store.answers import Answer, ask
from server.store.keys import key

if TYPE_CHECKING:
    from tests.lua.scene import Scene

DAY_MS = 86_400_000


@pytest.fixture
async def running(scene: Scene) -> str:
    """Give the id of a request that runs."""
    request = ids.fingerprint(ids.secret().encode())
    begun = {"fingerprint": "a", "run": "first", "running_ms": 30_000}
    assert (await ask(scene.scripts, "idempotency_begin", {"request": request}, **begun))["outcome"] == "new"
    return request


async def finish(scene: Scene, request: str, status: str, body: str = "", run: str = "first") -> Answer:
    answer = {"fingerprint": "a", "run": run, "status": status, "body": body, "keep_ms": DAY_MS}
    return await ask(scene.scripts, "idempotency_finish", {"request": request}, **answer)


async def test_stored(scene: Scene, running: str) -> None:
    """The answer is kept for a day."""
    assert await finish(scene, running, "409", "{}") == {"outcome": "stored"}
    place = key("idempotency", request=running)
    stored = await scene.client.hgetall(place)
    assert stored == {b"fingerprint": b"a", b"run": b"first", b"status": b"409", b"body": b"{}"}
    assert DAY_MS - 60_000 < await scene.client.pttl(place) <= DAY_MS


async def test_freed(scene: Scene, running: str) -> None:
    """Where nothing was decided the key is as if it had never been used; freeing it twice is harmless."""
    for _ in range(2):
        assert await finish(scene, running, "0") == {"outcome": "freed"}
    assert not await scene.client.exists(key("idempotency", request=running))


@pytest.mark.parametrize("status", ["0", "201"])
async def test_elsewhere(scene: Scene, running: str, status: str) -> None:
    """A run whose key has passed to a later one changes nothing of it."""
    place = key("idempotency", request=running)
    before = await scene.client.hgetall(place)
    assert await finish(scene, running, status, run="an older one") == {"outcome": "elsewhere"}
    assert await scene.client.hgetall(place) == before


async def test_a_run_that_outlived_its_key_is_stored(scene: Scene, running: str) -> None:
    """The key had gone and nobody else came: the answer is kept all the same."""
    place = key("idempotency", request=running)
    await scene.client.delete(place)
    assert await finish(scene, running, "201", "{}") == {"outcome": "stored"}
    assert await scene.client.hget(place, "status") == b"201"
