"""show_video: where the show's video is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.store.answers import unpacked

if TYPE_CHECKING:
    from tests.lua.scene import Scene

FIRST, SECOND = "https://video.example/a.m3u8", "https://video.example/b.mp4"


async def test_moved(scene: Scene) -> None:
    """Everybody is told the new address, or that there is none, and who joins finds the same in the show."""
    await scene.created()
    for url in (FIRST, SECOND, "", FIRST):
        async with scene.watched() as told:
            answer = await scene.moved("show_video", url=url)
        assert [(event["type"], event.get("video_url", "")) for event in told.events] == [
            ("video.changed", url)
        ]
        reply = await scene.scripts.run("show_join", {"show": scene.show}, viewers=["ann"], snapshot=1)
        shown = unpacked(reply[0])["snapshot"]["show"]
        assert shown == answer["show"]
        assert shown.get("video_url", "") == url


async def test_not_found(scene: Scene) -> None:
    """A show that is not there gets no video, and is not made by it."""
    assert await scene.refused("show_video", url=FIRST) == {"outcome": "not-found"}


async def test_wrong_state(scene: Scene) -> None:
    """A show that has ended keeps the video that it had."""
    await scene.live()
    await scene.moved("show_end")
    refused = await scene.refused("show_video", url=FIRST)
    assert refused == {"outcome": "wrong-state", "state": "ended"}
