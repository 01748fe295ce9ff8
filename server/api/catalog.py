"""Endpoints of the catalog: import a feed, search, look."""

from __future__ import annotations

import asyncio

from server.api.bodies import Imported
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import MAX_PAGE, PAGE, Page
from server.auth import Right
from server.catalog import products
from server.catalog.readers import reader
from server.errors import Code
from server.protocol.codec import invalid
from server.protocol.shapes import Product


async def import_feed(call: Call) -> Answer:
    """Take a feed's good rows and say what is wrong with the others."""
    currency = call.query.get("currency", "")
    if not currency:
        raise invalid("currency: an ISO 4217 code is needed, because this feed's prices name none.")
    read = reader(call.query.get("format", "shopify"))
    feed = await asyncio.to_thread(read, call.body, currency)
    return Answer(await products.import_products(call.rooms.ledger, feed.products, feed.rejected))


async def search(call: Call) -> Answer:
    """List products, those that match the query."""
    limit = call.number("limit", PAGE, MAX_PAGE)
    text, place = call.query.get("query", ""), call.query.get("cursor")
    return Answer(await products.find(call.rooms.ledger, text, limit, place))


async def product(call: Call) -> Answer:
    """Return one product."""
    return Answer(await products.get(call.rooms.ledger, call.path["sku"]))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/catalog/import",
        "catalog_import",
        "Import a product feed",
        import_feed,
        Right.IMPORT,
        Imported,
        body=bytes,
        keyed=Keyed.ACCEPTED,
        query={"format": "shopify", "currency": "ISO 4217, for feeds whose prices name none"},
    ),
    Operation(
        "GET",
        "/v1/catalog/products",
        "product_list",
        "Search the catalog",
        search,
        Right.LOOK,
        Page[Product],
        query={
            "query": "words in title, SKU, handle, vendor or tags",
            "limit": f"items per page, 1 to {MAX_PAGE}",
            "cursor": "`next_cursor` of the page before",
        },
    ),
    Operation(
        "GET",
        "/v1/catalog/products/{sku:path}",
        "product",
        "Look at a product",
        product,
        Right.LOOK,
        Product,
        problems=(Code.NOT_FOUND,),
    ),
)
