"""show_create: a scheduled show with an empty log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lua.scene import LOG_LENGTH

if TYPE_CHECKING:
    from tests.lua.scene import Scene

TERMS = {"title": "A show", "currency": "EUR", "host": "hanna", "starts_at": 1_800_000_000_000}


async def test_created(scene: Scene) -> None:
    """A new show is scheduled, its log stands at 0, and its answer shows neither host nor epoch."""
    before = await scene.now()
    terms = {**TERMS, "id": scene.show}
    made = await scene.run("show_create", terms=terms, epoch="e1", log_length=LOG_LENGTH)
    show = made["show"]
    assert made["outcome"] == "created"
    assert before <= show.pop("created_at") <= await scene.now()
    assert show == {
        "id": scene.show,
        "title": "A show",
        "currency": "EUR",
        "starts_at": 1_800_000_000_000,
        "status": "scheduled",
    }
    stored = await scene.client.hgetall(scene.key("show"))
    assert (stored[b"epoch"], stored[b"offset"], stored[b"log_length"]) == (b"e1", b"0", b"100")
    await scene.client.delete(scene.key("show"))


async def test_replayed(scene: Scene) -> None:
    """Making it again, even with other terms, returns the show as it is and writes nothing."""
    await scene.live()
    terms = {**TERMS, "id": scene.show, "title": "Another"}
    again = await scene.refused("show_create", terms=terms, epoch="e2", log_length=5)
    assert again["outcome"] == "replayed"
    assert (again["show"]["title"], again["show"]["status"]) == ("A show", "live")
