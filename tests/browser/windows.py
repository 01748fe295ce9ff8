"""Browser windows on a show: the host's on a desk, the viewers' on phones; what Chromium complains about is kept."""

from __future__ import annotations

import re
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright, expect

from server.auth import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

    from tests.stage import Stage

    Preparation = Callable[[Page], Awaitable[None]]

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
COMMAND = "chromium"
# What a browser does for its maker and its user's profile is of no use here.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
CONNECTED = "Connected"


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Give a Chromium; it has ended when this returns."""
    expect.set_options(timeout=PATIENCE_MS)
    path = shutil.which(COMMAND)
    assert path, f"The browser tests need {COMMAND} on PATH; on Debian: apt install {COMMAND}"
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Windows:
    """The windows of one test, each with a profile of its own."""

    def __init__(self, browser: Browser, stage: Stage) -> None:
        self.browser = browser
        self.stage = stage
        self.complaints: list[str] = []
        self._forgiven: list[str] = []
        self._profiles: list[BrowserContext] = []

    async def host(self, *, token: str | None = None, says: str | None = CONNECTED, **profile: Any) -> Page:
        """Open the host's console and return once it says so of its connection."""
        own = self.stage.server.token(Role.HOST, "host") if token is None else token
        return await self._open(self._link("host", own), says, {"viewport": DESK, **profile})

    async def viewer(
        self,
        *,
        token: str | None = None,
        says: str | None = CONNECTED,
        url: str = "",
        show: str = "",
        before: Preparation | None = None,
        **profile: Any,
    ) -> Page:
        """Open the viewer's page on a phone; `url`: another way to the server, `show`: another than the stage's.

        `before` is done with the window before it has an address; without `says` nothing is waited for.
        """
        own = self.stage.viewer() if token is None else token
        phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True, **profile}
        return await self._open(self._link("watch", own, url, show), says, phone, before)

    def forgive(self, pattern: str) -> None:
        """Let complaints pass that a test provokes on purpose."""
        self._forgiven.append(pattern)

    async def close(self) -> None:
        """Close every window."""
        for profile in self._profiles:
            await profile.close()
        self._profiles.clear()

    def _link(self, kind: str, token: str, url: str = "", show: str = "") -> str:
        fragment = f"#token={token}" if token else ""
        return f"{url or self.stage.server.url}/{kind}/{show or self.stage.show}{fragment}"

    async def _open(
        self, link: str, says: str | None, profile: dict[str, Any], before: Preparation | None = None
    ) -> Page:
        context = await self.browser.new_context(**{"reduced_motion": "reduce", "locale": "en-IE", **profile})
        context.set_default_timeout(PATIENCE_MS)
        self._profiles.append(context)
        page = await context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        if before is not None:
            await before(page)
        await page.goto(link)
        if says is not None:
            await expect(page.locator("#connection")).to_have_text(says)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not any(re.search(pattern, message.text) for pattern in self._forgiven):
            self.complaints.append(f"{message.type}: {message.text}")


def card(page: Page, drop: str) -> Locator:
    """Return a drop's card on either page."""
    return page.locator(f'article[data-drop="{drop}"]')


async def sees_stock(page: Page, drop: str, available: int, held: int, sold: int) -> None:
    """Wait until a page shows these numbers of a drop."""
    for name, number in (("available", available), ("held", held), ("sold", sold)):
        shown = card(page, drop).locator(f"b[data-{name}]")
        await expect(shown).to_have_attribute(f"data-{name}", str(number))
