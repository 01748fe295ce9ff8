"""What a viewer chooses before taking: which variant, how many, and in which language and currency to read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.windows import card, sees_stock

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHIRTS = b"""Handle,Title,Body (HTML),Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price
shirt,Linen Shirt,<p>Light</p>,Test Shop,Colour,Blue,SHIRT-BLUE,30.00
shirt,,,,,Red,SHIRT-RED,32.00
"""
RATES = {"base": "EUR", "rates": {"USD": 1.08, "JPY": 170}}


async def shirts(stage: Stage) -> None:
    """Put a product with two variants into the catalog."""
    done = await stage.host("POST", "/v1/catalog/import?currency=EUR", content=SHIRTS)
    assert done.status_code == httpx.codes.OK, done.text


async def settle(page: Page) -> None:
    """Wait as long as nobody could read a card that has just appeared: until then it takes no press."""
    await page.wait_for_timeout(300)


async def test_variants_of_a_product_are_one_choice(windows: Windows, stage: Stage) -> None:
    """Both variants stand in one card; the chosen one shows its own price and stock, and it is what is taken."""
    await shirts(stage)
    blue = await stage.drop(5, sku="SHIRT-BLUE")
    red = await stage.drop(3, sku="SHIRT-RED")
    page = await windows.viewer()
    one = page.locator("article.drop")
    await expect(one).to_have_count(1)
    await expect(one.get_by_role("heading")).to_have_text("Linen Shirt")
    await expect(page.get_by_role("group", name="Colour")).to_be_visible()
    await page.get_by_role("radio", name="Red").tap()
    await sees_stock(page, red, 3, 0, 0)
    await expect(one).to_contain_text("€32.00")
    await one.locator(".take").tap()
    await stage.until_stock(red, (2, 1, 0))
    await expect(page.get_by_role("radio", name=re.compile("Red.*yours for"))).to_be_checked()
    await page.get_by_role("radio", name="Blue").tap()
    await sees_stock(page, blue, 5, 0, 0)
    await one.locator(".take").tap()
    await expect(one.locator(".take")).to_contain_text("Pay all · €62.00")
    await one.locator(".take").tap()
    lines = page.locator("#checkout-lines")
    await expect(lines).to_contain_text("Linen Shirt · Red")
    await expect(lines).to_contain_text("Linen Shirt · Blue")


async def test_a_choice_stays_when_its_stock_goes(windows: Windows, stage: Stage) -> None:
    """While the shown variant sells out the card stays with it: nobody takes another colour than they looked at."""
    await shirts(stage)
    blue = await stage.drop(1, sku="SHIRT-BLUE", waitlist=False)
    await stage.drop(3, sku="SHIRT-RED")
    page = await windows.viewer()
    await expect(page.get_by_role("radio", name="Blue")).to_be_checked()
    await stage.reserve(stage.viewer(), blue)
    await expect(card(page, blue).locator(".take")).to_contain_text("All on hold")
    await expect(page.get_by_role("radio", name=re.compile("Blue.*on hold"))).to_be_checked()


async def test_the_variant_that_begins_is_shown(windows: Windows, stage: Stage) -> None:
    """Of variants that are only planned the card shows the first; when another opens it shows that one."""
    await shirts(stage)
    blue = await stage.drop(5, sku="SHIRT-BLUE", opened=False)
    red = await stage.drop(3, sku="SHIRT-RED", opened=False)
    page = await windows.viewer()
    await expect(page.get_by_role("radio", name="Blue")).to_be_checked()
    await stage.host("POST", f"/v1/shows/{stage.show}/drops/{red}/open")
    await expect(page.get_by_role("radio", name="Red")).to_be_checked()
    await settle(page)
    await card(page, red).locator(".take").tap()
    await stage.until_stock(red, (2, 1, 0))
    await stage.host("POST", f"/v1/shows/{stage.show}/drops/{blue}/open")
    await expect(page.get_by_role("radio", name=re.compile("Blue.*5"))).not_to_be_checked()


async def test_a_planned_variant_that_was_chosen_stays(windows: Windows, stage: Stage) -> None:
    """Who has chosen a variant that is yet to come is not led away from it by another that opens."""
    await shirts(stage)
    await stage.drop(5, sku="SHIRT-BLUE", opened=False)
    red = await stage.drop(3, sku="SHIRT-RED", opened=False)
    page = await windows.viewer()
    await page.get_by_role("radio", name="Blue").tap()
    await stage.host("POST", f"/v1/shows/{stage.show}/drops/{red}/open")
    await expect(page.get_by_role("radio", name=re.compile("Red.*3"))).to_be_visible()
    await expect(page.get_by_role("radio", name="Blue")).to_be_checked()


async def test_who_waits_for_one_variant_is_led_back_to_it(windows: Windows, stage: Stage) -> None:
    """While waiting for one variant a viewer looks at another; when their turn comes the card shows what is theirs."""
    await shirts(stage)
    blue = await stage.drop(1, sku="SHIRT-BLUE")
    red = await stage.drop(3, sku="SHIRT-RED")
    first = stage.viewer()
    held = (await stage.reserve(first, blue)).json()
    page = await windows.viewer()
    await page.get_by_role("radio", name="Blue").tap()
    await card(page, blue).locator(".take").tap()
    await expect(card(page, blue).locator(".take")).to_contain_text("You are number 1 in line")
    await page.get_by_role("radio", name="Red").tap()
    await expect(card(page, red).locator(".take")).to_contain_text("Take it")
    await stage.call("DELETE", f"/v1/reservations/{held['id']}", first)
    await expect(card(page, blue).locator(".take")).to_contain_text("pay within")


async def test_nobody_chooses_more_than_they_may_have(windows: Windows, stage: Stage) -> None:
    """The number stops at the limit, and at what is left; what is chosen is what is taken."""
    drop = await stage.drop(10, limit_per_viewer=3)
    page = await windows.viewer()
    more = page.get_by_role("button", name="One more")
    await more.tap()
    await more.tap()
    await expect(more).to_be_disabled()
    await expect(page.get_by_label("Quantity")).to_have_text("3")
    await stage.reserve(stage.viewer(), drop, 3)
    await stage.reserve(stage.viewer(), drop, 3)
    await stage.reserve(stage.viewer(), drop, 2)
    await expect(page.get_by_label("Quantity")).to_have_text("2")
    await card(page, drop).locator(".take").tap()
    await sees_stock(page, drop, 0, 10, 0)
    await expect(card(page, drop).locator(".take")).to_contain_text("Pay · €25.00")


async def test_a_card_that_jumps_takes_no_press(windows: Windows, stage: Stage) -> None:
    """Whoever presses just when another card takes this one's place has taken nothing; a moment later they can."""
    first, second = await stage.drop(5), await stage.drop(5, sku="LAMP", opened=False)
    page = await windows.viewer()
    await expect(card(page, first).locator(".take")).to_contain_text("Take it")
    # The press comes with the frame in which the cards change places, as if the finger had been on its way.
    await page.evaluate(
        """() => new MutationObserver((_changes, observer) => {
             observer.disconnect();
             document.querySelector("#drops .take").click();
             document.body.dataset.pressed = "true";
           }).observe(document.querySelector("#drops"), { childList: true })"""
    )
    await stage.move(second, "open")
    await expect(card(page, second).locator(".take")).to_contain_text("Take it")
    await expect(page.locator("body")).to_have_attribute("data-pressed", "true")
    await settle(page)
    await sees_stock(page, second, 5, 0, 0)
    await card(page, second).locator(".take").tap()
    await sees_stock(page, second, 4, 1, 0)
    await sees_stock(page, first, 5, 0, 0)


async def test_a_pinned_product_leads_to_its_drop(windows: Windows, stage: Stage) -> None:
    """What the host holds up says whether it is to be had, and leads to the button that takes it."""
    drop = await stage.drop(5)
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["MUG", "LAMP"]})
    page = await windows.viewer()
    await expect(page.locator("#pinned")).to_contain_text("Desk Lamp")
    await expect(page.get_by_role("button", name="Desk Lamp")).to_have_count(0)
    await page.get_by_role("button", name=re.compile("Enamel Mug.*Open now")).tap()
    await expect(card(page, drop).locator(".take")).to_be_focused()


async def test_prices_are_estimated_in_the_viewers_currency(windows: Windows, stage: Stage) -> None:
    """Beside the price stands what it is elsewhere, marked as an estimate; what is paid is in the drop's currency."""
    drop = await stage.drop(5)
    page = await windows.viewer(locale="en-US", before=rates)
    await expect(card(page, drop)).to_contain_text("€12.50")
    await expect(card(page, drop)).to_contain_text("≈ $13.50")
    await expect(card(page, drop)).to_contain_text("about $13.50, an estimate")
    await expect(page.locator("#currency-fine")).to_contain_text("You pay in EUR")
    await page.get_by_label("Show prices also in").select_option("JPY")
    await expect(card(page, drop)).to_contain_text("≈ ¥2,125")
    await page.reload()
    await expect(card(page, drop)).to_contain_text("≈ ¥2,125")
    await page.get_by_label("Show prices also in").select_option("")
    await expect(page.locator(".estimate")).to_have_count(0)
    await card(page, drop).locator(".take").tap()
    await card(page, drop).locator(".take").filter(has_text="Pay").tap()
    await expect(page.get_by_role("button", name="Pay €12.50")).to_be_visible()


async def rates(page: Page) -> None:
    """Let the server have rates."""
    await page.route("**/v1/rates", lambda route: route.fulfill(json=RATES))


async def test_the_language_is_switched_and_stays(windows: Windows, stage: Stage) -> None:
    """The viewer chooses a language; the page comes back in it with all that they hold, and again after a reload."""
    drop = await stage.drop(5)
    page = await windows.viewer()
    await card(page, drop).locator(".take").tap()
    await sees_stock(page, drop, 4, 1, 0)
    await page.get_by_label("Language").select_option("ar")
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    await expect(card(page, drop)).to_have_attribute("data-kind", "taken")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "ar")
    await expect(card(page, drop)).to_have_attribute("data-kind", "taken")
