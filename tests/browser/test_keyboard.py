"""A purchase and a show without a mouse: Tab, Enter, Escape, a focus that can be seen, and that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.browser.windows import DESK, PHONE, card, sees_stock

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_TABS = 80
RING_PX = 2
TABLET = {"width": 820, "height": 700}
NO_MOUSE: dict[str, Any] = {"viewport": DESK, "is_mobile": False, "has_touch": False}
DECLINED = r"status of 402 \(Payment Required\)"
# What has the focus, as a person sees it: whether it is on the screen and under nothing that covers all of it, and the
# ring around it or around its label.
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const box = one.getBoundingClientRect();
  const ring = [one, one.closest("label")].filter(Boolean).map((each) => getComputedStyle(each))
    .map(({ outlineStyle, outlineWidth }) => outlineStyle === "none" ? 0 : parseFloat(outlineWidth));
  const { top, bottom, left, right } = box;
  const over = (share) => document.elementFromPoint((left + right) / 2, top + (bottom - top) * share);
  const seen = [0.1, 0.5, 0.9].map(over).some((each) => each && (one.contains(each) || each.contains(one)));
  return { what: one.outerHTML.slice(0, 120), ring: Math.max(...ring), there: seen };
}"""
NO_RING = """() => { const sheet = new CSSStyleSheet();
  sheet.replaceSync(".take:focus-visible { outline: none !important }"); document.adoptedStyleSheets = [sheet] }"""


class Keyboard:
    """The only way to this page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: list[str] = []

    async def to(self, target: Locator, step: str = "Tab") -> None:
        """Press Tab until the target has the focus; on the way each stop has to show that it has it."""
        for _ in range(MOST_TABS):
            if await target.evaluate("element => element === document.activeElement"):
                return
            await self.page.keyboard.press(step)
            focused = await self.page.evaluate(FOCUSED)
            if focused and not (focused["there"] and focused["ring"] >= RING_PX):
                self.unseen.append(focused["what"])
        raise AssertionError(f"{MOST_TABS} times {step} do not reach {target}")

    async def press(self, target: Locator, key: str = "Enter") -> None:
        """Go to the target and press a key there."""
        await self.to(target)
        await self.page.keyboard.press(key)


async def test_a_purchase_with_all_its_turns(windows: Windows, stage: Stage) -> None:
    """Wait in line, take the turn, leave the sheet and come back, mend the form, be declined, pay, see the order."""
    windows.forgive(DECLINED)
    drop, holder = await stage.drop(1), stage.viewer()
    held = (await stage.reserve(holder, drop)).json()
    page = await windows.viewer(**NO_MOUSE)
    keys, take = Keyboard(page), card(page, drop).locator(".take")
    await expect(take).to_contain_text("All on hold")
    await keys.press(take)
    await expect(take).to_contain_text("You are number 1 in line")
    await expect(take).to_be_focused()
    await stage.call("DELETE", f"/v1/reservations/{held['id']}", holder)
    await expect(take).to_contain_text("Pay")
    await expect(take).to_be_focused()

    sheet = page.get_by_role("dialog")
    await page.keyboard.press("Enter")
    await expect(sheet).to_be_visible()
    await expect(page.locator("dialog :focus")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await expect(take).to_be_focused()
    await page.keyboard.press("Enter")

    pay = page.get_by_role("button", name="with the test card")
    await keys.to(page.get_by_label("E-mail"))
    await page.keyboard.type("ada")
    await keys.press(pay)
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.type("@example.com")
    await keys.to(page.get_by_label("Test card"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Test card")).to_have_value("tok_declined")
    await keys.press(pay)
    await expect(page.get_by_role("alert")).to_contain_text("The card was declined")
    await keys.to(page.get_by_label("Test card"))
    await page.keyboard.press("ArrowUp")
    await keys.press(pay)
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(take).to_be_focused()
    await expect(take).to_contain_text("It is yours")

    order = page.locator("#orders button")
    await keys.press(order)
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await expect(order).to_be_focused()
    assert keys.unseen == []
    await sees_stock(page, drop, 0, 0, 1)


async def test_tab_stays_in_the_sheet(windows: Windows, stage: Stage) -> None:
    """While the checkout is open, Tab leads to nothing behind it."""
    drop = await stage.drop(1)
    page = await windows.viewer(**NO_MOUSE)
    take = card(page, drop).locator(".take")
    await Keyboard(page).press(take)
    await expect(take).to_contain_text("Pay")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="with the test card")).to_be_enabled()
    behind = "document.activeElement !== document.body && !document.activeElement.closest('dialog')"
    for _ in range(20):
        await page.keyboard.press("Tab")
        assert not await page.evaluate(behind), await page.evaluate("document.activeElement.outerHTML")


@pytest.mark.parametrize("viewport", [PHONE, TABLET], ids=["phone", "tablet"])
async def test_nothing_covers_what_has_the_focus(
    windows: Windows, stage: Stage, viewport: dict[str, int]
) -> None:
    """On a narrow screen, where the picture stays on top, Tab to the end and back again leads to nothing behind it."""
    drops = [await stage.drop(5, limit_per_viewer=2, sku=sku) for sku in ("LAMP", "MUG")]
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["MUG", "LAMP"]})
    page = await windows.viewer(**NO_MOUSE | {"viewport": viewport})
    await expect(card(page, drops[0]).locator(".take")).to_contain_text("Take it")
    keys = Keyboard(page)
    await keys.to(page.locator("#language"))
    await keys.to(page.get_by_role("button", name="Send a heart"), "Shift+Tab")
    assert keys.unseen == []


async def test_a_show_from_the_desk(windows: Windows, stage: Stage) -> None:
    """The host finds a product, plans a drop, opens and pauses it, makes a link, and reads the list of keys."""
    desk = await windows.host()
    keys = Keyboard(desk)
    await keys.press(desk.locator("#products").get_by_role("button", name="Prepare a drop: Desk Lamp"))
    await expect(desk.get_by_label("Pieces", exact=True)).to_be_focused()
    await desk.keyboard.type("3")
    await keys.press(desk.locator("#new-drop [type=submit]"))
    lamp = desk.locator("#drops article")
    await expect(lamp).to_have_attribute("data-status", "scheduled")
    await keys.press(lamp.locator("[data-do=open]"))
    await expect(lamp).to_have_attribute("data-status", "open")
    await keys.press(lamp.locator("[data-do=pause]"))
    await expect(lamp).to_have_attribute("data-status", "paused")
    opener = desk.locator("#show-actions [data-do=keys]")
    await keys.press(opener)
    await expect(desk.get_by_role("dialog", name="Keys")).to_be_visible()
    await desk.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await keys.press(desk.get_by_role("button", name="New viewer link"))
    await expect(desk.get_by_role("textbox", name="Viewer link")).to_be_visible()
    assert keys.unseen == []
    drops = (await stage.host("GET", f"/v1/shows/{stage.show}/drops")).json()["items"]
    assert [(one["sku"], one["quantity"], one["status"]) for one in drops] == [("LAMP", 3, "paused")]


async def test_a_focus_that_cannot_be_seen_is_found(windows: Windows, stage: Stage) -> None:
    """Control: where the button shows no ring, the way to it says so."""
    drop = await stage.drop(1)
    page = await windows.viewer(**NO_MOUSE)
    await page.evaluate(NO_RING)
    keys = Keyboard(page)
    await keys.to(card(page, drop).locator(".take"))
    assert ['class="take"' in one for one in keys.unseen] == [True]
