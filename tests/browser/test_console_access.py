"""The host's console for everybody: axe-core finds nothing in any of its states, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.axe import complaints
from tests.browser.test_console import curve, with_curve
from tests.browser.windows import card

if TYPE_CHECKING:
    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(windows: Windows, stage: Stage, scheme: str) -> None:
    """With curves, orders, a link, the form, a countdown and the help; paused, and at the end."""
    drop, buyer = await stage.drop(3), stage.viewer()
    await stage.pay(buyer, (await stage.reserve(buyer, drop)).json()["id"])
    counting = await stage.drop(3, opened=False)
    await stage.move(counting, "open", countdown_ms=600_000)
    await stage.move(await stage.drop(3), "close")
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["LAMP"]})
    page = await windows.host(color_scheme=scheme)
    await with_curve(page, curve(5))
    await expect(page.locator("#metrics canvas")).to_have_count(8)
    await page.locator("#orders .opener").click()
    await page.get_by_role("button", name="New moderator link").click()
    await page.locator("#products").get_by_role("button", name="Prepare a drop: Desk Lamp").click()
    await expect(page.get_by_role("textbox", name="Moderator link")).to_be_visible()
    await expect(card(page, counting)).to_be_visible()
    assert await complaints(page) == []
    await page.locator("h1").click()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await complaints(page) == []
    await page.keyboard.press("Escape")
    for verb, words in (("pause", "Paused"), ("end", "Ended")):
        await stage.host("POST", f"/v1/shows/{stage.show}/{verb}")
        await expect(page.locator("#show-status")).to_have_text(words)
        assert await complaints(page) == []


async def test_axe_would_find_something(windows: Windows, stage: Stage) -> None:
    """Control: a button without a name is found."""
    await stage.drop(1)
    page = await windows.host()
    await page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [each.split(":")[0] for each in await complaints(page)] == ["critical button-name"]
