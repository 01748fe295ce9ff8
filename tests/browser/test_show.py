"""A whole show: a host at the desk, viewers on phone, tablet and desk, and all that goes wrong in one evening."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from server.api.pages import WEB
from tests.browser.cable import Cable
from tests.browser.windows import DESK, PHONE, Windows, card, sees_stock
from tests.server import own_server
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLET = {"width": 820, "height": 1180}
TOGETHER_MS = 250  # within which everybody sees a drop open
CUT_SECONDS = 5.0
HOLD_SECONDS = 18  # the cut takes place within it, as a rule the restart too
# Chromium says so of each attempt while there is no way to the server.
NO_WAY = r"^WebSocket connection to '\S+' failed|^Failed to load resource: net::ERR_"
# Notes the moment at which the page first lets its viewer take the drop, by the computer's one clock.
NOTE_THE_OPENING = """(drop) => {
  const card = document.querySelector(`article[data-drop="${drop}"]`);
  const look = () => {
    if (window.openedAt || card.dataset.kind !== "open") return;
    if (card.querySelector(".take").getAttribute("aria-disabled") === "false") window.openedAt = Date.now();
  };
  window.openedAt = null;
  look();
  new MutationObserver(look).observe(card, { attributes: true, subtree: true });
}"""


class Frames:
    """Of what kind the messages are that a page gets on its sockets: text with json, binary with msgpack."""

    def __init__(self, page: Page) -> None:
        self.kinds: set[type] = set()
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda data: self.kinds.add(type(data)))
        )


@pytest_asyncio.fixture(loop_scope="session")
async def evening(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stage, Windows]]:
    """Give a live show on a server of its own, which may be restarted; its books must balance at the end."""
    with own_server(tmp_path_factory.mktemp("evening")) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            windows = Windows(chromium, stage)
            yield stage, windows
            await windows.close()
            assert windows.complaints == []
            await stage.audit()


async def speaking_json(page: Page) -> None:
    """Let a page ask for the other codec, as a page of somebody else's might."""

    async def other(route: Route) -> None:
        answer = await route.fetch()
        script = await answer.text()
        asked = script.replace(
            "new LiveDrop({ show, token })", 'new LiveDrop({ show, token, codec: "json" })'
        )
        assert asked != script, "the page asks for its connection in other words now"
        await route.fulfill(response=answer, body=asked)

    await page.route("**/viewer.js", other)


async def is_to(page: Page, drop: str, kind: str) -> None:
    """Wait until the drop is to this page's viewer what the word says."""
    await expect(card(page, drop)).to_have_attribute("data-kind", kind)


async def pays(page: Page, drop: str) -> str:
    """Pay for what is on hold, see the order, and return its id."""
    await card(page, drop).locator(".take").click()
    pay = page.locator("#pay-ok")
    await expect(pay).to_be_enabled()
    await pay.click()
    await expect(page.locator("#order")).to_have_attribute("data-status", "paid")
    order = await page.locator("#order-id").inner_text()
    await page.locator("#order-close").click()
    await expect(page.locator(f'#orders [data-order="{order}"]')).to_be_visible()
    await is_to(page, drop, "bought")
    return order


def arabic(key: str, **values: object) -> str:
    """Return what the page says in Arabic."""
    words = json.loads((WEB / "words/ar/viewer.json").read_text(encoding="utf-8"))
    return str(words[key]).format(**values)


async def open_together(desk: Page, pages: list[Page], drop: str) -> list[int]:
    """Let the host start a countdown; return how many ms after the first page each of them opened."""
    for page in pages:
        await is_to(page, drop, "scheduled")
        await page.evaluate(NOTE_THE_OPENING, drop)
    await card(desk, drop).get_by_role("button", name="Open in 5 seconds").click()
    for page in pages:
        await is_to(page, drop, "countdown")
    for page in pages:
        await is_to(page, drop, "open")
    moments = [await page.evaluate("window.openedAt") for page in pages]
    return [moment - min(moments) for moment in moments]


async def restart(stage: Stage) -> None:
    """Let the server leave in good order and come back on the same data, at the same place."""
    assert await asyncio.to_thread(stage.server.stop) == 0
    await asyncio.to_thread(stage.server.start)


async def test_a_whole_show(evening: tuple[Stage, Windows]) -> None:
    """Two take the last two units, the third waits through a cut and a restart, is promoted, pays, sees the order."""
    stage, windows = evening
    windows.forgive(NO_WAY)
    drop = await stage.drop(2, opened=False, hold_seconds=HOLD_SECONDS)
    desk = await windows.host()
    async with Cable(stage.server.port) as cable:
        phone = await windows.viewer(viewport=PHONE)
        wide: dict[str, Any] = {"viewport": DESK, "is_mobile": False, "has_touch": False}
        other = await windows.viewer(before=speaking_json, **wide)
        tablet = await windows.viewer(viewport=TABLET, locale="ar", says=None, url=cable.url)
        everybody = [phone, other, tablet]
        frames = [Frames(page) for page in everybody]
        for page in everybody:
            await page.reload()  # from the first frame on

        late = await open_together(desk, everybody, drop)
        assert max(late) <= TOGETHER_MS, f"ms after the first: {late}"

        for page, left in ((phone, 1), (other, 0)):
            await card(page, drop).locator(".take").click()
            await is_to(page, drop, "taken")
            await sees_stock(tablet, drop, left, 2 - left, 0)
        await is_to(tablet, drop, "all-held")
        await card(tablet, drop).locator(".take").click()
        await is_to(tablet, drop, "waiting")
        first_in_line = arabic(
            "viewer.in-line", position="\u20681\u2069"
        )  # set apart from the writing around it
        await expect(card(tablet, drop).locator(".take")).to_contain_text(first_in_line)

        cable.cut()
        cut_until = asyncio.get_running_loop().time() + CUT_SECONDS
        await expect(tablet.locator("#connection")).to_have_attribute("data-state", "waiting")
        await phone.reload()
        await is_to(phone, drop, "taken")
        first = await pays(phone, drop)
        await wait_for(
            lambda: asyncio.get_running_loop().time() > cut_until, "the cut has lasted long enough"
        )
        cable.mend()
        back = expect(
            tablet.locator("#connection")
        )  # whose next try may be as far off as full jitter lets it be
        await back.to_have_attribute("data-state", "live", timeout=30_000)
        await sees_stock(tablet, drop, 0, 1, 1)
        await is_to(tablet, drop, "waiting")

        await restart(stage)
        for page in everybody:
            again = expect(page.locator("#connection"))  # as far off for whom it follows another break
            await again.to_have_attribute("data-state", "live", timeout=30_000)
            await expect(card(page, drop).locator("b[data-sold]")).to_have_attribute("data-sold", "1")

        await is_to(tablet, drop, "taken")
        await is_to(other, drop, "all-held")
        second = await pays(tablet, drop)
        await is_to(other, drop, "missed")
        for page in [desk, *everybody]:
            await sees_stock(page, drop, 0, 0, 2)
        for order in (first, second):
            await expect(desk.locator(f'#orders [data-order="{order}"]')).to_be_visible()
        assert [one.kinds for one in frames] == [{bytes}, {str}, {bytes}]
