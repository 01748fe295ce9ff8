"""A walk through every state of both pages; whoever takes it looks at each, in any language and on any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from playwright.async_api import expect

from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED
from server.clock import now_ms
from tests.browser.windows import card

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from tests.browser.cable import Cable
    from tests.browser.windows import Windows
    from tests.stage import Stage

    Look = Callable[[str, Page], Awaitable[None]]

# What a picture of each state is called, and what it shows.
VIEWER = {
    "before": "Before the show: when it starts, and what will be on offer.",
    "countdown": "The countdown runs on the server's clock; the button waits with it.",
    "open": "Open: what is free, on hold and sold as one bar, the button enabled.",
    "held": "Taken: the button now pays, and says for how long.",
    "checkout": "The checkout sheet: everything on hold in one order.",
    "mistakes": "What is wrong in the form is said beside its field.",
    "declined": "A declined card in words; the unit stays on hold.",
    "paid": "Paid: the order and its history.",
    "refunded": "The same order after the host paid it back: the open page followed.",
    "waiting": "All units on hold: a place in the line, and how long the line is.",
    "missed": "Missed: the time to pay ran out, and the drop was closed.",
    "offline": "The connection broke: the page says so, and what pressing does meanwhile.",
    "paused": "The host paused the show.",
    "ended": "The end: what was bought stays in the list.",
}
CONSOLE = {
    "console-before": "Before the show: drops are planned, and one button starts it.",
    "console-live": "Live: figures with their curves, the run of the show, orders as they come.",
    "console-form": "A new drop from the catalog.",
    "console-order": "What a host can do with an order.",
    "console-keys": "One key for each move, and their list.",
    "console-link": "A link for one viewer, to be copied or opened.",
    "console-ended": "After the end.",
}
TITLE = "Saturday Night Drops"
HALF_AN_HOUR_MS = 1_800_000
COUNTDOWN_MS = 90_000
SHORT_HOLD_SECONDS = 3
SETTLES_MS = 300  # the page's own time is a little shorter


async def announce(stage: Stage) -> None:
    """Give the stage another show, one that has not begun, with the sample feed and something pinned."""
    await done(
        stage, "POST", f"/v1/catalog/import?currency={SAMPLE_CURRENCY}", content=SAMPLE_FEED.read_bytes()
    )
    show = {
        "title": TITLE,
        "currency": SAMPLE_CURRENCY,
        "locale": "en-IE",
        "starts_at": now_ms() + HALF_AN_HOUR_MS,
    }
    stage.show = (await done(stage, "POST", "/v1/shows", json=show)).json()["id"]
    pinned = {"skus": ["MUG-LAGOON", "LAMP-BRASS"]}
    await done(stage, "PUT", f"/v1/shows/{stage.show}/pinned", json=pinned)


async def done(stage: Stage, method: str, path: str, **body: object) -> httpx.Response:
    """Ask as the host for something that has to succeed."""
    answer = await stage.host(method, path, **body)
    assert answer.is_success, answer.text
    return answer


async def sold(stage: Stage, drop: str, units: int = 1) -> str:
    """Let somebody buy and return the order's id."""
    token = stage.viewer()
    held = await stage.reserve(token, drop, units)
    paid = await stage.pay(token, held.json()["id"])
    assert paid.status_code == httpx.codes.CREATED, paid.text
    order: str = paid.json()["order"]["id"]
    return order


async def settled(page: Page) -> None:
    """Wait until the cards have stood long enough that the page takes a press: it ignores those just after a move."""
    await page.wait_for_timeout(SETTLES_MS)


async def to_the_fore(page: Page, drop: str) -> None:
    """Scroll until the whole card is on the screen, as far as that has room for it."""
    await card(page, drop).evaluate("card => card.scrollIntoView({ block: 'end' })")


class ViewersTour:
    """One viewer's evening, from before the show to its end."""

    def __init__(self, windows: Windows, cable: Cable, look: Look) -> None:
        self._windows = windows
        self._stage = windows.stage
        self._cable = cable
        self._look = look

    async def walk(self, **profile: Any) -> None:
        """Go through all states of `VIEWER`, in that order."""
        stage = self._stage
        mug = self._mug = await stage.drop(20, sku="MUG-LAGOON", limit_per_viewer=2, opened=False)
        page = await self._windows.viewer(url=self._cable.url, says=None, **profile)
        self._page = page
        await self._is(mug, "scheduled")
        await self._look("before", page)
        await self._sale(mug)
        await self._checkout()
        await self._line()
        await self._lapse()
        await self._break()
        for verb, status in (("pause", "paused"), ("resume", "live"), ("end", "ended")):
            await done(stage, "POST", f"/v1/shows/{stage.show}/{verb}")
            await expect(page.locator("#stage")).to_have_attribute("data-status", status)
            if status != "live":
                await to_the_fore(page, self._mug)
                await self._look(status, page)

    async def _is(self, drop: str, kind: str) -> None:
        """Wait until a drop is to the viewer what this word says."""
        await expect(card(self._page, drop)).to_have_attribute("data-kind", kind)

    async def _sale(self, drop: str) -> None:
        stage, page = self._stage, self._page
        await done(stage, "POST", f"/v1/shows/{stage.show}/start")
        await stage.move(drop, "open", countdown_ms=COUNTDOWN_MS)
        await self._is(drop, "countdown")
        await self._look("countdown", page)
        await stage.move(drop, "open")
        for units in (1, 2, 1, 2):
            await sold(stage, drop, units)
        await stage.reserve(stage.viewer(), drop, 2)
        await self._is(drop, "open")
        await self._look("open", page)
        await card(page, drop).locator(".take").click()
        await self._is(drop, "taken")
        await self._look("held", page)
        await card(page, drop).locator(".take").click()

    async def _checkout(self) -> None:
        page = self._page
        pay, cards = page.locator("#pay-ok"), page.locator("select", has=page.locator("[value=tok_ok]"))
        await expect(pay).to_be_enabled()
        await self._look("checkout", page)
        await page.locator("#checkout-contact input[type=email]").fill("ada")
        await pay.click()
        await expect(page.locator("[aria-invalid=true]")).to_have_count(1)
        await self._look("mistakes", page)
        await page.locator("#checkout-contact input[type=email]").fill("ada@example.com")
        self._windows.forgive(r"status of 402 \(Payment Required\)")  # Chromium says so of every 402
        await cards.select_option("tok_declined")
        await pay.click()
        await expect(page.locator("#checkout-message")).to_have_attribute("data-tone", "bad")
        await expect(pay).to_be_enabled()
        await self._look("declined", page)
        await cards.select_option("tok_ok")
        await pay.click()
        await expect(page.locator("#order-history li")).to_have_count(2)
        await self._look("paid", page)
        order = await page.locator("#order-id").inner_text()
        await done(self._stage, "POST", f"/v1/orders/{order}/refund", json={})
        await expect(page.locator("#order")).to_have_attribute("data-status", "refunded")
        await self._look("refunded", page)
        await page.locator("#order-close").click()

    async def _line(self) -> None:
        """Wait behind somebody who holds the only lamp."""
        stage = self._stage
        lamp = await stage.drop(1, sku="LAMP-BRASS")
        holder = stage.viewer()
        await stage.reserve(holder, lamp)
        await self._is(lamp, "all-held")
        path = f"/v1/shows/{stage.show}/drops/{lamp}/waitlist"
        await stage.call("POST", path, stage.viewer(), json={"quantity": 1})
        await settled(self._page)
        await card(self._page, lamp).locator(".take").click()
        await self._is(lamp, "waiting")
        await self._look("waiting", self._page)

    async def _lapse(self) -> None:
        """Hold a throw until the time is up."""
        throw = await self._stage.drop(1, sku="THROW-BLUE", hold_seconds=SHORT_HOLD_SECONDS)
        await self._is(throw, "open")
        await settled(self._page)
        await card(self._page, throw).locator(".take").click()
        await self._is(throw, "taken")
        await self._is(throw, "open")
        await self._stage.move(throw, "close")
        await self._is(throw, "missed")
        await to_the_fore(self._page, throw)
        await self._look("missed", self._page)

    async def _break(self) -> None:
        page = self._page
        self._windows.forgive(r"^WebSocket connection to '\S+' failed")
        self._windows.forgive("net::ERR_(EMPTY_RESPONSE|CONNECTION_)")
        self._cable.cut()
        await expect(page.locator("#connection")).to_have_attribute("data-state", "waiting")
        await to_the_fore(page, self._mug)
        await self._look("offline", page)
        self._cable.mend()
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")


async def console_states(page: Page, look: Look) -> None:
    """Go through what a host sees of a live show that has orders; at the end the page is as it was."""
    await look("console-live", page)
    await page.locator("#products button").first.click()
    await expect(page.locator("#new-drop")).to_be_visible()
    await look("console-form", page)
    await page.locator("#new-drop .close").click()
    await page.locator("#orders .opener").first.click()
    await expect(page.locator("#orders .acts").first).to_be_visible()
    await page.evaluate("scrollTo(0, 0)")
    await look("console-order", page)
    await page.locator("#orders .opener").first.click()
    await page.keyboard.press("?")  # its button is not there for fingers
    await expect(page.locator("#keys")).to_be_visible()
    await look("console-keys", page)
    await page.keyboard.press("Escape")
    await page.locator("[data-do=viewer-link]").click()
    await expect(page.locator("#link")).to_be_visible()
    await look("console-link", page)
    await page.locator("#link .close").click()
