"""The ticker of orders on the host's console."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.test_console import NOT_THERE
from tests.browser.windows import sees_stock
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = 50


async def buy(stage: Stage, drop: str, count: int) -> None:
    """Pay so many orders, one after the other."""
    for _ in range(count):
        buyer = stage.viewer()
        held = (await stage.reserve(buyer, drop)).json()
        assert (await stage.pay(buyer, held["id"])).status_code == 201


async def shows(page: Page, stage: Stage, count: int) -> None:
    """Wait until the ticker shows the newest orders, so many, in their order and with none left out."""
    path = f"/v1/shows/{stage.show}/orders?limit=200"
    newest = [order["id"] for order in (await stage.host("GET", path)).json()["items"][:count]]
    lines = "all => all.map(one => one.dataset.order)"

    async def so() -> bool:
        return bool(newest == await page.locator("#orders li").evaluate_all(lines))

    await wait_for(so, f"the ticker shows the newest {count}")


async def test_orders_as_they_come_and_money_back(windows: Windows, stage: Stage) -> None:
    """An order appears by itself at both hosts; paying back is asked once, and both see what became of it."""
    drop, buyer = await stage.drop(5), stage.viewer()
    one, other = await windows.host(), await windows.host()
    held = (await stage.reserve(buyer, drop)).json()
    order = (await stage.pay(buyer, held["id"])).json()["order"]["id"]
    lines = [page.locator(f'#orders [data-order="{order}"]') for page in (one, other)]
    for line in lines:
        await expect(line).to_contain_text(re.compile(r"Enamel Mug.*€12\.50.*Paid"))
    await lines[0].get_by_role("button", name=re.compile("Pay back or cancel order")).click()
    cancel = lines[0].get_by_role("button", name="Cancel", exact=True)
    await cancel.click()
    await expect(lines[0].get_by_role("button", name="Cancel and pay back?")).to_be_visible()
    await expect(lines[1]).to_contain_text("Paid")
    await lines[0].get_by_role("button", name="Cancel and pay back?").click()
    for line in lines:
        await expect(line).to_contain_text("Cancelled")
    await sees_stock(other, drop, 5, 0, 0)
    await expect(lines[0].get_by_role("button")).to_have_count(0)


async def test_no_order_is_left_out(windows: Windows, stage: Stage) -> None:
    """Older ones are a press away; of more than a page that came while the host could not ask, none is skipped."""
    windows.forgive(NOT_THERE)
    drop = await stage.drop(PAGE * 3)
    await buy(stage, drop, PAGE + 3)
    page = await windows.host()
    await shows(page, stage, PAGE)
    more = page.get_by_role("button", name="Show more")
    await more.click()
    await shows(page, stage, PAGE + 3)
    await expect(more).to_be_hidden()
    await buy(stage, drop, 2)
    await shows(page, stage, PAGE + 5)
    await page.route("**/orders", lambda route: route.abort())
    await buy(stage, drop, PAGE + 1)
    await page.unroute("**/orders")
    await shows(page, stage, PAGE)
    await more.click()
    await shows(page, stage, 2 * PAGE)
