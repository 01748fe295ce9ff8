"""The picture of the show: its video where there is one, the test picture where not, and the hearts upon it."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIP = "https://video.test/clip.mp4"
STREAM = "https://video.test/show.m3u8"
NOT_THERE = r"status of 404|Failed to load|ERR_FAILED"
MOTION: dict[str, Any] = {"reduced_motion": "no-preference"}
# A browser without HLS of its own, as most are.
NO_HLS = "HTMLMediaElement.prototype.canPlayType = () => ''"
RECORD = """async () => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start(100);
  for (let i = 0; i < 30; i += 1) {
    pen.fillStyle = `hsl(${i * 12} 80% 50%)`;
    pen.fillRect(0, 0, 300, 150);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  recorder.stop();
  await new Promise((resolve) => (recorder.onstop = resolve));
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


async def clip(windows: Windows) -> bytes:
    """Return a second of video, as the browser itself records it."""
    context = await windows.browser.new_context()
    page = await context.new_page()
    recorded = base64.b64decode(await page.evaluate(RECORD))
    await context.close()
    return recorded


async def filmed(stage: Stage, url: str | None) -> None:
    """Say where the show's video is."""
    done = await stage.host("PUT", f"/v1/shows/{stage.show}/video", json={"url": url})
    assert done.is_success, done.text


async def test_a_video_plays_muted_until_somebody_wants_to_hear_it(windows: Windows, stage: Stage) -> None:
    """The video starts by itself without sound; one button brings the sound, another one halts the picture."""
    recorded = await clip(windows)

    async def served(page: Page) -> None:
        await page.route(CLIP, lambda route: route.fulfill(body=recorded, content_type="video/webm"))

    await filmed(stage, CLIP)
    page = await windows.viewer(before=served)
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing")
    video = page.locator("#video")
    assert await video.evaluate("video => [video.muted, video.currentSrc]") == [True, CLIP]
    await page.get_by_role("button", name="Sound on").tap()
    await expect(page.get_by_role("button", name="Sound off")).to_be_visible()
    assert await video.evaluate("video => video.muted") is False
    await page.get_by_role("button", name="Pause").tap()
    await expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert await video.evaluate("video => video.paused") is True
    await filmed(stage, None)
    await expect(page.locator("#stage")).to_have_attribute("data-video", "none")
    await expect(page.locator(".test-picture")).to_be_visible()
    await expect(page.get_by_role("button", name="Sound off")).to_be_hidden()


async def test_a_video_that_breaks_off_is_tried_again(windows: Windows, stage: Stage) -> None:
    """A video that is not there is told in words, tried again, and plays once it is there; buying goes on meanwhile."""
    windows.forgive(NOT_THERE)
    recorded = await clip(windows)
    asked: list[str] = []

    async def late(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            await route.abort()
        else:
            await route.fulfill(body=recorded, content_type="video/webm")

    async def served(page: Page) -> None:
        await page.route(CLIP, late)

    await filmed(stage, CLIP)
    page = await windows.viewer(before=served)
    await expect(page.locator("#video-words")).to_have_text("The picture broke off. Trying again…")
    await expect(page.locator(".test-picture")).to_be_visible()
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing")


async def test_hls_is_played_by_the_library_that_is_fetched_for_it(windows: Windows, stage: Stage) -> None:
    """Where the browser knows no HLS the page fetches hls.js, then the playlist; without hls.js it says so."""
    windows.forgive(NOT_THERE)
    asked: list[str] = []

    async def without(page: Page) -> None:
        await page.add_init_script(NO_HLS)
        await page.route("**/vendor/hls.mjs", lambda route: route.fulfill(status=404))

    async def with_library(page: Page) -> None:
        await page.add_init_script(NO_HLS)
        page.on("request", lambda request: asked.append(request.url))
        await page.route(re.compile("https://video.test/.*"), lambda route: route.abort())

    await filmed(stage, STREAM)
    page = await windows.viewer(before=without)
    words = page.locator("#video-words")
    await expect(words).to_have_text("The picture cannot be shown here. Everything else works.")
    other = await windows.viewer(before=with_library)
    await expect(other.locator("#video-words")).to_have_text("The picture broke off. Trying again…")
    assert [url for url in asked if url.endswith("/vendor/hls.mjs")], asked
    assert STREAM in asked


async def test_a_show_without_a_stream_fetches_no_player(windows: Windows) -> None:
    """Nobody loads the library for HLS who does not need it."""
    asked: list[str] = []

    async def counted(page: Page) -> None:
        page.on("request", lambda request: asked.append(request.url))

    page = await windows.viewer(before=counted)
    await page.wait_for_load_state("networkidle")
    assert not [url for url in asked if "vendor" in url]


async def test_hearts_are_merged_into_one_count(windows: Windows) -> None:
    """Each press counts at once for who pressed, and all of them soon for everybody; a few rise for the others too."""
    first, second = await windows.viewer(**MOTION), await windows.viewer(**MOTION)
    heart = first.get_by_role("button", name="Send a heart")
    await second.evaluate(
        """() => { window.rose = 0; new MutationObserver((changes) => { for (const { addedNodes } of changes)
             window.rose += addedNodes.length }).observe(document.querySelector("#hearts"), { childList: true }) }"""
    )
    for _ in range(7):
        await heart.tap()
    await expect(first.locator("#react-count")).to_have_text("7")
    await expect(second.locator("#react-count")).to_have_text("7")
    await second.get_by_role("button", name="Send a heart").tap()
    await expect(first.locator("#react-count")).to_have_text("8")
    await expect(second.get_by_role("button", name="Send a heart (8 hearts)")).to_be_visible()
    assert 1 <= await second.evaluate("window.rose") <= 8
    await expect(second.locator("#hearts svg")).to_have_count(0)


async def test_who_wants_no_motion_sees_hearts_counted_alone(windows: Windows) -> None:
    """With reduced motion nothing rises; the count says the same."""
    page = await windows.viewer()
    await page.get_by_role("button", name="Send a heart").tap()
    await expect(page.locator("#react-count")).to_have_text("1")
    assert await page.locator("#hearts svg").count() == 0
