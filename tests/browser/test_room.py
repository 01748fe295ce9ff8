"""A show with one seat: who waits sees where, and comes in without a press; an unknown browser does its work first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from server.clock import now_ms
from tests.browser.windows import Windows, card
from tests.server import own_server
from tests.stage import on_stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, Page

    from tests.server import ServerProcess
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAITS = "In the waiting room"
SETTINGS = {
    "LIVEDROP_SHOW_CAPACITY": "1",
    "LIVEDROP_TURN_SECONDS": "2",
    "LIVEDROP_CHALLENGE_BITS": "10",
    "LIVEDROP_ALLOWED_ORIGINS": "*",
}
CONNECT = """async ({ origin, show, token }) => {
  const { LiveDrop } = await import(`${origin}/static/client/livedrop.js`);
  const live = new LiveDrop({ origin, show, token });
  const states = [];
  const over = new Promise((resolve) => live.addEventListener("connection", ({ detail: { state } }) => {
    states.push(state);
    if (["live", "waiting", "ended"].includes(state)) resolve(states);
  }));
  live.connect();
  return over;
}"""
HOUR_MS = 3_600_000
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def small_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server whose shows have one seat, and where the unknown have to do work."""
    with own_server(tmp_path_factory.mktemp("room"), SETTINGS) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def full(small_house: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show there."""
    async with on_stage(small_house) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(chromium: Browser, full: Stage) -> AsyncIterator[Windows]:
    """Give a test its windows on that show; none of them may have complained afterwards."""
    windows = Windows(chromium, full)
    yield windows
    await windows.close()
    assert windows.complaints == []


async def test_who_is_next_comes_in_without_a_press(crowd: Windows, full: Stage) -> None:
    """The second sees place 1 instead of offers, and so does the host; the first leaves, and the second can buy.

    The first comes by the console's link, as anybody may: after a worker's work, which the page's policy lets begin.
    """
    drop = await full.drop(5)
    host = await crowd.host()
    await host.get_by_role("button", name="New viewer link").click()
    await expect(host.locator("#link")).to_be_visible()
    link = await host.locator("#link input").input_value()
    workers: list[str] = []

    async def watched(page: Page) -> None:
        page.on("worker", lambda worker: workers.append(worker.url))

    first = await crowd.viewer(token=link.partition("#token=")[2], before=watched)
    await expect(first.locator("#room")).to_be_hidden()
    await wait_for(lambda: bool(workers), "a worker has begun")
    assert workers == [f"{full.server.url}/static/work.js"]
    second = await crowd.viewer(says=WAITS, viewport=NARROW)
    await expect(second.locator("#room-heading")).to_have_text("You are number 1 of 1")
    await expect(second.locator("#room-line")).to_contain_text("You are next.")
    await expect(second.locator("#room-keep")).to_contain_text("kept for 2 seconds")
    await expect(second.locator("#aloud")).to_contain_text("You are number 1 of 1")
    await expect(second.locator("#drops-heading")).to_be_hidden()
    assert not await second.evaluate("document.documentElement.scrollWidth > innerWidth")
    await host.reload()
    await expect(host.locator("[data-metric=waiting_room]")).to_have_text("1 in the waiting room")
    await first.close()
    await expect(second.locator("#notices")).to_contain_text("You are in.")
    await expect(second.locator("#room")).to_be_hidden()
    take = card(second, drop).locator(".take")
    await take.tap()
    await expect(take).to_contain_text("pay within")


async def test_before_the_show_nobody_has_a_place(crowd: Windows, full: Stage) -> None:
    """The page says that lots are drawn, and counts down; when the show begins, the viewer is in it."""
    plan = {"title": "Soon", "currency": "EUR", "starts_at": now_ms() + HOUR_MS}
    full.show = (await full.host("POST", "/v1/shows", json=plan)).json()["id"]
    page = await crowd.viewer(says="Im Warteraum", locale="de")
    await expect(page.locator("#room-heading")).to_have_text("Im Warteraum: 1")
    await expect(page.locator("#room-line")).to_contain_text("ausgelost")
    await expect(page.locator("#room-opens")).to_contain_text("Beginnt in 59:")
    await expect(page.locator("#title")).to_have_text("Soon")
    await full.host("POST", f"/v1/shows/{full.show}/start")
    await expect(page.locator("#connection")).to_have_text("Verbunden")


async def test_a_shops_own_page_does_the_work_too(full: Stage, chromium: Browser) -> None:
    """The library in a page of another origin, where no file of the server may begin a worker, is let in as well."""
    body = {"sub": "guest", "role": "viewer", "shows": [full.show], "anonymous": True}
    token = (await full.host("POST", "/v1/tokens", json=body)).json()["token"]
    context = await chromium.new_context(bypass_csp=True)  # a shop's page has a policy of its own, or none
    try:
        page = await context.new_page()
        await page.goto(full.server.url.replace("127.0.0.1", "localhost") + "/watch/sh_none")
        given = {"origin": full.server.url, "show": full.show, "token": token}
        assert await page.evaluate(CONNECT, given) == ["connecting", "checking", "live"]
    finally:
        await context.close()
