"""idempotency_begin: one request with a key runs; its repeats are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.store.answers import Answer, ask
from server.store.keys import key

if TYPE_CHECKING:
    from tests.lua.scene import Scene

RUNNING_MS = 30_000
DAY_MS = 86_400_000


@pytest.fixture
def request_id() -> str:
    return ids.fingerprint(ids.secret().encode())


async def begin(scene: Scene, request_id: str, body: str = "a") -> Answer:
    ids_ = {"request": request_id}
    args = {"fingerprint": body, "run": "first", "running_ms": RUNNING_MS}
    return await ask(scene.scripts, "idempotency_begin", ids_, **args)


async def test_new(scene: Scene, request_id: str) -> None:
    """The first may run; its key is kept for as long as a run may take."""
    assert await begin(scene, request_id) == {"outcome": "new"}
    assert 0 < await scene.client.pttl(key("idempotency", request=request_id)) <= RUNNING_MS


async def test_running(scene: Scene, request_id: str) -> None:
    """While it runs the same request must wait, and its time does not grow."""
    await begin(scene, request_id)
    place = key("idempotency", request=request_id)
    await scene.client.pexpire(place, 9_000)
    stored = await scene.client.hgetall(place)
    waiting = await begin(scene, request_id)
    assert waiting["outcome"] == "running"
    assert 0 < waiting["retry_after_ms"] <= 9_000
    assert await scene.client.hgetall(place) == stored
    assert await scene.client.pttl(place) <= 9_000


@pytest.mark.parametrize("finished", [False, True])
async def test_mismatch(scene: Scene, request_id: str, *, finished: bool) -> None:
    """Another body under the same key is refused, while the first runs and after it."""
    await begin(scene, request_id)
    if finished:
        await finish(scene, request_id)
    assert await begin(scene, request_id, "another") == {"outcome": "mismatch"}
    assert (await begin(scene, request_id))["outcome"] == ("stored" if finished else "running")


async def test_stored(scene: Scene, request_id: str) -> None:
    """After the first answer every repeat gets it."""
    await begin(scene, request_id)
    await finish(scene, request_id)
    for _ in range(2):
        assert await begin(scene, request_id) == {"outcome": "stored", "status": 201, "body": '{"id":1}'}


async def finish(scene: Scene, request_id: str) -> None:
    answer = {"fingerprint": "a", "run": "first", "status": "201", "body": '{"id":1}', "keep_ms": DAY_MS}
    await ask(scene.scripts, "idempotency_finish", {"request": request_id}, **answer)
