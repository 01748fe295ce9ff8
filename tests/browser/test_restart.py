"""A server that is started anew while viewers hold, wait and watch: what a deployment looks like from a phone."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.windows import Windows, card, sees_stock
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNREACHABLE = r"^WebSocket connection to '\S+' failed|ERR_CONNECTION_REFUSED"
RETURN_MS = 60_000


async def test_a_restart_of_the_server_costs_nobody_anything(chromium: Browser, tmp_path: Path) -> None:
    """After a restart the page is back by itself: the hold runs on, the place in line is kept and leads to an order."""
    server = ServerProcess(tmp_path / "data").start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            drop = await stage.drop(1)
            windows = Windows(chromium, stage)
            windows.forgive(UNREACHABLE)
            holder, waiter = await windows.viewer(), await windows.viewer()
            await card(holder, drop).locator(".take").tap()
            await expect(card(holder, drop).locator(".take")).to_contain_text("pay within")
            await card(waiter, drop).locator(".take").tap()
            await expect(card(waiter, drop).locator(".take")).to_contain_text("You are number 1 in line")
            await asyncio.to_thread(server.stop)
            await expect(holder.locator("#connection")).not_to_have_text("Connected")
            await asyncio.to_thread(server.start)
            for page in (holder, waiter):
                await expect(page.locator("#connection")).to_have_text("Connected", timeout=RETURN_MS)
            await expect(card(holder, drop).locator(".take")).to_contain_text(
                re.compile(r"pay within [01]:\d\d")
            )
            await expect(card(waiter, drop).locator(".take")).to_contain_text("You are number 1 in line")
            await holder.get_by_role("button", name="Give it back").tap()
            await expect(card(waiter, drop).locator(".take")).to_contain_text("pay within")
            await card(waiter, drop).locator(".take").tap()
            await waiter.get_by_role("button", name="with the test card").tap()
            await expect(waiter.get_by_role("heading", name="Thank you!")).to_be_visible()
            await sees_stock(holder, drop, 0, 0, 1)
            await stage.audit()
            await windows.close()
            assert windows.complaints == []
    finally:
        server.stop()
