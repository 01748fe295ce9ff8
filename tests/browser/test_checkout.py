"""The checkout sheet: how one can pay, where it goes to, what is wrong in words, and the order afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.browser.windows import card, sees_stock

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEEDED = "This is needed to deliver."
CONFLICT = r"status of 409 \(Conflict\)"
NOT_THERE = "net::ERR_FAILED"
ADDRESS = {
    "Name": "Ada Byron",
    "Street and number": "12 Long Street",
    "Town": "Dublin",
}


async def checking_out(windows: Windows, drop: str, **profile: Any) -> Page:
    """Take a unit and open the sheet."""
    page = await windows.viewer(**profile)
    await card(page, drop).locator(".take").tap()
    await card(page, drop).locator(".take").filter(has_text="Pay").tap()
    await expect(page.get_by_role("button", name="with the test card")).to_be_enabled()
    return page


async def test_what_is_wrong_is_said_beside_its_field(windows: Windows, stage: Stage) -> None:
    """A bad e-mail and half an address are told at their fields and not sent; the order has what was entered."""
    drop = await stage.drop(3)
    page = await checking_out(windows, drop)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pay = page.get_by_role("button", name="with the test card")
    await page.get_by_label("E-mail").fill("ada")
    await page.get_by_text("Delivery address").tap()
    await page.get_by_label("Street and number").fill(ADDRESS["Street and number"])
    await pay.tap()
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await expect(page.get_by_label("E-mail")).to_have_accessible_description(
        "This does not look like an e-mail address."
    )
    for label in ("Name", "Town", "Country"):
        await expect(page.get_by_label(label, exact=True)).to_have_accessible_description(NEEDED)
    await expect(page.get_by_role("alert")).to_have_text("Please look at the 4 fields that are marked.")
    assert asked == []
    await page.get_by_label("E-mail").fill("ada@example.com")
    await expect(page.get_by_label("E-mail")).not_to_have_attribute("aria-invalid", "true")
    for label, value in ADDRESS.items():
        await page.get_by_label(label, exact=True).fill(value)
    await page.get_by_label("Country").select_option("IE")
    await pay.tap()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    order = await page.locator("#order-id").inner_text()
    await expect(page.locator("#order-contact")).to_contain_text("ada@example.com")
    await expect(page.locator("#order-contact")).to_contain_text("Ada Byron\n12 Long Street\nDublin\nIreland")
    seen = (await stage.host("GET", f"/v1/orders/{order}")).json()
    assert seen["shipping_address"] == {
        "name": "Ada Byron",
        "line1": "12 Long Street",
        "city": "Dublin",
        "country": "IE",
    }


async def test_what_was_typed_survives_a_reload(windows: Windows, stage: Stage) -> None:
    """A reload in the middle of the form loses neither the hold nor a letter."""
    page = await checking_out(windows, await stage.drop(3))
    await page.get_by_label("E-mail").fill("ada@example.com")
    await page.get_by_text("Delivery address").tap()
    await page.get_by_label("Town").fill("Dublin")
    await page.reload()
    await page.locator(".take").filter(has_text="Pay").tap()
    await expect(page.get_by_label("E-mail")).to_have_value("ada@example.com")
    await expect(page.get_by_label("Town")).to_have_value("Dublin")


async def test_a_total_that_changed_is_paid_only_once_it_is_seen(windows: Windows, stage: Stage) -> None:
    """The server's other total is told in words and on the button, and the next press agrees to that one."""
    windows.forgive(CONFLICT)
    page = await checking_out(windows, await stage.drop(3))
    agreed: list[Any] = []

    async def another_total(route: Route) -> None:
        agreed.append((route.request.post_data_json or {})["expected_total"])
        await route.fulfill(
            status=409,
            content_type="application/problem+json",
            json={"code": "total-changed", "title": "-", "status": 409, "detail": "-", "current_total": 1400},
        )

    await page.route("**/v1/checkout", another_total, times=2)
    await page.get_by_role("button", name="Pay €12.50").tap()
    await expect(page.get_by_role("alert")).to_contain_text("The total is now €14.00")
    await expect(page.locator("#checkout-total")).to_have_text("€14.00")
    await page.get_by_role("button", name="Pay €14.00").tap()
    await expect(page.get_by_role("button", name="Pay €14.00")).to_be_enabled()
    assert agreed == [1250, 1400]


async def test_the_ways_to_pay_follow_the_country(windows: Windows, stage: Stage) -> None:
    """A method of one country is there once that is chosen; its buyer is led to the bank and back to a paid order."""
    drop = await stage.drop(3)
    page = await checking_out(windows, drop)
    await expect(page.get_by_role("radio", name="iDEAL")).to_have_count(0)
    await page.get_by_text("Delivery address").tap()
    await page.get_by_label("Country").select_option("NL")
    await page.get_by_role("radio", name="iDEAL").tap()
    await expect(page.get_by_label("Test card")).to_be_hidden()
    await page.get_by_role("button", name=re.compile("^Pay €12.50$")).tap()
    await page.get_by_role("link", name="Confirm with your bank").tap()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    await expect(page.locator("#order-status")).to_have_text("Paid")
    await sees_stock(page, drop, 2, 0, 1)


async def test_ways_to_pay_that_cannot_be_loaded_can_be_asked_for_again(
    windows: Windows, stage: Stage
) -> None:
    """Without them the page says so, offers no payment, and loads them again when asked."""
    windows.forgive(NOT_THERE)

    async def broken(page: Page) -> None:
        await page.route("**/v1/payments/methods**", lambda route: route.abort(), times=1)

    drop = await stage.drop(3)
    page = await windows.viewer(before=broken)
    await card(page, drop).locator(".take").tap()
    await card(page, drop).locator(".take").filter(has_text="Pay").tap()
    await expect(page.get_by_text("The ways to pay could not be loaded.")).to_be_visible()
    await expect(page.locator("#pay-ok")).to_be_disabled()
    await page.get_by_role("button", name="Load again").tap()
    await page.get_by_role("button", name="with the test card").tap()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()


async def test_a_shop_whose_cards_need_its_own_form_says_so(windows: Windows, stage: Stage) -> None:
    """A method of a real provider is not played: the page says where to pay, and sends nothing."""
    item = {"method": "card", "provider": "stripe", "synchronous": True}

    async def real(page: Page) -> None:
        await page.route(
            "**/v1/payments/methods**",
            lambda route: route.fulfill(json={"items": [item], "next_cursor": None}),
        )

    drop = await stage.drop(3)
    page = await windows.viewer(before=real)
    await card(page, drop).locator(".take").tap()
    await card(page, drop).locator(".take").filter(has_text="Pay").tap()
    await expect(page.get_by_text("The shop's own payment form is not part of this page.")).to_be_visible()
    await expect(page.get_by_role("button", name="Pay €12.50")).to_be_disabled()


async def test_an_order_tells_what_happened_to_it(windows: Windows, stage: Stage) -> None:
    """Another window of the same browser knows the order, and its sheet follows it: paid, shipped, paid back."""
    drop = await stage.drop(3)
    token = stage.viewer()
    page = await checking_out(windows, drop, token=token)
    await page.get_by_role("button", name="with the test card").tap()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    order = await page.locator("#order-id").inner_text()
    await page.get_by_role("button", name="Back to the show").tap()
    other = await page.context.new_page()
    await other.goto(f"{page.url}#token={token}")
    await other.get_by_role("button", name=re.compile("Enamel Mug.*Paid")).tap()
    history = other.locator("#order-history li")
    await expect(history).to_have_count(2)
    await expect(history.first).to_contain_text("Being confirmed")
    shipped = {"carrier": "An Post", "tracking_number": "IE123"}
    assert (await stage.host("POST", f"/v1/orders/{order}/fulfil", json=shipped)).is_success
    await expect(history.nth(2)).to_contain_text("On its way · Sent by An Post · Tracking number IE123")
    assert (await stage.host("POST", f"/v1/orders/{order}/refund", json={})).is_success
    await expect(other.locator("#order-history")).to_contain_text("€12.50 paid back")
    await expect(other.get_by_role("heading", name="This order was refunded")).to_be_visible()


async def test_time_that_runs_out_is_said_in_the_sheet_once(windows: Windows, stage: Stage) -> None:
    """The last ten seconds are said to who does not see the clock, once, and not every second."""
    drop = await stage.drop(1, hold_seconds=12)
    page = await checking_out(windows, drop)
    await page.evaluate(
        """() => { window.said = []; new MutationObserver(() =>
             window.said.push(document.querySelector("#aloud").textContent))
             .observe(document.querySelector("#aloud"), { childList: true, characterData: true, subtree: true }) }"""
    )
    await expect(page.locator("#checkout-left")).to_have_text(re.compile(r"Pay within 0:0[1-5]"))
    assert await page.evaluate("window.said") == ["0:10 left to pay."]
