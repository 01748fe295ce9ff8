"""Products in the ledger, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from server.catalog import products as module
from server.catalog.feed import Product, Rejected
from server.catalog.products import find, get, import_products
from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED, reader
from server.errors import Code, Problem

if TYPE_CHECKING:
    from server.ledger.database import Ledger


def product(sku: str, **changes: object) -> Product:
    """Return a product with only what a test cares about spelled out."""
    plain = Product(
        sku=sku,
        handle=sku.lower(),
        title=f"Title of {sku}",
        description="Two\nlines",
        vendor="Kiln",
        options={"Size": "Large", "Colour": "Blue"},
        unit_price=999,
        currency="EUR",
        images=["https://x.test/1.jpg"],
        tags=["clay"],
    )
    return msgspec.structs.replace(plain, **changes)


async def skus(ledger: Ledger, query: str) -> list[str]:
    """Return the SKUs that a query finds."""
    return [found.sku for found in (await find(ledger, query)).items]


async def test_an_import_counts_skus_and_may_be_repeated(ledger: Ledger) -> None:
    """First all are created, then all unchanged; one that changed is updated and comes back as imported."""
    feed = [product("A"), product("B"), product("C")]
    rejected = [Rejected(7, "has no handle and no title")]
    first = await import_products(ledger, feed, rejected)
    assert (first.created, first.updated, first.unchanged, first.rejected) == (3, 0, 0, rejected)
    second = await import_products(ledger, feed, [])
    assert (second.created, second.updated, second.unchanged) == (0, 0, 3)
    changed = product("B", unit_price=1, inventory_quantity=-3, compare_at_price=2, options={}, tags=[])
    third = await import_products(ledger, [feed[0], changed, product("D")], [])
    assert (third.created, third.updated, third.unchanged) == (1, 1, 1)
    assert await get(ledger, "B") == changed
    assert [found.sku for found in (await find(ledger)).items] == ["A", "B", "C", "D"]


async def test_a_product_comes_back_as_it_was(ledger: Ledger) -> None:
    """All fields, any script, and the order of the options survive the database."""
    given = product("Größe/5 №1", title="Ünïcode 🫖", options={"Zoll": "5", "Art": "x"}, tags=["β", "a,b"])
    await import_products(ledger, [given], [])
    found = await get(ledger, "Größe/5 №1")
    assert found == given
    assert list(found.options) == ["Zoll", "Art"]


async def test_json_leaves_out_what_is_not_known(ledger: Ledger) -> None:
    """`compare_at_price` and `inventory_quantity` are there only where the feed had them."""
    await import_products(ledger, [product("A"), product("B", compare_at_price=5, inventory_quantity=0)], [])
    without, with_both = (await find(ledger)).items
    assert {"compare_at_price", "inventory_quantity"}.isdisjoint(msgspec.to_builtins(without))
    both = msgspec.to_builtins(with_both)
    assert (both["compare_at_price"], both["inventory_quantity"]) == (5, 0)


async def test_a_large_feed_goes_in_batches(ledger: Ledger) -> None:
    """450 SKUs are counted over three batches and listed in the order of the feed."""
    feed = [product(f"SKU-{number}") for number in range(450)]
    counts = await import_products(ledger, feed, [])
    assert (counts.created, counts.updated, counts.unchanged) == (450, 0, 0)
    listed: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        page = await find(ledger, limit=200, cursor=cursor)
        listed += [found.sku for found in page.items]
        cursor = page.next_cursor
        pages += 1
    assert pages == 3
    assert listed == [given.sku for given in feed]


async def test_a_page_that_ends_exactly_has_no_next(ledger: Ledger) -> None:
    """With as many products as the limit, there is no cursor to an empty page."""
    await import_products(ledger, [product("A"), product("B")], [])
    assert (await find(ledger, limit=2)).next_cursor is None
    assert (await find(ledger, limit=1)).next_cursor is not None


async def test_a_query_looks_into_five_fields(ledger: Ledger) -> None:
    """Title, SKU, handle, vendor and tags are searched, whatever the case and script; descriptions are not."""
    await import_products(
        ledger,
        [
            product("T", title="Blaue TEEKANNE", description="nothing of this"),
            product("S-77"),
            product("H", handle="garden-bench"),
            product("V", vendor="Ärger & Söhne"),
            product("G", tags=["Geschenk", "Straße"]),
        ],
        [],
    )
    assert await skus(ledger, "teekanne") == ["T"]
    assert await skus(ledger, "blaue   tee") == ["T"]
    assert await skus(ledger, "s-77") == ["S-77"]
    assert await skus(ledger, "GARDEN-B") == ["H"]
    assert await skus(ledger, "ärger & sö") == ["V"]
    assert await skus(ledger, "STRASSE") == ["G"]
    assert await skus(ledger, "nothing") == []
    assert len(await skus(ledger, "  ")) == 5


@pytest.mark.parametrize("query", ["%", "_", "\\", "/", "'", "50%", "a\0b", "\ud800"])
async def test_a_query_is_text_not_a_pattern(ledger: Ledger, query: str) -> None:
    """Wildcards, quotes and what a database cannot hold find only themselves."""
    await import_products(ledger, [product("A"), product("B", title="100% _wool_ \\ / 'soft' 50%")], [])
    assert await skus(ledger, query) == ([] if query in {"a\0b", "\ud800"} else ["B"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"limit": 0}, "limit is 0, expected 1 to 200"),
        ({"limit": 201}, "limit is 201, expected 1 to 200"),
        ({"query": "x" * 201}, "the query has 201 characters, at most 200 are taken"),
        ({"cursor": ""}, "the cursor '' is not from a list of products"),
        ({"cursor": "ü"}, "the cursor 'ü' is not from a list of products"),
        ({"cursor": "WzEsMl0"}, "the cursor 'WzEsMl0' is not from a list of products"),
        ({"cursor": "Wy0xLCJhIl0"}, "the cursor 'Wy0xLCJhIl0' is not from a list of products"),
    ],
)
async def test_a_bad_request_is_refused(
    ledger: Ledger, arguments: dict[str, str | int], sentence: str
) -> None:
    """Limits, queries and cursors outside their bounds are `invalid-message` with the numbers."""
    with pytest.raises(Problem) as refused:
        await find(ledger, **arguments)  # type: ignore[arg-type]  # the names decide the types
    assert refused.value.code is Code.INVALID_MESSAGE
    assert refused.value.detail == sentence


@pytest.mark.parametrize("sku", ["none", "", "a\0b", "\udfff", "%"])
async def test_a_product_that_is_not_there_is_not_found(ledger: Ledger, sku: str) -> None:
    """Any unknown SKU, also one that no database can hold, is `not-found`."""
    await import_products(ledger, [product("A")], [])
    with pytest.raises(Problem, match="there is no product with the SKU") as refused:
        await get(ledger, sku)
    assert refused.value.code is Code.NOT_FOUND


async def test_a_broken_import_is_finished_by_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure in the second batch the first one stands, and importing again brings the rest."""
    monkeypatch.setattr(module, "BATCH", 2)
    good = [product("A"), product("B"), product("C")]
    broken = [*good[:2], product("C", unit_price=-1)]
    with pytest.raises(Exception, match="ck_products_unit_price"):
        await import_products(ledger, broken, [])
    counts = await import_products(ledger, good, [])
    assert (counts.created, counts.unchanged) == (1, 2)


async def test_the_sample_feed_goes_in(ledger: Ledger) -> None:
    """The feed that the demo starts with is imported whole and can be searched."""
    feed = reader("shopify")(SAMPLE_FEED.read_bytes(), SAMPLE_CURRENCY)
    counts = await import_products(ledger, feed.products, feed.rejected)
    assert (counts.created, counts.rejected) == (23, [])
    assert await skus(ledger, "stoneware") == ["MUG-LAGOON", "MUG-TERRA"]
