"""That everybody reaches everything: by thumb, by ear, from right to left, and on the smallest screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.browser.windows import DESK, card, sees_stock

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = {"width": 320, "height": 568}
SIDEWAYS = {"width": 740, "height": 360}
THUMB_PX = 44
# Everything that can be pressed and is on the screen, with the size of what a thumb may hit: a radio's whole label.
TARGETS = """() => [...document.querySelectorAll("button, a[href], select, input, summary")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
  .filter((one) => !document.querySelector("dialog[open]") || one.closest("dialog"))
  .map((one) => { const box = (one.closest("label:has([type=radio])") ?? one).getBoundingClientRect();
                  return [one.outerHTML.slice(0, 90), Math.round(box.width), Math.round(box.height)] })"""
BEYOND = """() => { const width = document.documentElement.clientWidth;
  const top = document.querySelector("dialog[open]") ?? document.body;
  return [...top.querySelectorAll("*")].filter((one) => one.checkVisibility())
    .filter((one) => !one.closest(".stage svg, .unseen, #hearts") && !one.matches("#featured"))
    .filter((one) => { const box = one.getBoundingClientRect(); return box.right > width + 1 || box.left < -1 })
    .map((one) => one.outerHTML.slice(0, 120)) }"""
LISTEN = """() => { window.said = [];
  for (const place of document.querySelectorAll("[aria-live], [role=status], [role=alert], output"))
    new MutationObserver(() => window.said.push(place.textContent))
      .observe(place, { childList: true, characterData: true, subtree: true }) }"""


# Every place that the button of a drop has had on the screen, frame by frame.
PLACES = """() => { window.places = new Set(); const look = () => {
  const { x, y, width, height } = document.querySelector(".take").getBoundingClientRect();
  window.places.add([x, y, width, height].map(Math.round).join(" ")); requestAnimationFrame(look) }; look() }"""


async def through(page: Page, stage: Stage, drops: list[str]) -> list[tuple[str, list[str]]]:
    """Go through the states of the page; return what a thumb and a ruler find wrong in each."""
    found: list[tuple[str, list[str]]] = []

    async def look(name: str) -> None:
        small = [str(one) for one in await page.evaluate(TARGETS) if min(one[1:]) < THUMB_PX]
        found.append((name, [*small, *await page.evaluate(BEYOND)]))

    mug, lamp = drops
    await look("open and countdown")
    await card(page, mug).locator(".take").click()
    await expect(card(page, mug)).to_have_attribute("data-kind", "taken")
    await look("taken")
    await card(page, mug).locator(".take").click()
    await expect(page.locator("#pay-ok")).to_be_enabled()
    await look("checkout")
    await page.locator(".address summary").click()
    await page.locator("#address-name").fill("Ada")
    await page.locator("#pay-ok").click()
    await expect(page.locator("[aria-invalid=true]")).to_have_count(3)
    await look("fields that are wrong")
    await page.locator("#address-name").fill("")
    await page.locator("#pay-ok").click()
    await expect(page.locator("#order-history li")).to_have_count(2)
    await look("paid")
    await page.locator("#order-close").click()
    await stage.host("POST", f"/v1/shows/{stage.show}/pause")
    await expect(page.locator("#stage")).to_have_attribute("data-status", "paused")
    await look("paused")
    await stage.host("POST", f"/v1/shows/{stage.show}/end")
    await expect(card(page, lamp)).to_have_attribute("data-status", "closed")
    await look("ended")
    return found


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param({}, id="phone"),
        pytest.param({"locale": "ar"}, id="arabic"),
        pytest.param({"viewport": SMALL}, id="small"),
        pytest.param({"viewport": SIDEWAYS}, id="sideways"),
        pytest.param({"viewport": DESK, "is_mobile": False, "has_touch": False}, id="desk"),
    ],
)
async def test_every_state_is_within_reach(windows: Windows, stage: Stage, profile: dict[str, Any]) -> None:
    """In every state a thumb hits everything, and nothing sticks out of the screen."""
    drops = [await stage.drop(5, limit_per_viewer=2), await stage.drop(5, sku="LAMP", opened=False)]
    await stage.move(drops[1], "open", countdown_ms=600_000)
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["MUG", "LAMP"]})
    page = await windows.viewer(says=None, **profile)
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    found = await through(page, stage, drops)
    assert [(name, wrong) for name, wrong in found if wrong] == []


async def test_what_is_out_of_reach_is_found(windows: Windows, stage: Stage) -> None:
    """The thumb and the ruler do find something where there is something: their silence has a meaning."""
    await stage.drop(5)
    page = await windows.viewer()
    await page.evaluate(
        """() => { document.querySelector(".choices").style.width = "500px";
             document.querySelector("#react").style.cssText = "min-height: 20px; height: 20px" }"""
    )
    assert await page.evaluate(BEYOND)
    assert [one for one in await page.evaluate(TARGETS) if one[2] == 20]


async def test_a_busy_show_is_not_read_out(windows: Windows, stage: Stage) -> None:
    """A screen reader hears what opens and what becomes of the viewer's own; not the seconds, nor each number."""
    drop = await stage.drop(20, opened=False)
    page = await windows.viewer()
    await page.evaluate(LISTEN)
    await stage.move(drop, "open", countdown_ms=3000)
    await expect(card(page, drop).locator(".take")).to_contain_text("Take it")
    for _ in range(5):
        await stage.reserve(stage.viewer(), drop)
    await stage.until_stock(drop, (15, 5, 0))
    await expect(card(page, drop).locator("b[data-held]")).to_have_attribute("data-held", "5")
    said = await page.evaluate("window.said")
    assert len(said) == 2, said
    assert said[0].startswith("Opening soon: Enamel Mug")
    assert said[1].endswith("Open now: Enamel Mug")


async def test_arabic_is_read_from_the_right(windows: Windows, stage: Stage) -> None:
    """The page is mirrored: what stands first stands on the right, and prices and titles keep their own order."""
    drop = await stage.drop(5)
    page = await windows.viewer(says=None, locale="ar")
    mine = card(page, drop)
    await expect(mine).to_have_attribute("data-kind", "open")
    frame, facts = await mine.locator(".picture").bounding_box(), await mine.locator(".facts").bounding_box()
    assert frame is not None
    assert facts is not None
    assert frame["x"] > facts["x"]
    available = await mine.locator("b[data-available]").bounding_box()
    sold = await mine.locator("b[data-sold]").bounding_box()
    assert available is not None
    assert sold is not None
    assert available["x"] > sold["x"]


async def test_the_button_stays_where_it_is(windows: Windows, stage: Stage) -> None:
    """From the plan through countdown, opening, sell-out and new stock the button does not move under the finger."""
    drop = await stage.drop(2, opened=False, limit_per_viewer=2)
    page = await windows.viewer()
    await expect(card(page, drop)).to_have_attribute("data-kind", "scheduled")
    await page.evaluate(PLACES)
    await stage.move(drop, "open", countdown_ms=2000)
    await expect(card(page, drop)).to_have_attribute("data-kind", "countdown")
    await expect(card(page, drop)).to_have_attribute("data-kind", "open")
    first = stage.viewer()
    held = (await stage.reserve(first, drop)).json()
    await stage.reserve(stage.viewer(), drop)
    await expect(card(page, drop)).to_have_attribute("data-kind", "all-held")
    await stage.call("DELETE", f"/v1/reservations/{held['id']}", first)
    await stage.move(drop, "restock", quantity=1000)
    await sees_stock(page, drop, 1001, 1, 0)
    assert len(await page.evaluate("[...window.places]")) == 1, await page.evaluate("[...window.places]")
