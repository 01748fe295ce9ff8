"""The host's console: the run of the show and its keys, what two hosts see, links, curves and health."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from server.api.pages import WEB
from server.clock import now_ms
from tests.browser.windows import card, sees_stock
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page, Route

    from tests.browser.windows import Windows
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLET: dict[str, Any] = {"viewport": {"width": 820, "height": 1180}, "has_touch": True}
CONNECTED = {
    "en-IE": "Connected",
    "ar": json.loads((WEB / "words/ar/common.json").read_text()).get("connection.live", "Connected"),
}
NOT_THERE = (
    "Failed to load resource: net::ERR_FAILED"  # what Chromium says of a request that a test breaks off
)
UNREADY = r"status of 503 \(Service Unavailable\)"
NAMES = ("viewers", "orders", "units_sold", "gmv", "conversion", "unmet_demand", "waitlist", "taken")


async def planned(stage: Stage, count: int) -> list[str]:
    """Plan drops."""
    return [await stage.drop(3, opened=False) for _ in range(count)]


async def shows_order(page: Page, drops: list[str]) -> None:
    """Wait until the run of the show is this."""

    async def so() -> bool:
        cards = page.locator("#drops article")
        return bool(drops == await cards.evaluate_all("all => all.map(one => one.dataset.drop)"))

    await wait_for(so, f"the page shows {drops}")


async def stands(stage: Stage, drops: list[str]) -> None:
    """Wait until the server has this order."""

    async def so() -> bool:
        show = (await stage.host("GET", f"/v1/shows/{stage.show}")).json()
        return bool(show.get("run") == drops)

    await wait_for(so, f"the server has {drops}")


def badge(page: Page, drop: str) -> Locator:
    """Return the words for a drop's state."""
    return card(page, drop).locator(".badge")


async def selected(page: Page, drop: str) -> None:
    """Wait until this drop is the one that keys are for."""
    await expect(page.locator("article[aria-current=true]")).to_have_attribute("data-drop", drop)


async def test_two_hosts_see_the_same(windows: Windows, stage: Stage) -> None:
    """What one host arranges, counts down and sells the other sees, and may undo; who comes later sees it too."""
    first, second, third = await planned(stage, 3)
    one, other = await windows.host(), await windows.host()
    await selected(one, first)
    await one.keyboard.press("Shift+J")
    for page in (one, other):
        await shows_order(page, [second, first, third])
    await selected(one, first)
    await one.keyboard.press("c")
    await expect(badge(other, first)).to_have_text(re.compile(r"Opens in 0:(10|0\d)"))
    await card(other, first).get_by_role("button", name="Undo the countdown").click()
    await expect(badge(one, first)).to_have_text("Prepared")
    await one.keyboard.press("o")
    await expect(badge(other, first)).to_have_text("Open")
    held = (await stage.reserve(stage.viewer(), first)).json()
    assert held["drop"] == first
    third_window = await windows.host()
    await shows_order(third_window, [second, first, third])
    for page in (one, other, third_window):
        await sees_stock(page, first, 2, 1, 0)


async def test_an_undone_countdown_opens_nothing(windows: Windows, stage: Stage) -> None:
    """Until the last moment the key takes the countdown back; viewers are told, and nothing opens afterwards."""
    (drop,) = await planned(stage, 1)
    desk, phone = await windows.host(), await windows.viewer()
    await card(desk, drop).get_by_role("button", name="Open in 5 seconds").click()
    take = card(phone, drop).locator(".take")
    await expect(take).to_contain_text(re.compile(r"0:0[1-5]"))
    over = (await stage.stock(drop))["opens_at"] + 1_000
    await desk.keyboard.press("u")
    await expect(badge(desk, drop)).to_have_text("Prepared")
    await expect(take).not_to_contain_text(re.compile(r"0:0\d"))
    await wait_for(lambda: now_ms() > over, "the moment at which it would have opened is long over")
    assert (await stage.stock(drop))["status"] == "scheduled"
    await expect(badge(desk, drop)).to_have_text("Prepared")


async def test_one_key_for_each_move(windows: Windows, stage: Stage) -> None:
    """Open, pause, resume, restock and close the selected drop without a mouse; closing is asked once."""
    first, second = await planned(stage, 2)
    page = await windows.host()
    await page.keyboard.press("j")
    await selected(page, second)
    for key, state in (("o", "Open"), ("p", "Paused"), ("p", "Open")):
        await page.keyboard.press(key)
        await expect(badge(page, second)).to_have_text(state)
    await page.keyboard.press("r")
    await expect(card(page, second).get_by_role("spinbutton")).to_be_focused()
    await page.keyboard.type("4")
    await page.keyboard.press("Enter")
    await sees_stock(page, second, 7, 0, 0)
    await page.keyboard.press("x")
    close = card(page, second).locator("[data-do=close]")
    await expect(close).to_have_text("Sure?")
    assert (await stage.stock(second))["status"] == "open"
    await page.keyboard.press("x")
    await expect(page.locator("#over article")).to_have_attribute("data-drop", second)
    await selected(page, first)
    assert (await stage.stock(first))["status"] == "scheduled"


async def test_keys_rest_while_somebody_types(windows: Windows, stage: Stage) -> None:
    """Letters in a field are letters, with a modifier they are the browser's; a key shows the help; all can be off."""
    (drop,) = await planned(stage, 1)
    page = await windows.host()
    await page.keyboard.press("f")
    await page.keyboard.type("oxxpcu?jk")
    await expect(page.locator("#product-query")).to_have_value("oxxpcu?jk")
    await page.locator("h1").click()
    await page.keyboard.press("Alt+o")
    await page.keyboard.press("?")
    help_sheet = page.get_by_role("dialog", name="Keys")
    await expect(help_sheet).to_contain_text("Undo the countdown")
    await page.keyboard.press("o")
    await help_sheet.get_by_role("checkbox", name="Keys are on").uncheck()
    await page.keyboard.press("?")
    await expect(help_sheet).to_be_hidden()
    await page.keyboard.press("o")
    await page.reload()
    await expect(badge(page, drop)).to_have_text("Prepared")
    await page.keyboard.press("o")
    await page.keyboard.press("?")
    await help_sheet.get_by_role("checkbox").check()
    assert (await stage.stock(drop))["status"] == "scheduled"
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await expect(badge(page, drop)).to_have_text("Open")


async def test_keys_of_another_alphabet(windows: Windows, stage: Stage) -> None:
    """Where no Latin letters are on the keys, those count that stand there on a Latin keyboard."""
    (drop,) = await planned(stage, 1)
    page = await windows.host()
    await selected(page, drop)
    pressed = {"key": "خ", "code": "KeyO", "bubbles": True, "cancelable": True}
    await page.evaluate("how => document.body.dispatchEvent(new KeyboardEvent('keydown', how))", pressed)
    await expect(badge(page, drop)).to_have_text("Open")


async def test_arranging_with_the_keyboard_alone(windows: Windows, stage: Stage) -> None:
    """The handle says what stands where, the arrows move it, the focus stays, and the new place is said aloud."""
    first, second, third = await planned(stage, 3)
    page = await windows.host()
    await selected(page, first)
    handle = card(page, first).locator(".handle")
    await expect(handle).to_have_accessible_name("Move Enamel Mug, number 1 of 3")
    await handle.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(handle).to_have_accessible_name("Move Enamel Mug, number 3 of 3")
    await expect(handle).to_be_focused()
    await expect(page.locator("#aloud")).to_have_text("Enamel Mug is number 3 of 3 now")
    await page.keyboard.press("ArrowDown")
    await shows_order(page, [second, third, first])
    await stands(stage, [second, third, first])
    await page.reload()
    await shows_order(page, [second, third, first])


async def test_dragging_with_a_mouse(windows: Windows, stage: Stage) -> None:
    """By the handle a drop goes where it is let go; Escape puts it back."""
    first, second, third = await planned(stage, 3)
    page = await windows.host()
    await shows_order(page, [first, second, third])
    await drag(page, third, first)
    await page.mouse.up()
    await shows_order(page, [third, first, second])
    await stands(stage, [third, first, second])
    await drag(page, second, third)
    await shows_order(page, [second, third, first])
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await shows_order(page, [third, first, second])


async def drag(page: Page, drop: str, above: str) -> None:
    """Take a drop by its handle and bring it above another one, without letting go."""
    box = await card(page, drop).locator(".handle").bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()
    there = await card(page, above).bounding_box()
    assert there
    await page.mouse.move(there["x"] + 30, there["y"] + 5, steps=8)


async def test_dragging_with_a_finger(windows: Windows, stage: Stage) -> None:
    """On a tablet a finger on the handle moves the drop and does not scroll the page."""
    first, second = await planned(stage, 2)
    page = await windows.host(**TABLET)
    await shows_order(page, [first, second])
    box = await card(page, second).locator(".handle").bounding_box()
    there = await card(page, first).bounding_box()
    assert box
    assert there
    device = await page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    places = [y + (there["y"] + 5 - y) * step / 8 for step in range(9)]
    for number, place in enumerate(places):
        kind = "touchMove" if number else "touchStart"
        point = {"type": kind, "touchPoints": [{"x": x, "y": place}]}
        await device.send("Input.dispatchTouchEvent", point)
    await device.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await shows_order(page, [second, first])
    await stands(stage, [second, first])


async def test_a_drop_from_the_catalog_by_search(windows: Windows, stage: Stage) -> None:
    """Find a product, name its terms, prepare: it stands at the end of the run, at the other host's too."""
    (drop,) = await planned(stage, 1)
    one, other = await windows.host(), await windows.host()
    await one.keyboard.press("f")
    await one.keyboard.type("lamp")
    await expect(one.locator("#products li")).to_have_count(1)
    await one.get_by_role("button", name="Prepare a drop: Desk Lamp").click()
    await expect(one.get_by_label("Pieces", exact=True)).to_be_focused()
    await one.keyboard.type("6")
    await one.keyboard.press("Enter")
    for page in (one, other):
        cards = page.locator("#drops article")
        await expect(cards).to_have_count(2)
        await expect(cards.first).to_have_attribute("data-drop", drop)
        await expect(cards.last).to_contain_text("6 pieces")


async def test_waves_are_released_one_by_one(windows: Windows, stage: Stage) -> None:
    """As long as a wave is left the button is there, at both hosts; then it is gone."""
    drop = await stage.drop(1, waves=[{"quantity": 2}, {"quantity": 3}])
    one, other = await windows.host(), await windows.host()
    for page, units in ((one, 3), (other, 6)):
        await card(page, drop).get_by_role("button", name="Release the next wave").click()
        await sees_stock(one, drop, units, 0, 0)
    for page in (one, other):
        await expect(card(page, drop).get_by_role("button", name="Release the next wave")).to_be_hidden()
        await expect(card(page, drop).get_by_role("button", name="Pause")).to_be_visible()


async def test_the_end_is_asked_once(windows: Windows, stage: Stage) -> None:
    """One press ends no show; the second one does, for both hosts, and nothing can be prepared any more."""
    await stage.drop(3)
    one, other = await windows.host(), await windows.host()
    await one.get_by_role("button", name="End the show").click()
    await expect(other.locator("#show-status")).to_have_text("Live")
    await one.get_by_role("button", name="End for everybody?").click()
    for page in (one, other):
        await expect(page.locator("#show-status")).to_have_text("Ended")
        await expect(page.locator("#catalog")).to_be_hidden()
        await expect(page.locator("#run")).to_contain_text("Nothing more is planned.")


async def test_a_moderators_link(windows: Windows, stage: Stage) -> None:
    """It is one moderator's, for this show alone, leads to the show, and cannot buy."""
    drop = await stage.drop(3)
    page = await windows.host()
    await page.get_by_role("button", name="New moderator link").click()
    link = await page.get_by_role("textbox", name="Moderator link").input_value()
    address, _, token = link.partition("#token=")
    assert address == f"{stage.server.url}/watch/{stage.show}"
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["role"], claims["shows"]) == ("moderator", [stage.show])
    await windows.viewer(token=token)
    assert (await stage.reserve(token, drop)).status_code == 403


def curve(points: int) -> dict[str, Any]:
    """Return figures over time that rise."""
    began = now_ms() - points * 10_000
    items = [
        {"at": began + number * 10_000, **dict.fromkeys(NAMES, number), "conversion": 0.5}
        for number in range(points)
    ]
    return {"items": items, "next_cursor": None}


async def with_curve(page: Page, body: dict[str, Any]) -> None:
    """Let a page see these figures over time, from the beginning on, and none after them."""

    async def answer(route: Route) -> None:
        whole = route.request.url.endswith("since_at=0")
        await route.fulfill(json=body if whole else {"items": [], "next_cursor": None})

    await page.route("**/metrics/series?*", answer)
    await page.reload()


async def test_curves_beside_the_figures(windows: Windows, stage: Stage) -> None:
    """Each figure has its curve, in words too; without the library that draws there are the figures alone."""
    await stage.drop(3)
    page = await windows.host()
    await with_curve(page, curve(30))
    await expect(page.locator("#metrics canvas")).to_have_count(8)
    said = "Watching over the last 4:50: from 0 to 29, most 29"
    await expect(page.get_by_role("img", name=said)).to_be_visible()
    windows.forgive(NOT_THERE)
    bare = await windows.host()
    await bare.route("**/vendor/*", lambda route: route.abort())
    await with_curve(bare, curve(30))
    await expect(bare.locator('[data-metric="gmv"]')).to_have_text("€0.00")
    await expect(bare.locator("#metrics .chart:visible")).to_have_count(0)


async def test_health_in_words(windows: Windows, stage: Stage) -> None:
    """While all is well the page says so; where the server cannot sell it says why, what to do, and when it is over."""
    windows.forgive(UNREADY)
    await stage.drop(3)
    page = await windows.host()
    line = page.locator("#health")
    await expect(line).to_contain_text("All is well.")
    problem = {"code": "unavailable", "detail": "The ledger gave no sign of life.", "status": 503}

    async def unready(route: Route) -> None:
        await route.fulfill(status=503, json=problem, content_type="application/problem+json")

    await page.route("**/readyz", unready)
    await expect(line).to_contain_text("cannot sell right now: The ledger gave no sign of life.")
    await expect(line).to_contain_text("Open nothing until")
    await page.unroute("**/readyz")
    await expect(line).to_contain_text("All is well.")


@pytest.mark.parametrize("profile", [{}, TABLET, {"viewport": {"width": 390, "height": 844}}])
@pytest.mark.parametrize("locale", ["en-IE", "ar"])
async def test_nothing_is_cut_off(
    windows: Windows, stage: Stage, locale: str, profile: dict[str, Any]
) -> None:
    """On desk, tablet and phone, from left to right and from right to left, nothing is wider than the window."""
    drop = (await planned(stage, 2))[0]
    await stage.move(drop, "open", countdown_ms=600_000)
    page = await windows.host(says=CONNECTED[locale], locale=locale, **profile)
    await expect(card(page, drop)).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl" if locale == "ar" else "ltr")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0
    small = """() => [...document.querySelectorAll('button, a, input, select')]
        .filter(one => one.checkVisibility() && one.type !== 'checkbox' && one.offsetHeight < 43.5)
        .map(one => one.outerHTML)"""
    assert [one for one in await page.evaluate(small) if "link-open" not in one] == []
