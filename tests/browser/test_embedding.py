"""A shop's page, on a site of its own, embeds a show: what happens inside arrives outside, and nobody else may."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.server import free_port, own_server
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, ConsoleMessage, FrameLocator, Page

    from tests.server import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAME = "livedrop-watch iframe"
OURS = ("ready", "reservation", "release", "checkout", "order", "waitlist", "show", "unauthenticated")
ALIASES = ("READY", "ADD_TO_CART", "REMOVE_FROM_CART", "CHECKOUT", "PURCHASE")
# The shop keeps what it hears, by every name that there is, and what reaches its window at all.
SHOP = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>A shop</title>
<script>
  const heard = [], messages = [];
  for (const name of {names})
    document.addEventListener(name, ({{ type, detail }}) => heard.push([type, detail]));
  addEventListener("message", ({{ origin, data }}) => messages.push([origin, data]));
</script>
<script type="module" src="{server}/static/client/livedrop-watch.js"></script>
<h1>Shop</h1>
<livedrop-watch show="{show}" token="{token}"></livedrop-watch>
"""


class Shop:
    """A web site that serves one page, at `localhost`: another site than the server's `127.0.0.1`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self.port = port
        self.page = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = self.page.encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
            "Content-Security-Policy: style-src 'self'\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def shop_ports() -> tuple[int, int]:
    """Give the ports of the shop that may embed and of one that may not."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, shop_ports: tuple[int, int]
) -> Iterator[ServerProcess]:
    """Give a server that lets one shop embed its shows."""
    settings = {"LIVEDROP_FRAME_ANCESTORS": f"http://localhost:{shop_ports[0]}"}
    with own_server(tmp_path_factory.mktemp("embedded"), settings) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def scene(embedded: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show on it."""
    async with httpx.AsyncClient(base_url=embedded.url, timeout=30) as http:
        one = Stage(embedded, http)
        await one.open()
        yield one
        await one.audit()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, scene: Stage, shop_ports: tuple[int, int]) -> AsyncIterator[Visit]:
    """Give a visit to the shop that may; the browser must not have complained of anything."""
    shop = Shop(shop_ports[0])
    async with shop.open(), Visit(chromium, scene, shop) as one:
        yield one
        assert one.complaints == []


class Visit:
    """Somebody looks at a shop's page."""

    def __init__(self, browser: Browser, stage: Stage, shop: Shop) -> None:
        self.stage, self.shop, self.complaints = stage, shop, list[str]()
        self.token = stage.viewer()
        self._browser = browser
        names = [f"livedrop:{name}" for name in OURS] + list(ALIASES)
        self._terms = {"server": stage.server.url, "show": stage.show, "names": json.dumps(names)}

    async def __aenter__(self) -> Self:
        self._profile = await self._browser.new_context(locale="en-IE", reduced_motion="reduce")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._profile.close()

    async def open(self, *, lang: str = "en", token: str = "") -> Page:
        """Open the shop's page with the show in it."""
        self.shop.page = SHOP.format(**self._terms, token=token or self.token, lang=lang)
        page = await self._profile.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.shop.url)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


async def heard(page: Page, name: str) -> dict[str, Any]:
    """Return the detail of the newest event of that name, once there is one."""
    found: list[dict[str, Any]] = []

    async def has_come() -> bool:
        events = await page.evaluate("heard")
        found[:] = [detail for kind, detail in events if kind == name]
        return bool(found)

    await wait_for(has_come, f"the shop hears {name}")
    return found[-1]


def inside(page: Page) -> FrameLocator:
    """Return what is inside the frame."""
    return page.frame_locator(FRAME)


async def test_what_happens_inside_is_heard_outside(visit: Visit) -> None:
    """A unit taken in the frame, the checkout opened and the order paid reach the shop, each under both its names."""
    stage = visit.stage
    drop = await stage.drop(2)
    page = await visit.open()
    ready = {"show": stage.show, "title": "A test", "status": "live", "currency": "EUR"}
    assert await heard(page, "READY") == await heard(page, "livedrop:ready") == ready
    take = inside(page).locator(f'article[data-drop="{drop}"] .take')
    await take.click()
    item = await heard(page, "ADD_TO_CART")
    assert item == await heard(page, "livedrop:reservation")
    assert (item["drop"], item["sku"], item["quantity"], item["unit_price"]) == (drop, "MUG", 1, 1250)
    await expect(take).to_contain_text("Pay")
    await take.click()
    assert (await heard(page, "CHECKOUT"))["items"] == [item]
    paid = await stage.pay(visit.token, item["reservation"])
    order = await heard(page, "PURCHASE")
    assert order == await heard(page, "livedrop:order")
    bought = {"drop": drop, "sku": "MUG", "quantity": 1, "unit_price": 1250}
    assert order == {"id": paid.json()["order"]["id"], "total": 1250, "currency": "EUR", "items": [bought]}


async def test_what_goes_back_is_heard_too(visit: Visit) -> None:
    """A unit that is given back leaves the cart, a place in the queue is told, and so is the show's state."""
    stage = visit.stage
    drop = await stage.drop(1)
    page = await visit.open()
    await inside(page).locator(f'article[data-drop="{drop}"] .take').click()
    item = await heard(page, "ADD_TO_CART")
    await stage.call("DELETE", f"/v1/reservations/{item['reservation']}", visit.token)
    assert (await heard(page, "REMOVE_FROM_CART"))["reservation"] == item["reservation"]
    assert (await heard(page, "livedrop:release"))["quantity"] == 1
    await stage.reserve(stage.viewer(), drop)
    await stage.call("POST", f"/v1/shows/{stage.show}/drops/{drop}/waitlist", visit.token, json={})
    assert await heard(page, "livedrop:waitlist") == {"drop": drop, "position": 1}
    await stage.host("POST", f"/v1/shows/{stage.show}/pause")
    assert await heard(page, "livedrop:show") == {"status": "paused"}


async def test_nothing_secret_leaves_the_frame(visit: Visit) -> None:
    """What reaches the shop's window comes from the server's origin alone, and holds no token."""
    drop = await visit.stage.drop(1)
    page = await visit.open()
    await inside(page).locator(f'article[data-drop="{drop}"] .take').click()
    await heard(page, "ADD_TO_CART")
    messages = await page.evaluate("messages")
    assert {origin for origin, _ in messages} == {visit.stage.server.url}
    assert all(set(data) == {"type", "alias", "detail"} for _, data in messages)
    assert visit.token not in json.dumps(messages)


async def test_the_frame_speaks_the_language_of_the_page_around_it(visit: Visit) -> None:
    """In an Arabic page the frame is Arabic and runs from right to left; `lang` on the element changes it."""
    page = await visit.open(lang="ar")
    await expect(inside(page).locator("html")).to_have_attribute("dir", "rtl")
    await page.locator("livedrop-watch").evaluate("element => { element.lang = 'de'; }")
    await expect(inside(page).locator("html")).to_have_attribute("lang", "de")
    await expect(inside(page).locator("html")).to_have_attribute("dir", "ltr")


async def test_a_fresh_token_brings_the_frame_back(visit: Visit) -> None:
    """A token that is no longer good is told to the shop; the next one goes in without a reload, and outlives one."""
    page = await visit.open(token="no.such.token")
    await heard(page, "livedrop:unauthenticated")
    frame = inside(page).locator("html")
    await frame.evaluate("html => { html.dataset.mark = 'still here'; }")
    await page.locator("livedrop-watch").evaluate(
        "(element, token) => element.setAttribute('token', token)", visit.token
    )
    assert (await heard(page, "READY"))["show"] == visit.stage.show
    await expect(frame).to_have_attribute("data-mark", "still here")
    await page.evaluate("heard.length = 0")
    await frame.evaluate("() => location.reload()")
    assert (await heard(page, "READY"))["show"] == visit.stage.show
    await expect(frame).not_to_have_attribute("data-mark", "still here")
    assert "livedrop:unauthenticated" not in [kind for kind, _ in await page.evaluate("heard")]


async def test_messages_of_others_change_nothing(visit: Visit) -> None:
    """What the shop's own window or a frame of another origin says under our names is not taken for the show's."""
    page = await visit.open()
    await heard(page, "READY")
    forged = {"type": "livedrop:order", "alias": "PURCHASE", "detail": {"id": "or_forged"}}
    await page.evaluate("forged => postMessage(forged, '*')", forged)
    await page.evaluate(
        """forged => new Promise((resolve) => {
          const other = document.createElement("iframe");
          const said = `parent.postMessage(${JSON.stringify(forged)}, "*")`;
          other.srcdoc = "<" + "script>" + said + "<" + "/script>";
          addEventListener("message", ({ source }) => source === other.contentWindow && resolve());
          document.body.append(other);
        })""",
        forged,
    )
    assert "or_forged" in json.dumps(await page.evaluate("messages"))
    assert "or_forged" not in json.dumps(await page.evaluate("heard"))


async def test_a_shop_that_is_not_named_shows_nothing(
    chromium: Browser, scene: Stage, shop_ports: tuple[int, int]
) -> None:
    """The browser refuses the frame in a page of an origin that the setting does not name: nothing of it is seen."""
    shop = Shop(shop_ports[1])
    async with shop.open(), Visit(chromium, scene, shop) as visit:
        page = await visit.open()

        async def refused() -> bool:
            return any("frame-ancestors" in text for text in visit.complaints)

        await wait_for(refused, "the browser refuses the frame")
        await expect(inside(page).locator("#connection")).to_have_count(0)
        assert await page.evaluate("heard") == []


async def test_the_page_by_itself_is_not_for_frames(visit: Visit) -> None:
    """Also the shop that may embed gets the embedded page alone: neither the whole viewer's page nor the console."""
    page = await visit.open()
    await heard(page, "READY")
    for path in (f"/watch/{visit.stage.show}", f"/host/{visit.stage.show}"):
        await page.evaluate(
            """address => {
              const frame = document.createElement("iframe");
              frame.id = "plain";
              frame.src = address;
              document.querySelector("#plain")?.remove();
              document.body.append(frame);
            }""",
            visit.stage.server.url + path,
        )

        async def refused() -> bool:
            return any("frame-ancestors" in text for text in visit.complaints)

        await wait_for(refused, f"the browser refuses {path}")
        visit.complaints.clear()
