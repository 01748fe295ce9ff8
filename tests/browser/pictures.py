"""Make the README's pictures: `python -m tests.browser.pictures` plays a scene on a server of its own.

docs/viewer.png is a viewer's phone with one unit on hold, docs/host.png the host's console of the same moment.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect

from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED
from tests.browser.windows import Windows, browsing, card, sees_stock
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from playwright.async_api import Page

DOCS = Path(__file__).resolve().parents[2] / "docs"
TITLE = "Saturday Night Drops"
WATCHING = 38
UNITS = 60
PINNED = ["MUG-LAGOON", "TEAPOT-1L", "LAMP-BRASS"]
BUYERS = (1, 2, 1, 1, 2, 1, 2, 1, 1, 1, 2, 1)  # units that each of them pays
WAITERS = (1, 2, 1, 1, 2)  # units that each of them holds
DESK = {"width": 1280, "height": 900}


class Scene:
    """A show in full swing, as the README shows it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._names = (f"guest-{number}" for number in itertools.count(1))

    async def prepare(self) -> None:
        """Import the sample feed, go live, open one drop, plan the next, pin three products."""
        stage = self.stage
        await self._done(
            "POST", f"/v1/catalog/import?currency={SAMPLE_CURRENCY}", content=SAMPLE_FEED.read_bytes()
        )
        show = {"title": TITLE, "currency": SAMPLE_CURRENCY, "locale": "en-IE"}
        stage.show = (await self._done("POST", "/v1/shows", json=show)).json()["id"]
        await self._done("POST", f"/v1/shows/{stage.show}/start")
        await self._done("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": PINNED})
        await stage.drop(12, sku="TEAPOT-1L", opened=False)
        self.drop = await stage.drop(UNITS, sku="MUG-LAGOON", limit_per_viewer=2)

    async def sell(self) -> None:
        """Let buyers pay and others hold."""
        for units in BUYERS:
            await self._order(units)
        for units in WAITERS:
            await self.stage.reserve(self.stage.viewer(next(self._names)), self.drop, units)

    async def _order(self, units: int) -> None:
        token = self.stage.viewer(next(self._names))
        held = await self.stage.reserve(token, self.drop, units)
        paid = await self.stage.pay(token, held.json()["id"])
        assert paid.status_code == httpx.codes.CREATED, paid.text

    async def _done(self, method: str, path: str, **body: object) -> httpx.Response:
        answer = await self.stage.host(method, path, **body)
        return answer.raise_for_status()


async def play(server: ServerProcess) -> None:
    """Play the scene and photograph both pages at its best moment."""
    async with AsyncExitStack() as ends:
        http = await ends.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=30))
        stage = Stage(server, http)
        scene = Scene(stage)
        await scene.prepare()
        for _ in range(WATCHING - 1):
            await ends.enter_async_context(stage.watching())
        windows = Windows(await ends.enter_async_context(browsing()), stage)
        ends.push_async_callback(windows.close)
        phone = await windows.viewer(device_scale_factor=2)
        desk = await windows.host(viewport=DESK, device_scale_factor=1.5)
        await scene.sell()
        await card(phone, scene.drop).locator(".take").tap()
        sold, held = sum(BUYERS), sum(WAITERS) + 1
        for page in (phone, desk):
            await sees_stock(page, scene.drop, UNITS - sold - held, held, sold)
            await expect(page.locator("#viewers")).to_have_text(f"{WATCHING} watching")
        await expect(desk.locator('[data-metric="orders"]')).to_have_text(str(len(BUYERS)))
        await expect(desk.locator("#orders .order")).to_have_count(len(BUYERS))
        await photograph(phone, "viewer.png")
        await photograph(desk, "host.png")
        assert windows.complaints == []


async def photograph(page: Page, name: str) -> None:
    """Write what a window shows into docs/, once nothing covers it."""
    await expect(page.locator("#notices .notice")).to_have_count(0)
    path = DOCS / name
    await page.screenshot(path=path)
    sys.stdout.write(f"{path}: {path.stat().st_size // 1024} KiB\n")


def main() -> None:
    """Start a server, make the pictures, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="livedrop-pictures-") as folder:
        server = ServerProcess(Path(folder) / "data").start()
        try:
            asyncio.run(play(server))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
