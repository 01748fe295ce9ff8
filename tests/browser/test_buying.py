"""From the countdown to the paid order, and every way in which it can go differently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect

from tests.browser.windows import card, sees_stock

if TYPE_CHECKING:
    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

DECLINED = r"status of 402 \(Payment Required\)"  # Chromium says so of every 402
TIME_IS_UP = "Your time ran out"


async def take(page: Page, drop: str) -> None:
    """Tap the button of an open drop and wait until the unit is the viewer's for now."""
    button = card(page, drop).locator(".take")
    await expect(button).to_contain_text("Take")
    await button.tap()
    await expect(button).to_contain_text("Pay")


async def thanked(page: Page) -> None:
    """Wait until the page shows that it is paid."""
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()


async def test_the_host_opens_with_a_countdown_and_sees_numbers_fall(windows: Windows, stage: Stage) -> None:
    """The host starts a countdown, sees it run and the drop open, and then what is taken, given back and sold."""
    drop = await stage.drop(10, opened=False)
    page = await windows.host()
    row = card(page, drop)
    await expect(row.locator(".badge")).to_have_text("Prepared")
    await row.get_by_role("button", name="Open in 5 seconds").click()
    await expect(row.locator(".badge")).to_have_text(re.compile(r"Opens in 0:0[1-5]"))
    await expect(row.locator(".badge")).to_have_text("Open")

    token = stage.viewer()
    held = (await stage.reserve(token, drop)).json()
    await sees_stock(page, drop, 9, 1, 0)
    await stage.reserve(stage.viewer(), drop)
    await sees_stock(page, drop, 8, 2, 0)
    assert (await stage.pay(token, held["id"])).status_code == 201
    await sees_stock(page, drop, 8, 1, 1)


async def test_a_viewer_on_a_phone_buys(windows: Windows, stage: Stage) -> None:
    """The viewer watches the countdown, takes, sees the timer, pays with the sandbox; both sides see the order."""
    drop = await stage.drop(10, opened=False, hold_seconds=90)
    page, desk = await windows.viewer(), await windows.host()
    mine = card(page, drop)
    await expect(mine).to_contain_text("Opens soon")
    await stage.move(drop, "open", countdown_ms=2000)
    await expect(mine.locator(".take")).to_contain_text(re.compile(r"Opens in 0:0[12]"))
    await expect(mine.locator(".take")).to_be_disabled()
    await take(page, drop)
    await expect(mine.locator(".take")).to_contain_text(re.compile(r"pay within 1:(30|2\d)"))
    await sees_stock(page, drop, 9, 1, 0)

    await mine.locator(".take").tap()
    sheet = page.get_by_role("dialog")
    await expect(sheet).to_contain_text(re.compile(r"Pay within 1:[12]\d"))
    await sheet.get_by_role("button", name="Pay €12.50 with the test card").tap()
    await thanked(page)
    await expect(sheet.locator("#order-status")).to_have_text("Paid")
    order = await sheet.locator("#order-id").inner_text()
    await sheet.get_by_role("button", name="Back to the show").tap()
    await expect(sheet).to_be_hidden()
    await expect(mine.locator(".take")).to_contain_text("It is yours")
    await expect(page.locator("#orders")).to_contain_text(re.compile(r"Enamel Mug.*€12\.50.*Paid"))

    line = desk.locator(f'#orders [data-order="{order}"]')
    await expect(line).to_contain_text(re.compile(r"Enamel Mug.*€12\.50.*Paid"))
    await sees_stock(desk, drop, 9, 0, 1)


async def test_a_declined_card_says_so_and_another_one_pays(windows: Windows, stage: Stage) -> None:
    """A declined card is told in words, the unit stays held, and the other card pays for it."""
    windows.forgive(DECLINED)
    drop = await stage.drop(1)
    page = await windows.viewer()
    await take(page, drop)
    await card(page, drop).locator(".take").tap()
    await page.get_by_label("Test card").select_option("One that is declined")
    await page.get_by_role("button", name="with the test card").tap()
    await expect(page.get_by_role("alert")).to_contain_text("The card was declined. Nothing was charged")
    await sees_stock(page, drop, 0, 1, 0)
    await page.get_by_label("Test card").select_option("One that pays")
    await page.get_by_role("button", name="with the test card").tap()
    await thanked(page)
    await sees_stock(page, drop, 0, 0, 1)


@pytest.mark.parametrize("verdict", ["Approve", "Decline"])
async def test_a_card_whose_bank_asks(windows: Windows, stage: Stage, verdict: str) -> None:
    """The buyer is led to their bank, and the page shows what came of it without being asked again."""
    drop = await stage.drop(1)
    page = await windows.viewer()
    await take(page, drop)
    await card(page, drop).locator(".take").tap()
    await page.get_by_label("Test card").select_option("One whose bank asks you")
    await page.get_by_role("button", name="with the test card").tap()
    asked = page.get_by_role("link", name="Confirm with your bank")
    await expect(asked).to_be_visible()
    await sees_stock(page, drop, 0, 1, 0)
    async with page.expect_popup() as opened:
        await asked.tap()
    bank = await opened.value
    await bank.get_by_role("button", name=verdict).click()
    if verdict == "Approve":
        await thanked(page)
        await sees_stock(page, drop, 0, 0, 1)
    else:
        await expect(page.get_by_role("heading", name="This order was cancelled")).to_be_visible()
    await bank.close()


async def test_an_order_that_is_paid_back_says_so(windows: Windows, stage: Stage) -> None:
    """While the host pays an order back, first in part, the buyer's open page follows: it gives no thanks for it."""
    drop = await stage.drop(5, limit_per_viewer=2)
    page = await windows.viewer()
    await take(page, drop)
    await card(page, drop).get_by_role("button", name="Take another").tap()
    await sees_stock(page, drop, 3, 2, 0)
    await card(page, drop).locator(".take").tap()
    await page.get_by_role("button", name="with the test card").tap()
    await thanked(page)
    refund = f"/v1/orders/{await page.locator('#order-id').inner_text()}/refund"
    part = {"lines": [{"position": 0, "quantity": 1}]}
    for body, heading, badge in (
        (part, "Part of this order was refunded", "Partly refunded"),
        ({}, "This order was refunded", "Refunded"),
    ):
        assert (await stage.host("POST", refund, json=body)).is_success
        await expect(page.locator("#order-title")).to_have_text(heading)
        await expect(page.locator("#order-status")).to_have_text(badge)
    await page.get_by_role("button", name="Back to the show").tap()
    await expect(card(page, drop).locator(".take")).to_contain_text("Limit reached")


async def test_a_lapsed_hold_says_so_and_can_be_taken_again(windows: Windows, stage: Stage) -> None:
    """Whoever does not pay in time is told, in the checkout and out of it, and may take the unit again."""
    drop = await stage.drop(1, hold_seconds=3)
    page = await windows.viewer()
    await take(page, drop)
    await expect(page.locator("#notices")).to_contain_text(TIME_IS_UP)
    await take(page, drop)
    await card(page, drop).locator(".take").tap()
    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("alert")).to_contain_text(f"{TIME_IS_UP} and the items went back.")
    await expect(sheet.get_by_role("button", name="Pay")).to_have_count(0)
    await sheet.get_by_role("button", name="Back to the show").tap()
    await sees_stock(page, drop, 1, 0, 0)
    await take(page, drop)


async def test_a_reload_keeps_the_hold(windows: Windows, stage: Stage) -> None:
    """After a reload the unit is still the viewer's, its time runs on, and it can be paid."""
    drop = await stage.drop(5)
    page = await windows.viewer()
    await take(page, drop)
    assert "token" not in page.url
    await page.reload()
    await expect(card(page, drop).locator(".take")).to_contain_text(re.compile(r"pay within 1:[345]\d"))
    await card(page, drop).locator(".take").tap()
    await page.get_by_role("button", name="with the test card").tap()
    await thanked(page)
    await page.reload()
    await expect(page.locator("#orders")).to_contain_text("Paid")
    await expect(card(page, drop).locator(".take")).to_contain_text("It is yours")


async def test_an_order_is_remembered_before_the_page_gives_thanks(windows: Windows, stage: Stage) -> None:
    """At the moment in which the page says that it is paid, a reload would already find the order again."""
    drop = await stage.drop(5)
    page = await windows.viewer()
    await take(page, drop)
    await card(page, drop).locator(".take").tap()
    # No timer rings from here on: what is kept by then was not left for a later repaint.
    await page.evaluate("() => { window.setTimeout = () => 0 }")
    await page.get_by_role("button", name="with the test card").tap()
    await thanked(page)
    kept = await page.evaluate("Object.values(sessionStorage).join()")
    assert await page.locator("#order-id").inner_text() in kept


async def test_of_two_viewers_and_one_unit_the_other_waits(windows: Windows, stage: Stage) -> None:
    """While one holds the last unit the other sees that all are held, and takes it once it is given back."""
    drop = await stage.drop(1, waitlist=False)
    first, second = await windows.viewer(), await windows.viewer()
    await take(first, drop)
    other = card(second, drop).locator(".take")
    await expect(other).to_contain_text("All on hold")
    await expect(other).to_be_disabled()
    await first.get_by_role("button", name="Give it back").tap()
    await expect(first.locator("#notices")).to_contain_text("Given back.")
    await take(second, drop)
    await expect(card(first, drop).locator(".take")).to_contain_text("All on hold")
