"""Every row of the contract's HTTP table for hosts and everybody: what goes in, what comes out, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem
from tests.stage import FEED, MUG_PRICE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage

PRODUCT = {
    "sku",
    "handle",
    "title",
    "description",
    "vendor",
    "options",
    "unit_price",
    "currency",
    "images",
    "tags",
}
SHOW = {"id", "title", "currency", "status", "created_at"}
DROP = {
    "id",
    "show",
    "sku",
    "title",
    "quantity",
    "available",
    "held",
    "sold",
    "revision",
    "unit_price",
    "currency",
    "limit_per_viewer",
    "hold_seconds",
    "mode",
    "waitlist",
    "waitlist_length",
    "status",
    "created_at",
}
FIGURES = {
    "viewers",
    "peak_viewers",
    "orders",
    "units_sold",
    "gmv",
    "currency",
    "conversion",
    "unmet_demand",
    "waitlist",
    "taken",
    "waiting_room",
}


async def new_show(stage: Stage, **fields: Any) -> dict[str, Any]:
    """Return a show that was just scheduled."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Next", "currency": "EUR", **fields})
    assert made.status_code == 201, made.text
    show: dict[str, Any] = made.json()
    return show


async def test_importing_a_feed_counts_skus(stage: Stage) -> None:
    """A second import of the same feed changes nothing; a new price is an update."""
    again = await stage.host("POST", "/v1/catalog/import?format=shopify&currency=EUR", content=FEED)
    assert (again.status_code, again.json()) == (
        200,
        {"created": 0, "updated": 0, "unchanged": 2, "rejected": []},
    )
    dearer = FEED.replace(b"40.00", b"41.00") + f"x,X,,,,{ids.secret(6)},1.00,1\n".encode()
    changed = await stage.host("POST", "/v1/catalog/import?currency=eur", content=b"\xef\xbb\xbf" + dearer)
    assert changed.json() == {"created": 1, "updated": 1, "unchanged": 1, "rejected": []}
    await stage.host("POST", "/v1/catalog/import?currency=EUR", content=FEED)


async def test_products_are_shown_with_every_member(stage: Stage) -> None:
    """A product has all members of the contract, the optional ones only where they are known."""
    mug = (await stage.host("GET", "/v1/catalog/products/MUG")).json()
    assert mug.keys() == PRODUCT | {"inventory_quantity"}
    assert (mug["unit_price"], mug["currency"], mug["tags"]) == (MUG_PRICE, "EUR", ["kitchen"])
    assert (mug["options"], mug["images"]) == ({}, [])
    listed = (await stage.host("GET", "/v1/catalog/products?query=enamel")).json()
    assert listed == {"items": [mug], "next_cursor": None}
    assert_problem(await stage.host("GET", "/v1/catalog/products/NONE"), 404, "not-found", "'NONE'")


async def test_products_come_in_pages(stage: Stage) -> None:
    """Page by page every product comes once; the last page has no cursor."""
    whole = [item["sku"] for item in (await stage.host("GET", "/v1/catalog/products")).json()["items"]]
    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (
            await stage.host("GET", f"/v1/catalog/products?limit=1{cursor and f'&cursor={cursor}'}")
        ).json()
        assert len(page["items"]) <= 1
        paged += [item["sku"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert paged == whole


@pytest.mark.parametrize("path", ["/v1/catalog/products", "/v1/shows", "/v1/shows/{show}/orders"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "from 1 to 200"),
        ("limit=201", "from 1 to 200"),
        ("limit=-1", "from 1 to 200"),
        ("limit=1.5", "from 1 to 200"),
        ("limit=" + "9" * 30, "from 1 to 200"),
        ("cursor=nonsense!", "cursor"),
        ("cursor=bm9wZQ", "cursor"),
        ("cursor=" + "A" * 600, "cursor"),
    ],
)
async def test_a_page_is_asked_for_properly(stage: Stage, path: str, query: str, said: str) -> None:
    """Limits and cursors that are none are refused with what is expected."""
    answer = await stage.host("GET", f"{path.format(show=stage.show)}?{query}")
    assert_problem(answer, 422, "invalid-message", said)


async def test_a_show_is_scheduled_and_found(stage: Stage) -> None:
    """Creating answers 201 with the show and its place; what was not said is absent."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Plain", "currency": "EUR"})
    assert made.status_code == 201
    show = made.json()
    assert (show.keys(), show["status"]) == (SHOW, "scheduled")
    assert show["id"].startswith("sh_")
    assert made.headers["location"] == f"/v1/shows/{show['id']}"
    assert (await stage.host("GET", f"/v1/shows/{show['id']}")).json() == show
    full = await new_show(stage, locale="de-DE", starts_at=1_900_000_000_000, limit_per_viewer=3)
    assert full.keys() == SHOW | {"locale", "starts_at", "limit_per_viewer"}
    assert full["limit_per_viewer"] == 3
    assert (await stage.host("GET", f"/v1/shows/{full['id']}")).json() == full


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": ""}, "title: Expected `str` of length >= 1, given 0 characters."),
        ({"title": "x" * 201}, "title: Expected `str` of length <= 200, given 201 characters."),
        ({"currency": "eur"}, "currency: Expected `str` matching regex"),
        ({"currency": "EUR\n"}, "currency"),
        ({"currency": "ZZZ"}, "'ZZZ' is not a currency in use"),
        ({"currency": None}, "currency: Expected `str`, got `null`."),
        ({"limit_per_viewer": 0}, "limit_per_viewer: Expected `int` >= 1, given 0."),
        ({"limit_per_viewer": 10_001}, "limit_per_viewer: Expected `int` <= 10000, given 10001."),
        ({"starts_at": -1}, "starts_at: Expected `int` >= 0, given -1."),
        ({"starts_at": "soon"}, "starts_at: Expected `int"),
    ],
)
async def test_a_bad_show_is_refused(stage: Stage, fields: dict[str, Any], said: str) -> None:
    """Each field is checked, and the sentence names it."""
    body = {"title": "A", "currency": "EUR", **fields}
    assert_problem(await stage.host("POST", "/v1/shows", json=body), 422, "invalid-message", said)


async def test_shows_are_listed_newest_first_for_those_they_concern(stage: Stage) -> None:
    """A token lists the shows it speaks for, page by page, each once."""
    made = [(await new_show(stage, title=f"No. {number}"))["id"] for number in range(5)]
    for token in (
        stage.server.token(Role.VIEWER, "guest", *made),
        stage.server.token(Role.MODERATOR, "help", *made),
    ):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"?limit=2{cursor and f'&cursor={cursor}'}"
            page = (await stage.call("GET", f"/v1/shows{query}", token)).json()
            seen += [show["id"] for show in page["items"]]
            cursor = page["next_cursor"]
        assert seen == made[::-1]


async def test_up_to_three_products_are_pinned(stage: Stage) -> None:
    """Pins replace each other; a fourth, and a SKU that is not, are refused and change nothing."""
    path = f"/v1/shows/{(await new_show(stage))['id']}/pinned"
    pinned = await stage.host("PUT", path, json={"skus": ["LAMP", "MUG"]})
    assert [item["sku"] for item in pinned.json()["items"]] == ["LAMP", "MUG"]
    assert (await stage.host("PUT", path, json={"skus": []})).json()["items"] == []
    four = await stage.host("PUT", path, json={"skus": ["MUG"] * 4})
    assert_problem(four, 422, "invalid-message", "skus: Expected `array` of length <= 3")
    assert_problem(await stage.host("PUT", path, json={"skus": ["NONE"]}), 404, "not-found", "NONE")


async def test_a_drop_is_planned_with_its_terms(stage: Stage) -> None:
    """Unsaid terms have the contract's defaults, the price is the catalog's."""
    path = f"/v1/shows/{stage.show}/drops"
    made = await stage.host("POST", path, json={"sku": "MUG", "quantity": 7})
    assert made.status_code == 201
    drop = made.json()
    assert drop.keys() == DROP
    assert drop["id"].startswith("dr_")
    assert made.headers["location"] == f"{path}/{drop['id']}"
    usual = {
        "limit_per_viewer": 1,
        "hold_seconds": 120,
        "mode": "fifo",
        "waitlist": True,
        "waitlist_length": 0,
    }
    assert {name: drop[name] for name in usual} == usual
    assert (drop["available"], drop["held"], drop["sold"], drop["quantity"]) == (7, 0, 0, 7)
    assert (drop["unit_price"], drop["currency"], drop["status"]) == (MUG_PRICE, "EUR", "scheduled")
    assert (await stage.host("GET", f"{path}/{drop['id']}")).json() == drop
    later = {
        "unit_price": 1,
        "limit_per_viewer": 3,
        "opens_at": 4_000_000_000_000,
        "closes_at": 4_100_000_000_000,
    }
    full = (
        await stage.host("POST", path, json={"sku": "MUG", "quantity": 1, "waitlist": False, **later})
    ).json()
    assert {name: full[name] for name in later} == later
    listed = (await stage.host("GET", path)).json()["items"]
    assert [each["id"] for each in listed][-2:] == [drop["id"], full["id"]]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"sku": "NONE"}, 404, "'NONE'"),
        ({"quantity": 0}, 422, "quantity: Expected `int` >= 1, given 0."),
        ({"quantity": 1_000_001}, 422, "quantity: Expected `int` <= 1000000, given 1000001."),
        ({"unit_price": -1}, 422, "unit_price: Expected `int` >= 0, given -1."),
        ({"unit_price": 12.5}, 422, "unit_price: Expected `int"),
        ({"limit_per_viewer": 0}, 422, "limit_per_viewer: Expected `int` >= 1, given 0."),
        ({"hold_seconds": 0}, 422, "hold_seconds: Expected `int` >= 1, given 0."),
        ({"mode": "raffle"}, 422, "mode: Invalid"),
        ({"opens_at": 2_000, "closes_at": 1_000}, 422, "closes_at: 1000 is not after opens_at, 2000."),
    ],
)
async def test_a_bad_drop_is_refused(stage: Stage, fields: dict[str, Any], status: int, said: str) -> None:
    """Each term is checked, and the sentence has the number."""
    body = {"sku": "MUG", "quantity": 1, **fields}
    answer = await stage.host("POST", f"/v1/shows/{stage.show}/drops", json=body)
    assert_problem(answer, status, "not-found" if status == 404 else "invalid-message", said)


async def test_a_price_in_another_currency_must_be_named(stage: Stage) -> None:
    """A EUR product in a USD show needs a price of its own."""
    path = f"/v1/shows/{(await new_show(stage, currency='USD'))['id']}/drops"
    refused = await stage.host("POST", path, json={"sku": "MUG", "quantity": 1})
    assert_problem(refused, 422, "invalid-message", "MUG is priced in EUR, the show sells in USD")
    named = await stage.host("POST", path, json={"sku": "MUG", "quantity": 1, "unit_price": 1400})
    assert (named.json()["unit_price"], named.json()["currency"]) == (1400, "USD")


async def test_a_countdown_opens_the_drop_by_itself(stage: Stage) -> None:
    """`countdown_ms` announces the moment; then the drop is open though nobody called."""
    drop = await stage.drop(1, opened=False)
    counting = await stage.move(drop, "open", countdown_ms=300)
    assert counting["status"] == "countdown"
    assert counting["opens_at"] >= counting["created_at"] + 300

    async def is_open() -> bool:
        return bool((await stage.stock(drop))["status"] == "open")

    await wait_for(is_open, "the drop is open")
    assert (await stage.stock(drop))["opened_at"] >= counting["opens_at"]


async def test_restocking_adds_units(stage: Stage) -> None:
    """Units come on top, and sold out is no state: they can be taken."""
    drop = await stage.drop(1, limit_per_viewer=3)
    await stage.reserve(stage.viewer(), drop)
    restocked = await stage.move(drop, "restock", quantity=2)
    assert stage.numbers(restocked) == (2, 1, 0)
    assert (await stage.reserve(stage.viewer(), drop, 2)).status_code == 201
    most = await stage.host("POST", f"/v1/shows/{stage.show}/drops/{drop}/restock", json={"quantity": 10**6})
    assert_problem(most, 409, "limit-reached", "at most 1000000 units, this one has 3")


async def test_figures_of_a_show(stage: Stage) -> None:
    """A show that sold nothing has figures of nothing, in its currency."""
    show = await new_show(stage)
    figures = (await stage.host("GET", f"/v1/shows/{show['id']}/metrics")).json()
    assert figures.keys() == FIGURES
    assert figures["currency"] == "EUR"
    assert sum(value for value in figures.values() if not isinstance(value, str)) == 0
