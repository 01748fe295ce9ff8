"""The viewer's page is light: on the way to a phone, compressed, and all from one place."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.weight import MOST_BYTES, SHOWN, Scales
from tests.browser.windows import card
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAIN = """() => performance.getEntriesByType("resource")
  .filter(({ encodedBodySize, decodedBodySize }) => decodedBodySize > 2000 && encodedBodySize > 0.6 * decodedBodySize)
  .map(({ name }) => name)"""


@pytest.mark.parametrize("locale", ["en-IE", "hi"])
async def test_the_viewers_page_is_light(windows: Windows, stage: Stage, locale: str) -> None:
    """All that comes over the wire before a drop can be taken, pictures apart, is below 120 KiB and from one place."""
    scales = Scales()

    async def weighed(page: Page) -> None:
        await scales.under(page)

    drop = await stage.drop(3)
    page = await windows.viewer(before=weighed, locale=locale, says=None)
    await expect(card(page, drop)).to_have_attribute("data-kind", "open")
    await page.wait_for_load_state("networkidle")
    assert scales.total < MOST_BYTES, sorted((file.size, file.url) for file in scales.files)
    assert {urlsplit(file.url).netloc for file in scales.files} == {urlsplit(stage.server.url).netloc}
    names = {urlsplit(file.url).path.rpartition("/")[2] for file in scales.files if file.counts}
    assert {stage.show, "viewer.js", "livedrop.js", "style.css"} <= names
    assert await page.evaluate(PLAIN) == []


async def test_the_scales_feel_what_is_added(windows: Windows) -> None:
    """Control: what a page fetches later is weighed as it travels, smaller than it is; a picture does not count."""
    scales = Scales()

    async def weighed(page: Page) -> None:
        await scales.under(page)

    page = await windows.viewer(before=weighed)
    await page.wait_for_load_state("networkidle")
    before = scales.total
    plain = await page.evaluate("fetch('/static/host.css').then(async (file) => (await file.text()).length)")
    await wait_for(lambda: scales.total > before, "the file was weighed")
    assert plain / 10 < scales.total - before < plain
    with_file, pictures = scales.total, len(scales.files)
    await page.evaluate("Object.assign(new Image(), { src: '/static/sample/mug.svg' }).decode()")
    await wait_for(lambda: len(scales.files) > pictures, "the picture was seen")
    assert scales.total == with_file
    assert scales.files[-1].kind in SHOWN
