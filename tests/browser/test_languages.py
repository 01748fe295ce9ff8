"""The pages speak the reader's language: the browser's, until somebody chooses another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from server.api.pages import WEB
from tests.browser.windows import card

if TYPE_CHECKING:
    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


def says(language: str, key: str) -> str:
    """Return what both pages say in a language."""
    common = json.loads((WEB / "words" / language / "common.json").read_text(encoding="utf-8"))
    return str(common[key])


async def test_a_choice_is_remembered_and_costs_nothing(windows: Windows, stage: Stage) -> None:
    """An Austrian's page is German; who chooses Greek keeps the unit on hold, and has Greek at the next visit too."""
    drop = await stage.drop(2)
    page = await windows.viewer(locale="de-AT", says=says("de", "connection.live"))
    html = page.locator("html")
    await expect(html).to_have_attribute("lang", "de")
    take = card(page, drop).locator(".take")
    await take.tap()
    await expect(card(page, drop).locator("b[data-held]")).to_have_attribute("data-held", "1")
    await page.locator("#language").select_option("el")
    await expect(html).to_have_attribute("lang", "el")
    await expect(page.locator("#connection")).to_have_text(says("el", "connection.live"))
    await expect(card(page, drop).locator("b[data-held]")).to_have_attribute("data-held", "1")
    await page.goto(f"{stage.server.url}/watch/{stage.show}")
    await expect(html).to_have_attribute("lang", "el")
    await expect(page.locator("#language")).to_have_value("el")
    await page.goto(f"{stage.server.url}/watch/{stage.show}?lang=es")
    await expect(html).to_have_attribute("lang", "es")


@pytest.mark.parametrize("language", ["ar", "de", "el", "es", "hi"])
async def test_amounts_are_written_as_the_language_does(
    windows: Windows, stage: Stage, language: str
) -> None:
    """A price stands there in the drop's currency, as the browser's formatter writes it in the page's language."""
    drop = await stage.drop(1)
    page = await windows.viewer(locale=language, says=says(language, "connection.live"))
    expected = await page.evaluate(
        "language => new Intl.NumberFormat(language, { style: 'currency', currency: 'EUR' }).format(12.5)",
        language,
    )
    await expect(card(page, drop)).to_contain_text(expected)
    await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide, "the page is wider than the phone"


async def test_the_console_is_translated_too(windows: Windows) -> None:
    """The host's console of an Arab browser is Arabic, from right to left, and offers all languages."""
    desk = await windows.host(locale="ar", says=says("ar", "connection.live"))
    await expect(desk.locator("html")).to_have_attribute("dir", "rtl")
    names = await desk.locator("#language option").all_text_contents()
    assert names == ["English", "العربية", "Deutsch", "Ελληνικά", "Español", "हिन्दी"]
