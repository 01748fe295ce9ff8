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
    begun = {"fingerprint": "a", "running_ms": 30_000}
    assert (await ask(scene.scripts, "idempotency_begin", {"request": request}, **begun))["outcome"] == "new"
    return request


async def finish(scene: Scene, request: str, status: str, body: str = "") -> Answer:
    answer = {"fingerprint": "a", "status": status, "body": body, "keep_ms": DAY_MS}
    return await ask(scene.scripts, "idempotency_finish", {"request": request}, **answer)


async def test_stored(scene: Scene, running: str) -> None:
    """The answer is kept for a day."""
    assert await finish(scene, running, "409", "{}") == {"outcome": "stored"}
    place = key("idempotency", request=running)
    stored = await scene.client.hgetall(place)
    assert stored == {b"fingerprint": b"a", b"status": b"409", b"body": b"{}"}
    assert DAY_MS - 60_000 < await scene.client.pttl(place) <= DAY_MS


async def test_freed(scene: Scene, running: str) -> None:
    """Where nothing was decided the key is as if it had never been used; freeing it twice is harmless."""
    for _ in range(2):
        assert await finish(scene, running, "0") == {"outcome": "freed"}
    assert not await scene.client.exists(key("idempotency", request=running))
