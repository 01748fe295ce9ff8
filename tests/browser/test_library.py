"""The client library alone, in a real browser on a real server, with both codecs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from server.auth import Role
from server.clock import now_ms
from tests.browser.cable import Cable
from tests.stage import MUG_PRICE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

CODECS = pytest.mark.parametrize("codec", ["msgpack", "json"])
DAY_MS = 24 * 3600 * 1000
CLOCK_MS = 100  # browser, server and this test take turns on the same processors
RENEWALS = 2
SHORT_TTL = 4

CONNECT = """
async ({ show, token, codec, ahead }) => {
  const { LiveDrop } = await import("/static/client/livedrop.js");
  const platform = { now: () => Date.now() + ahead };
  globalThis.live = new LiveDrop({ show, codec, platform, token: token ?? (() => globalThis.freshToken()) });
  globalThis.seen = [];
  globalThis.sockets = 0;
  live.addEventListener("message", ({ detail }) => seen.push(detail));
  live.addEventListener("connection", ({ detail }) => (sockets += detail.state === "connecting"));
  live.connect();
}
"""


@asynccontextmanager
async def empty_page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Give a page of the server that does nothing, because it has no token; it may load what pages may."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"{url}/watch/sh_none")
        yield page
    finally:
        await context.close()


async def connect(page: Page, stage: Stage, codec: str, *, token: str | None = None, ahead: int = 0) -> None:
    """Connect the library in the page as `live`; return once it is welcomed. Without a token it asks the page."""
    await page.evaluate(CONNECT, {"show": stage.show, "token": token, "codec": codec, "ahead": ahead})
    await until(page, "live.connection.state === 'live'")


async def until(page: Page, expression: str) -> None:
    """Wait until an expression is true in the page."""

    async def holds() -> bool:
        return bool(await page.evaluate(expression))

    await wait_for(holds, expression)


async def offsets(page: Page) -> list[int]:
    """Return the offsets of the log's events that the page has been told of, in order."""
    found: list[int] = await page.evaluate("seen.filter(({ at }) => at).map(({ offset }) => offset)")
    return found


@CODECS
async def test_take_pay_wait_and_give_back(chromium: Browser, stage: Stage, codec: str) -> None:
    """Every operation of the library is understood by the server, and its answer by the library."""
    mugs, lamps = await stage.drop(5, limit_per_viewer=5), await stage.drop(1, sku="LAMP")
    await stage.reserve(stage.viewer(), lamps)
    async with empty_page(chromium, stage.server.url) as page:
        await connect(page, stage, codec, token=stage.viewer())
        taken = await page.evaluate("drop => live.reserve(drop, 2)", mugs)
        assert (taken["quantity"], taken["state"], taken["unit_price"]) == (2, "held", MUG_PRICE)
        order = await page.evaluate(
            "id => live.checkout({ reservations: [id], payment: { method: 'card', token: 'tok_ok' } })",
            taken["id"],
        )
        assert (order["status"], order["total"]) == ("paid", 2 * MUG_PRICE)
        await until(page, "seen.some(({ type }) => type === 'order.updated')")
        refused = await page.evaluate(
            "drop => live.reserve(drop).catch(({ code, extras }) => [code, extras])", lamps
        )
        assert (refused[0], refused[1]["available"]) == ("out-of-stock", 0)
        place = await page.evaluate("drop => live.join(drop)", lamps)
        assert place["position"] == 1
        left = await page.evaluate("drop => live.leave(drop)", lamps)
        assert left["position"] == 0
        [one] = await page.evaluate("drop => live.bundle([{ drop, quantity: 1 }])", mugs)
        back = await page.evaluate("id => live.release(id)", one["id"])
        assert back["state"] == "released"
        assert await page.evaluate("live.react('heart', 3)") is True
        await until(page, "seen.some(({ type, counts }) => type === 'reactions' && counts.heart === 3)")
    assert stage.numbers(await stage.stock(mugs)) == (3, 0, 2)


@CODECS
async def test_a_break_leaves_no_gap(chromium: Browser, stage: Stage, codec: str) -> None:
    """After a cut the log goes on from the last event delivered, without a snapshot, a gap or a repeat."""
    drop = await stage.drop(10)
    async with Cable(stage.server.port) as cable, empty_page(chromium, cable.url) as page:
        await connect(page, stage, codec, token=stage.viewer())
        await stage.move(drop, "pause")
        await until(page, "seen.some(({ type }) => type === 'drop.paused')")
        cable.cut()
        await until(page, "live.connection.state !== 'live'")
        await stage.move(drop, "resume")
        await stage.move(drop, "restock", quantity=5)
        cable.mend()
        await until(page, "seen.some(({ type }) => type === 'drop.restocked')")
        told = await offsets(page)
        assert told == list(range(told[0], told[0] + 3))
        assert await page.evaluate("seen.filter(({ type }) => type === 'welcome').at(-1).recovered") is True


@CODECS
async def test_the_servers_clock(chromium: Browser, stage: Stage, codec: str) -> None:
    """On a computer whose clock is a day off, ahead or behind, the library tells the server's time."""
    for ahead in (DAY_MS, -DAY_MS):
        async with empty_page(chromium, stage.server.url) as page:
            await connect(page, stage, codec, token=stage.viewer(), ahead=ahead)
            await until(page, "seen.filter(({ type }) => type === 'pong').length >= 4")

            async def is_right(page: Page = page) -> bool:
                """Whether it is now; on a busy machine it takes one more ping that comes back at once."""
                before = now_ms()
                told: float = await page.evaluate("live.now()")
                return before - CLOCK_MS <= told <= now_ms() + CLOCK_MS

            await wait_for(is_right, "the library tells the server's time")


async def test_a_token_is_renewed_on_an_open_connection(chromium: Browser, stage: Stage) -> None:
    """With tokens of a few seconds one connection lives on: the server takes each fresh one before the old one ends."""

    def fresh() -> str:
        return stage.server.token(Role.VIEWER, "renewing", stage.show, ttl=SHORT_TTL)

    async with empty_page(chromium, stage.server.url) as page:
        await page.expose_function("freshToken", fresh)
        await connect(page, stage, "msgpack")
        await until(page, f"seen.filter(({{ type }}) => type === 'ok').length >= {RENEWALS}")
        state: dict[str, Any] = await page.evaluate("({ state: live.connection.state, sockets })")
        assert state == {"state": "live", "sockets": 1}
