"""Make the pictures of the papers: `python -m tests.browser.pictures`, about three minutes, on a server of its own.

docs/viewer.png is a viewer's phone with one unit on hold, docs/host.png the host's console of the same moment;
docs/states/ has every state of both pages, phone and desk, tablet and desk, and docs/states.md says what they show.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.async_api import expect

from tests.browser import tour
from tests.browser.cable import Cable
from tests.browser.png import reduced
from tests.browser.windows import DESK, PHONE, Windows, browsing, card, sees_stock
from tests.server import own_server
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from tests.server import ServerProcess

DOCS = Path(__file__).resolve().parents[2] / "docs"
STATES = DOCS / "states"
MOST_KIB = {STATES: 80, DOCS: 160}  # of one picture, by its folder
WATCHING = 38
UNITS = 60
BUYERS = (1, 2, 1, 1, 2, 1, 2, 1, 1, 1, 2, 1)  # units that each of them pays
APART_SECONDS = 5.0  # from one buyer to the next: the console's curves have a point each 10 s
WAITERS = (1, 2, 1, 1, 2)  # units that each of them holds
MOUSE: dict[str, Any] = {"viewport": DESK, "is_mobile": False, "has_touch": False}
DESKS: dict[str, dict[str, Any]] = {
    "tablet": {"viewport": {"width": 820, "height": 1180}, "has_touch": True},
    "desk": {},
}
# Those that are on the screen: the others may be fetched later.
COMPLETE = """[...document.images].every((image) =>
  image.complete || !image.checkVisibility() || image.getBoundingClientRect().top > innerHeight)"""
# Two pictures of one state, side by side on grey.
BESIDE = """<body style="margin:0;padding:16px;display:inline-flex;gap:16px;align-items:start;background:#8a8f98">
<img src="data:image/png;base64,{}"><img src="data:image/png;base64,{}">"""
HEAD = """# What the pages look like

Every state of the viewer's page (phone and desk) and of the host's console (tablet and desk), light. The dark theme and
the other languages are the same pages; tests walk through these states in both themes, from left to right and from
right to left. The pictures are made by `python -m tests.browser.pictures`.
"""


class Scene:
    """A show in full swing, as the README shows it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._names = (f"guest-{number}" for number in itertools.count(1))

    async def prepare(self) -> None:
        """Go live with one open drop, and the next ones planned."""
        stage = self.stage
        await tour.announce(stage)
        await tour.done(stage, "POST", f"/v1/shows/{stage.show}/start")
        self.drop = await stage.drop(UNITS, sku="MUG-LAGOON", limit_per_viewer=2)
        for sku in ("TEAPOT-1L", "LAMP-BRASS"):
            await stage.drop(12, sku=sku, opened=False)
        over = await stage.drop(3, sku="BAG-OLI")
        await tour.sold(stage, over)
        await stage.move(over, "close")

    async def sell(self) -> None:
        """Let buyers pay, one after the other, and others hold."""
        for units in BUYERS:
            await tour.sold(self.stage, self.drop, units)
            await asyncio.sleep(APART_SECONDS)
        for units in WAITERS:
            await self.stage.reserve(self.stage.viewer(next(self._names)), self.drop, units)


class Album:
    """Takes pictures, and puts together those that have the same name."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._taken: dict[Path, list[bytes]] = {}

    async def take(self, name: str, page: Page, *, screen: str = "", folder: Path = STATES) -> None:
        """Take what a window shows, once all of it is there and nothing covers it."""
        await expect(page.locator("#notices .notice")).to_have_count(0)
        await wait_for(lambda: page.evaluate(COMPLETE), "all pictures are there")
        path = folder / (f"{name}-{screen}.png" if screen else f"{name}.png")
        self._taken.setdefault(path, []).append(await page.screenshot())

    async def printed(self) -> dict[Path, bytes]:
        """Return the files."""
        files: dict[Path, bytes] = {}
        page = await self._browser.new_page()
        for path, taken in self._taken.items():
            picture = taken[0]
            if len(taken) > 1:
                await page.set_content(BESIDE.format(*(base64.b64encode(one).decode() for one in taken)))
                picture = await page.locator("body").screenshot()
            files[path] = await reduced(page, picture)
        await page.close()
        return files


@asynccontextmanager
async def a_stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a stage whose show is still to be announced."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Stage(server, http)


async def in_full_swing(server: ServerProcess, browser: Browser, album: Album) -> None:
    """Play the scene, photograph both pages at its best moment, and go on through the console's states."""
    async with AsyncExitStack() as ends:
        stage = await ends.enter_async_context(a_stage(server))
        scene = Scene(stage)
        await scene.prepare()
        for _ in range(WATCHING - 1):
            await ends.enter_async_context(stage.watching())
        windows = Windows(browser, stage)
        ends.push_async_callback(windows.close)
        phone = await windows.viewer(device_scale_factor=2)
        desk = await windows.host(device_scale_factor=1.5)
        await scene.sell()
        await card(phone, scene.drop).locator(".take").tap()
        sold, held = sum(BUYERS), sum(WAITERS) + 1
        for page in (phone, desk):
            await sees_stock(page, scene.drop, UNITS - sold - held, held, sold)
            await expect(page.locator("#viewers")).to_have_text(f"{WATCHING} watching")
        await expect(desk.locator("#orders .order")).to_have_count(len(BUYERS) + 1)
        await album.take("viewer", phone, folder=DOCS)
        await album.take("host", desk, folder=DOCS)
        for screen, profile in DESKS.items():
            page = await windows.host(**profile)
            await expect(page.locator("#metrics canvas")).to_have_count(8)
            await expect(page.locator("#orders .order")).to_have_count(len(BUYERS) + 1)
            await tour.console_states(page, partial(album.take, screen=screen))
        await tour.done(stage, "POST", f"/v1/shows/{stage.show}/end")
        for screen, profile in DESKS.items():
            page = await windows.host(**profile)
            await expect(page.locator("#show-status")).to_have_text("Ended")
            await expect(page.locator("#metrics canvas")).to_have_count(8)
            await expect(page.locator("#orders .order")).to_have_count(len(BUYERS) + 1)
            await album.take("console-ended", page, screen=screen)
        assert windows.complaints == []


async def before_it_starts(server: ServerProcess, browser: Browser, album: Album) -> None:
    """Photograph the console of a show that is planned."""
    async with a_stage(server) as stage:
        await tour.announce(stage)
        for sku in ("MUG-LAGOON", "TEAPOT-1L", "LAMP-BRASS"):
            await stage.drop(12, sku=sku, opened=False)
        windows = Windows(browser, stage)
        for screen, profile in DESKS.items():
            page = await windows.host(**profile)
            await expect(page.locator("#drops article")).to_have_count(3)
            await expect(page.locator("[data-metric=gmv]")).to_have_text("€0.00")
            await album.take("console-before", page, screen=screen)
        await windows.close()


async def an_evening(server: ServerProcess, browser: Browser, album: Album) -> None:
    """Photograph a viewer's evening on a phone, and again on a desk."""
    for profile in ({"viewport": PHONE}, MOUSE):
        async with a_stage(server) as stage, Cable(server.port) as cable:
            await tour.announce(stage)
            windows = Windows(browser, stage)
            await tour.ViewersTour(windows, cable, album.take).walk(**profile)
            await windows.close()
            assert windows.complaints == []


def describe() -> None:
    """Write the page that shows them all."""

    def shown(words: str, name: str) -> str:
        return f"[![{words}](states/{name}.png)](states/{name}.png)"

    viewer = [f"| {words} | {shown(words, state)} |" for state, words in tour.VIEWER.items()]
    host = [
        f"| {words} | {' | '.join(shown(f'{words} ({screen})', f'{state}-{screen}') for screen in DESKS)} |"
        for state, words in tour.CONSOLE.items()
    ]
    parts = [
        HEAD,
        "## The viewer's page\n\n| | phone and desk |\n|---|---|",
        *viewer,
        "\n## The host's console\n\n| | tablet | desk |\n|---|---|---|",
        *host,
    ]
    (DOCS / "states.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


async def made(server: ServerProcess) -> dict[Path, bytes]:
    """Return all pictures, by their files."""
    async with browsing() as browser:
        album = Album(browser)
        await an_evening(server, browser, album)
        await before_it_starts(server, browser, album)
        await in_full_swing(server, browser, album)
        return await album.printed()


def main() -> None:
    """Start a server, make the pictures, and leave nothing behind; exit 1 if one is too heavy."""
    with (
        tempfile.TemporaryDirectory(prefix="livedrop-pictures-") as folder,
        own_server(Path(folder)) as server,
    ):
        pictures = asyncio.run(made(server))
    STATES.mkdir(exist_ok=True)
    for path, picture in pictures.items():
        path.write_bytes(picture)
        sys.stdout.write(f"{path}: {len(picture) // 1024} KiB\n")
    describe()
    heavy = [path.name for path, picture in pictures.items() if len(picture) > MOST_KIB[path.parent] * 1024]
    sys.exit(f"Too heavy: {', '.join(heavy)}" if heavy else 0)


if __name__ == "__main__":
    main()
