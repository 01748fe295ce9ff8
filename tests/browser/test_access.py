"""For everybody: without a mouse, with a screen reader, and safe from what a feed says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.windows import DESK, card

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_TABS = 60
HOSTILE_TITLE = "<script>document.title='owned'</script><img src=x onerror=alert(1)> Mug & Co"
HOSTILE_FEED = f"""Handle,Title,Body (HTML),Vendor,Variant SKU,Variant Price
hostile,{HOSTILE_TITLE},"<p onclick=alert(1)>Fine</p><script>alert(1)</script>",<b>Vendor</b>,<i>SKU</i>,9.00
"""
# In the tree that screen readers get: something to act on or to be told about that has no name.
NAMELESS = re.compile(r"- (button|link|textbox|searchbox|spinbutton|dialog|heading|img|article)( \[.*\])?:?")


async def tab_to(page: Page, target: Locator) -> None:
    """Press the tab key until the target has the focus."""
    for _ in range(MOST_TABS):
        if await target.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{MOST_TABS} tabs do not reach {target}")


async def test_taking_and_paying_needs_only_a_keyboard(windows: Windows, stage: Stage) -> None:
    """With Tab and Enter alone: the button keeps the focus from before the opening to paying, and has it afterwards."""
    drop = await stage.drop(3, opened=False)
    page = await windows.viewer(viewport=DESK, is_mobile=False, has_touch=False)
    take = card(page, drop).locator(".take")
    await tab_to(page, take)
    await stage.move(drop, "open")
    await expect(take).to_contain_text("Take it")
    await page.keyboard.press("Enter")
    await expect(take).to_contain_text("Pay")
    await expect(take).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name="with the test card"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    await expect(page.get_by_role("button", name="Back to the show")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(take).to_be_focused()


async def test_both_pages_can_be_read_aloud(windows: Windows, stage: Stage) -> None:
    """Each page has a language, a title, one h1, and a name for all that can be pressed or filled in."""
    drop = await stage.drop(5, limit_per_viewer=3)
    await stage.drop(5, opened=False)
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["LAMP"]})
    page, desk = await windows.viewer(), await windows.host()
    await desk.locator("#products").get_by_role("button", name="Prepare a drop: Desk Lamp").click()
    await desk.get_by_role("button", name="New viewer link").click()
    await expect(desk.get_by_role("textbox", name="Viewer link")).to_be_visible()
    await expect(page.get_by_role("button", name="One more")).to_be_visible()
    await readable(page)
    await card(page, drop).locator(".take").tap()
    await expect(page.get_by_role("button", name="Take another")).to_be_visible()
    await readable(page)
    await card(page, drop).locator(".take").tap()
    await expect(page.get_by_role("dialog", name="Checkout")).to_be_visible()
    await nothing_nameless(page)
    await readable(desk)


async def readable(page: Page) -> None:
    """Assert what every page owes to whoever does not see it."""
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page).to_have_title(re.compile("A test"))
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("A test")
    await nothing_nameless(page)


async def nothing_nameless(page: Page) -> None:
    """Assert that the tree for screen readers names whatever can be pressed, filled in or seen."""
    tree = (await page.locator("body").aria_snapshot()).splitlines()
    assert any("- button " in line for line in tree), tree
    assert not [line for line in tree if NAMELESS.fullmatch(line.strip())], "\n".join(tree)


async def test_text_from_a_feed_is_shown_as_text(windows: Windows, stage: Stage) -> None:
    """A title with markup stands on both pages as it was written, and nothing of it runs."""
    await stage.host("POST", "/v1/catalog/import?currency=EUR", content=HOSTILE_FEED.encode())
    skus = [
        item["sku"]
        for item in (await stage.host("GET", "/v1/catalog/products?query=hostile")).json()["items"]
    ]
    drop = await stage.drop(2, sku=skus[0])
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": skus})
    page, desk = await windows.viewer(), await windows.host()
    await expect(card(page, drop).get_by_role("heading")).to_have_text(HOSTILE_TITLE)
    await expect(card(desk, drop).get_by_role("heading")).to_have_text(HOSTILE_TITLE)
    await expect(page.locator("#pinned")).to_contain_text(HOSTILE_TITLE)
    await expect(desk.locator("#pinned")).to_contain_text(HOSTILE_TITLE)
    await card(page, drop).locator(".take").tap()
    await card(page, drop).locator(".take").filter(has_text="Pay").tap()
    await expect(page.locator("#checkout-lines")).to_contain_text(HOSTILE_TITLE)
    for window in (page, desk):
        await expect(window.locator("body script, body img[src='x']")).to_have_count(0)
        await expect(window).to_have_title(re.compile("A test"))


async def test_markup_that_got_in_would_not_run(windows: Windows) -> None:
    """The policy refuses a handler inside markup, and these tests hear of it: the others' silence has a meaning."""
    page = await windows.viewer()
    await page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"document.title=1\">')"
    )
    await expect(page).to_have_title("A test")
    refused = [text for text in windows.complaints if "Content Security Policy" in text]
    assert refused, windows.complaints
    windows.complaints.clear()
