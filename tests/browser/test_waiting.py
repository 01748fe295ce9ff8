"""What the page offers where taking is not the way: the line behind what is on hold, a draw, and who pays first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.windows import card, sees_stock

if TYPE_CHECKING:
    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_waits_sees_the_place_and_gets_what_comes_back(windows: Windows, stage: Stage) -> None:
    """All held: the viewer joins the line, sees the place, keeps it over a reload, and gets what is given back."""
    drop = await stage.drop(1)
    first, second = stage.viewer(), stage.viewer()
    held = (await stage.reserve(first, drop)).json()
    page = await windows.viewer(token=second)
    button = card(page, drop).locator(".take")
    await expect(button).to_contain_text("All on hold")
    await button.tap()
    await expect(button).to_contain_text("You are number 1 in line")
    await page.reload()
    await expect(button).to_contain_text("You are number 1 in line")
    await stage.call("DELETE", f"/v1/reservations/{held['id']}", first)
    await expect(page.locator("#notices")).to_contain_text("Your turn")
    await expect(button).to_contain_text(re.compile(r"pay within 1:[345]\d"))


async def test_who_leaves_the_line_gets_nothing(windows: Windows, stage: Stage) -> None:
    """The viewer leaves the line, and what comes back then is there for everybody."""
    drop = await stage.drop(1)
    first = stage.viewer()
    held = (await stage.reserve(first, drop)).json()
    page = await windows.viewer()
    await card(page, drop).locator(".take").tap()
    await page.get_by_role("button", name="Leave the line").tap()
    await expect(card(page, drop).locator(".take")).to_contain_text("All on hold")
    await stage.call("DELETE", f"/v1/reservations/{held['id']}", first)
    await sees_stock(page, drop, 1, 0, 0)
    await expect(card(page, drop).locator(".take")).to_contain_text("Take it")


async def test_a_draw_is_entered_and_won(windows: Windows, stage: Stage) -> None:
    """The viewer enters, and at the close, with more units than entries, the unit is theirs to be paid."""
    drop = await stage.drop(2, mode="draw")
    page = await windows.viewer()
    button = card(page, drop).locator(".take")
    await expect(button).to_contain_text("Enter the draw")
    await button.tap()
    await expect(button).to_contain_text("You are in the draw")
    await stage.move(drop, "close")
    await expect(button).to_contain_text("pay within")


async def test_where_nothing_is_held_who_pays_gets_it(windows: Windows, stage: Stage) -> None:
    """In a drop of the first who pays, the button leads straight to the checkout, and the payment takes the unit."""
    drop = await stage.drop(2, mode="first_paid")
    page = await windows.viewer()
    button = card(page, drop).locator(".take")
    await expect(button).to_contain_text("Buy now")
    await button.tap()
    await sees_stock(page, drop, 2, 0, 0)
    await page.get_by_role("button", name="with the test card").tap()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    await sees_stock(page, drop, 1, 0, 1)


async def test_what_is_held_stays_within_reach(windows: Windows, stage: Stage) -> None:
    """While the card is scrolled out of sight its time and its way to pay are at the thumb; in sight they are not."""
    drop = await stage.drop(5)
    for _ in range(4):
        await stage.drop(5, sku="LAMP", opened=False)
    page = await windows.viewer()
    await card(page, drop).locator(".take").tap()
    await expect(card(page, drop).locator(".take")).to_contain_text("pay within")
    bar = page.locator("#pay-bar")
    await expect(bar).to_be_hidden()
    await page.locator("#language").scroll_into_view_if_needed()
    await expect(bar).to_contain_text(re.compile(r"Pay · €12\.50.*pay within 1:[345]\d"))
    await expect(bar).to_be_in_viewport()
    await bar.tap()
    await expect(page.get_by_role("dialog", name="Checkout")).to_be_visible()
    await page.get_by_role("button", name="Close").tap()
    await card(page, drop).locator(".take").scroll_into_view_if_needed()
    await expect(bar).to_be_hidden()
