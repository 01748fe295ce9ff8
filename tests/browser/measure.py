"""Measure the viewer's page: `python -m tests.browser.measure [--seconds 7200]`, some minutes on a quiet machine.

What it weighs on the wire; when a drop can be taken after its address was opened, on this processor and on one that is
four times as slow (Chromium slows itself down; the way to the server is loopback); and what two hours of a busy show in
one tab leave in its memory. Exits 1 where a goal is missed, or where a page that forgets nothing would not be noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from playwright.async_api import expect
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.browser import tour
from tests.browser.busy import BusyShow
from tests.browser.weight import MOST_BYTES, Scales
from tests.browser.windows import Windows, browsing, card
from tests.server import own_server
from tests.stage import Stage

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

LOADS = 9
SLOWER = 4
MOST_MS = 1_000  # until the button can be pressed, on a processor that is SLOWER times as slow
TWO_HOURS = 7_200
STEP_SECONDS = 2  # told and wound on at once
SAMPLES = 50
AROUND = 5  # samples of which the median counts
MOST_GROWTH = 0.10  # of the heap, after the first tenth
DROPS = 40
PAINT_MS = 100  # within which a page shows what it has heard
# Notes when the button of the open drop can first be pressed, in ms since the address was opened.
WHEN_ENABLED = """
globalThis.enabledAfter = null;
new MutationObserver(() => {
  const take = document.querySelector("article[data-kind=open] .take[aria-disabled=false]");
  if (take && enabledAfter === null) globalThis.enabledAfter = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
# What a page that forgets nothing would do: it keeps each change of the document that it ever saw.
FORGET_NOTHING = """() => { window.kept = [];
  new MutationObserver((changes) => window.kept.push(changes, new Array(500).fill(window.kept.length)))
    .observe(document, { subtree: true, childList: true, characterData: true, attributes: true }) }"""

console = Console()
if not console.is_terminal:
    console.width = 120  # a log has no width of its own


@dataclass(slots=True)
class Heap:
    """Bytes in use after a collection, over the show; and the elements and listeners of the page."""

    used: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    listeners: list[int] = field(default_factory=list)

    async def sample(self, session: CDPSession) -> None:
        """Collect what nobody needs any more, and count the rest."""
        await session.send("HeapProfiler.collectGarbage")
        self.used.append(int((await session.send("Runtime.getHeapUsage"))["usedSize"]))
        counters = await session.send("Memory.getDOMCounters")
        self.nodes.append(counters["nodes"])
        self.listeners.append(counters["jsEventListeners"])

    @property
    def growth(self) -> float:
        """By which share the end is above the end of the first tenth; medians of some samples at each."""
        tenth = len(self.used) // 10
        return median(self.used[-AROUND:]) / median(self.used[max(0, tenth - AROUND // 2) :][:AROUND]) - 1


async def weigh(windows: Windows, drop: str) -> Scales:
    """Load the page once, with nothing kept from before."""
    scales = Scales()

    async def weighed(page: Page) -> None:
        await scales.under(page)

    page = await windows.viewer(before=weighed)
    await expect(card(page, drop)).to_have_attribute("data-kind", "open")
    await page.wait_for_load_state("networkidle")
    await windows.close()
    return scales


async def enabled(windows: Windows, drop: str, slower: int) -> list[float]:
    """Load the page some times, each with nothing kept; return after how many ms the drop could be taken."""
    found: list[float] = []

    async def slowed(page: Page) -> None:
        session = await Scales().under(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        await page.add_init_script(WHEN_ENABLED)

    for _ in range(LOADS):
        page = await windows.viewer(before=slowed)
        await expect(card(page, drop)).to_have_attribute("data-kind", "open")
        found.append(await page.evaluate("enabledAfter"))
        await windows.close()
    return found


class Tab:
    """A viewer's page at a busy show, with its clock in our hands."""

    def __init__(self, page: Page, busy: BusyShow, session: CDPSession) -> None:
        self.page, self.busy, self.session = page, busy, session

    async def sit(self, seconds: int, heap: Heap, every: int, words: str) -> None:
        """Sit through so much of the show, and sample the heap every so many seconds."""
        for second in track(range(0, seconds, STEP_SECONDS), words, console=console, transient=True):
            if second % every < STEP_SECONDS:
                await heap.sample(self.session)
            await self._step()
        await heap.sample(self.session)

    async def _step(self) -> None:
        """Let some seconds pass; the page has heard and shown all of them when this returns."""
        viewers = await self.busy.play(STEP_SECONDS)
        passed = 0
        shown = self.page.locator("#viewers")
        while passed == 0 or str(viewers) not in (await shown.inner_text()).replace(",", ""):
            await self.page.clock.run_for(PAINT_MS)
            passed += PAINT_MS
        await self.page.clock.run_for(max(PAINT_MS, STEP_SECONDS * 1000 - passed))


async def sit_through(windows: Windows, seconds: int) -> tuple[Heap, Heap, int]:
    """Sit through the show, and through as much again by a tenth with a page that forgets nothing; count messages."""
    whole, control = Heap(), Heap()
    async with BusyShow(windows.stage).open() as busy:

        async def elsewhere(page: Page) -> None:
            await page.add_init_script(busy.script)
            await page.clock.install()

        page = await windows.viewer(before=elsewhere, says=None, bypass_csp=True)
        await busy.begun()
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        session = await page.context.new_cdp_session(page)
        tab = Tab(page, busy, session)
        await tab.sit(seconds, whole, max(STEP_SECONDS, seconds // SAMPLES), "a busy show")
        assert await page.locator("#connection").get_attribute("data-state") == "live"
        assert windows.complaints == [], windows.complaints
        messages = busy.sent
        await page.evaluate(FORGET_NOTHING)
        await tab.sit(seconds // 10, control, max(STEP_SECONDS, seconds // SAMPLES // 10), "the control")
        await windows.close()
    return whole, control, messages


def weight_table(scales: Scales) -> Table:
    """Return what each file weighs."""
    table = Table(
        "file", "kind", "bytes on the wire", title="The viewer's page, English, nothing kept from before"
    )
    for file in sorted(scales.files, key=lambda one: -one.size):
        name = "/".join(urlsplit(file.url).path.split("/")[-2:])
        table.add_row(name, file.kind if file.counts else f"{file.kind}, not counted", f"{file.size:,}")
    return table


def kib(values: list[int], place: int) -> str:
    """Return a value in KiB."""
    return f"{values[place] / 1024:,.0f} KiB"


def heap_table(heap: Heap, seconds: int, messages: int) -> Table:
    """Return the heap at five moments."""
    title = f"{seconds / 3600:.1f} hours of a busy show in one tab, {messages:,} messages"
    table = Table("of the show", "heap after a collection", "nodes", "listeners", title=title)
    for share in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        at = round(share * (len(heap.used) - 1))
        table.add_row(f"{share:.0%}", kib(heap.used, at), f"{heap.nodes[at]:,}", f"{heap.listeners[at]:,}")
    return table


async def measure(seconds: int) -> list[tuple[str, str, str, bool]]:
    """Measure everything, print the tables, and return each goal: what was seen, what is asked, whether it is met."""
    with (
        tempfile.TemporaryDirectory(prefix="livedrop-measure-") as folder,
        own_server(Path(folder)) as server,
    ):
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http, browsing() as browser:
            stage = Stage(server, http)
            await tour.announce(stage)
            await tour.done(stage, "POST", f"/v1/shows/{stage.show}/start")
            drop = await stage.drop(500, sku="MUG-LAGOON")
            windows = Windows(browser, stage)
            with console.status("weighing, and loading under load"):
                scales = await weigh(windows, drop)
                quick, slow = [await enabled(windows, drop, rate) for rate in (1, SLOWER)]
            await stage.move(drop, "close")
            catalog = await tour.done(stage, "GET", "/v1/catalog/products?limit=100")
            skus = itertools.cycle(product["sku"] for product in catalog.json()["items"])
            for sku in itertools.islice(skus, DROPS):
                await stage.drop(500, sku=sku, opened=False)
            heap, control, messages = await sit_through(windows, seconds)
    console.print(weight_table(scales))
    times = Table(
        "processor", "median", "quickest", "slowest", title=f"Until a drop can be taken, {LOADS} loads"
    )
    for name, found in (("this one", quick), (f"{SLOWER} times as slow", slow)):
        times.add_row(name, *(f"{value:,.0f} ms" for value in (median(found), min(found), max(found))))
    console.print(times, heap_table(heap, seconds, messages))
    return [
        (
            "weight of the page",
            f"{scales.total / 1024:.1f} KiB",
            f"< {MOST_BYTES // 1024} KiB",
            scales.total < MOST_BYTES,
        ),
        (
            "until a drop can be taken, slow",
            f"{median(slow):,.0f} ms",
            f"< {MOST_MS:,} ms",
            median(slow) < MOST_MS,
        ),
        ("growth of the heap", f"{heap.growth:+.1%}", f"< {MOST_GROWTH:.0%}", heap.growth < MOST_GROWTH),
        (
            "control: one that forgets nothing",
            f"{control.growth:+.1%}",
            f"> {MOST_GROWTH:.0%}",
            control.growth > MOST_GROWTH,
        ),
    ]


def main() -> None:
    """Measure, report, and exit 1 if a goal is missed."""
    words = argparse.ArgumentParser(prog="python -m tests.browser.measure", description=__doc__)
    words.add_argument(
        "--seconds", type=int, default=TWO_HOURS, help="of the busy show (default: %(default)s)"
    )
    goals = asyncio.run(measure(words.parse_args().seconds))
    load = (
        f"Load {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors: the work of others is in the times."
    )
    table = Table("goal", "seen", "asked", "", title="Goals", caption=load)
    for name, seen, asked, met in goals:
        table.add_row(name, seen, asked, "met" if met else "[red]missed[/red]")
    console.print(table)
    sys.exit(0 if all(met for *_, met in goals) else 1)


if __name__ == "__main__":
    main()
