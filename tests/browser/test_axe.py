"""axe-core finds nothing on any state of either page, light and dark, from left to right and from right to left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser import tour
from tests.browser.axe import complaints
from tests.browser.cable import Cable
from tests.browser.windows import card

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLOURS = "color-contrast"  # the one rule for which another scheme is another page
LANGUAGES = pytest.mark.parametrize("locale", ["en-IE", "ar"])


class Judge:
    """Looks at a page in both schemes and keeps what is wrong, and which states it has seen."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.seen: list[str] = []

    async def look(self, state: str, page: Page) -> None:
        """Let axe-core judge the page as it is."""
        self.seen.append(state)
        self.wrong += [f"{state}: {one}" for one in await complaints(page)]
        await page.emulate_media(color_scheme="dark")
        self.wrong += [f"{state}, dark: {one}" for one in await complaints(page, COLOURS)]
        await page.emulate_media(color_scheme="light")


@LANGUAGES
async def test_every_state_of_the_viewers_page(
    windows: Windows, stage: Stage, books: set[str], locale: str
) -> None:
    """From before the show to its end, with the sheet, the line and the break: nothing that breaks a rule."""
    judge = Judge()
    await tour.announce(stage)
    books.add(stage.show)
    async with Cable(stage.server.port) as cable:
        await tour.ViewersTour(windows, cable, judge.look).walk(locale=locale)
    assert judge.wrong == []
    assert judge.seen == list(tour.VIEWER)


@LANGUAGES
async def test_every_state_of_the_console(
    windows: Windows, stage: Stage, books: set[str], locale: str
) -> None:
    """Before the start, with drops in each state, with every part that opens, and after the end: nothing either."""
    judge = Judge()
    await tour.announce(stage)
    books.add(stage.show)
    mug, lamp, bag = [
        await stage.drop(9, sku=sku, opened=False) for sku in ("MUG-LAGOON", "LAMP-BRASS", "BAG-OLI")
    ]
    page = await windows.host(locale=locale, says=None)
    await expect(card(page, mug)).to_be_visible()
    await judge.look("console-before", page)
    await tour.done(stage, "POST", f"/v1/shows/{stage.show}/start")
    await stage.move(lamp, "open", countdown_ms=tour.COUNTDOWN_MS)
    for drop in (mug, bag):
        await stage.move(drop, "open")
    await tour.sold(stage, mug)
    await stage.reserve(stage.viewer(), mug)
    await stage.move(bag, "close")
    await expect(card(page, bag)).to_have_attribute("data-status", "closed")
    await expect(page.locator("#orders .order")).to_have_count(1)
    await tour.console_states(page, judge.look)
    await tour.done(stage, "POST", f"/v1/shows/{stage.show}/end")
    await expect(page.locator("#show-status")).to_have_attribute("data-status", "ended")
    await judge.look("console-ended", page)
    assert judge.wrong == []
    assert judge.seen == list(tour.CONSOLE)


async def test_the_judge_finds_what_is_wrong(windows: Windows, stage: Stage) -> None:
    """Control: a button without a name is found once, and words that only the dark scheme makes pale in that one."""
    await stage.drop(1)
    page = await windows.viewer()
    await page.evaluate(
        """() => { const sheet = new CSSStyleSheet();
             sheet.replaceSync("@media (prefers-color-scheme: dark) { .facts h3 { color: #444; background: #333 } }");
             document.adoptedStyleSheets = [sheet];
             document.querySelector("main").append(document.createElement("button")) }"""
    )
    judge = Judge()
    await judge.look("open", page)
    assert [one.split(": ")[:2] for one in judge.wrong] == [
        ["open", "critical button-name"],
        ["open, dark", f"serious {COLOURS}"],
    ]
