"""tape_add: a batch of arrivals, kept for its recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.store import reads

if TYPE_CHECKING:
    from tests.lua.scene import Scene

KEEP_MS = 30_000


async def kept(scene: Scene) -> list[bytes]:
    """Return the batches on the tape, oldest first."""
    rows = await reads.stream_behind(scene.client, scene.key("tape"), "", 100, "tape")
    return [fields[b"b"] for _, fields in rows]


async def test_told(scene: Scene) -> None:
    """Batches stand in their order, and go by themselves."""
    for batch in (b"one", b"two"):
        added = await scene.run("tape_add", batch=batch, most=10, keep_ms=KEEP_MS)
        assert added == {"outcome": "told"}
    assert await kept(scene) == [b"one", b"two"]
    assert 0 < await scene.client.pttl(scene.key("tape")) <= KEEP_MS


async def test_bounded(scene: Scene) -> None:
    """Beyond the bound the oldest go."""
    for number in range(5):
        await scene.run("tape_add", batch=str(number), most=2, keep_ms=KEEP_MS)
    assert await kept(scene) == [b"3", b"4"]
