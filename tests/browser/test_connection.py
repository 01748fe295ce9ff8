"""A connection that is cut, and what a viewer finds on coming back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from server.protocol.codec import unpack_event
from tests.browser.cable import Cable
from tests.browser.windows import card, sees_stock

if TYPE_CHECKING:
    from playwright.async_api import Page, WebSocket

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Chromium reports each attempt that fails while the cable is cut.
UNREACHABLE = r"^WebSocket connection to '\S+' failed"
REFUSED = r"status of 40[34] "

Message = dict[str, Any]


class Wire:
    """What a page has received on its websockets, and asked for over HTTP."""

    def __init__(self, page: Page) -> None:
        self.received: list[Message] = []
        self.asked: list[str] = []
        page.on("websocket", self._follow)
        page.on("request", lambda request: self.asked.append(request.url))

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: self.received.append(decoded(data)))


def decoded(data: bytes | str) -> Message:
    """Return the message of a websocket message, whichever the codec."""
    message: Message = unpack_event(data) if isinstance(data, bytes) else json.loads(data)
    return message


async def test_a_cut_connection_recovers_and_shows_what_was_missed(windows: Windows, stage: Stage) -> None:
    """After a break the page shows every change of the meantime from the log alone, without a snapshot or a request."""
    windows.forgive(UNREACHABLE)
    mugs, lamps = await stage.drop(10), await stage.drop(3, sku="LAMP", opened=False)
    async with Cable(stage.server.port) as cable:
        page = await windows.viewer(url=cable.url)
        await sees_stock(page, mugs, 10, 0, 0)
        await page.wait_for_load_state("networkidle")  # a picture that breaks off is not what this is about
        wire = Wire(page)
        await page.context.set_offline(True)
        cable.cut()
        await expect(page.locator("#connection")).not_to_have_text("Connected")

        await stage.move(lamps, "open")
        await stage.reserve(stage.viewer(), mugs)
        await stage.move(mugs, "restock", quantity=5)
        await stage.reserve(stage.viewer(), mugs)
        await sees_stock(page, mugs, 10, 0, 0)

        cable.mend()
        await page.context.set_offline(False)
        await expect(page.locator("#connection")).to_have_text("Connected")
        await sees_stock(page, mugs, 13, 2, 0)
        await expect(card(page, lamps).locator(".take")).to_contain_text("Take it")
        assert [message for message in wire.received if message.get("recovered")], wire.received
        assert wire.asked == []


async def test_what_was_pressed_before_a_break_happens_once(windows: Windows, stage: Stage) -> None:
    """A taking whose answer is lost with the connection is asked for again after the return, and takes one unit."""
    windows.forgive(UNREACHABLE)
    drop = await stage.drop(10, limit_per_viewer=3)
    async with Cable(stage.server.port) as cable:
        page = await windows.viewer(url=cable.url)
        take = card(page, drop).locator(".take")
        await expect(take).to_contain_text("Take it")
        await page.wait_for_load_state("networkidle")
        cable.lose_answers()
        await take.tap()
        await stage.until_stock(drop, (9, 1, 0))
        await expect(take).to_contain_text("Asking…")
        await page.context.set_offline(True)
        cable.cut()
        await expect(take).to_contain_text("goes on as soon as you are connected again")
        cable.mend()
        await page.context.set_offline(False)
        await expect(take).to_contain_text("Pay")
        await sees_stock(page, drop, 9, 1, 0)
        assert stage.numbers(await stage.stock(drop)) == (9, 1, 0)


async def test_a_link_that_leads_nowhere_says_why(windows: Windows, stage: Stage) -> None:
    """Without a token, with a bad one, to no show, or with a viewer's to the console: the page says what is wrong."""
    windows.forgive(UNREACHABLE)
    windows.forgive(REFUSED)
    page = await windows.viewer(token="", says="This page needs the whole link, with its token.")
    await expect(page.locator("#no-drops")).to_be_hidden()
    await windows.viewer(token="a.b.c", says="This link is no longer valid. Ask for a new one.")
    await windows.viewer(show="sh_nosuchshow00", says="There is no such show. Please check the link.")
    await windows.host(token=stage.viewer(), says="This link does not allow to run the show.")
