"""The catalog's products in the ledger: bring a feed in, find, get.

An import may be repeated: a SKU that is there already and equal stays as it is. SKUs a feed does not name
are left alone. Lists go in the order in which SKUs first came.
"""

from __future__ import annotations

import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, tuple_

from server.catalog.feed import Product, Rejected, quoted
from server.clock import now_ms
from server.errors import Code, Problem
from server.ledger.tables import products as table
from server.ledger.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from server.ledger.database import Ledger

BATCH = 200  # SKUs in one write, so that an order's write waits for a few milliseconds at most
MOST_LISTED = 200
QUERY_LIMIT = 200  # characters
SEPARATOR = "\n"  # between the texts that a query is looked for in; none of them holds one

_FIELDS = tuple(field for field in Product.__struct_fields__)
_CURSOR = msgspec.json.Decoder(tuple[int, str])


class Imported(msgspec.Struct, frozen=True):
    """What an import did, in SKUs, and the rows that it left out."""

    created: int
    updated: int
    unchanged: int
    rejected: list[Rejected]


class Page(msgspec.Struct, frozen=True):
    """A piece of a list; `next_cursor` is where the next begins, or None at the end."""

    items: list[Product]
    next_cursor: str | None


async def import_products(ledger: Ledger, feed: Sequence[Product], rejected: list[Rejected]) -> Imported:
    """Write the products of a feed and return the counts.

    Each batch of 200 is atomic, the whole is not: after `unavailable` half-way, importing again finishes it.
    """
    created = updated = unchanged = 0
    for start in range(0, len(feed), BATCH):
        counts = await ledger.write(partial(_write, batch=feed[start : start + BATCH]))
        created, updated, unchanged = created + counts[0], updated + counts[1], unchanged + counts[2]
    return Imported(created, updated, unchanged, rejected)


async def find(ledger: Ledger, query: str = "", limit: int = 50, cursor: str | None = None) -> Page:
    """Return products whose title, SKU, handle, vendor or tags contain `query`, whatever its case.

    An empty query finds all. A product that is created meanwhile comes last. Raises `invalid-message` for a
    limit outside 1..200, a cursor that is not from here, or a query above 200 characters.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise _invalid(f"limit is {limit}, expected 1 to {MOST_LISTED}")
    if len(query) > QUERY_LIMIT:
        raise _invalid(f"the query has {len(query)} characters, at most {QUERY_LIMIT} are taken")
    after = None if cursor is None else _decoded(cursor)
    if not _storable(query):
        return Page([], None)
    rows = await ledger.read(partial(_find, text=_searchable(query), limit=limit + 1, after=after))
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page([_product(row) for row in rows[:limit]], _encoded(last) if last else None)


async def get(ledger: Ledger, sku: str) -> Product:
    """Return one product. Raises `not-found`."""
    row = await ledger.read(partial(_get, sku=sku)) if _storable(sku) else None
    if row is None:
        raise Problem(Code.NOT_FOUND, f"there is no product with the SKU {quoted(sku)}")
    return _product(row)


def _write(connection: Connection, batch: Sequence[Product]) -> tuple[int, int, int]:
    """Insert what is new, update what differs; return how many were created, updated and unchanged."""
    skus = [product.sku for product in batch]
    known = {
        row["sku"]: row for row in connection.execute(select(table).where(table.c.sku.in_(skus))).mappings()
    }
    next_position = connection.execute(select(func.coalesce(func.max(table.c.position), 0))).scalar_one() + 1
    now = now_ms()
    changed: list[dict[str, Any]] = []
    for position, product in enumerate(batch, next_position):
        before = known.get(product.sku)
        if before is None or _product(before) != product:
            times = {"created_at": now, "updated_at": now, "position": position}
            changed.append(msgspec.structs.asdict(product) | times | {"search_text": _search_text(product)})
    upsert(connection, table, changed, keep=["created_at", "position"])
    updated = sum(row["sku"] in known for row in changed)
    return len(changed) - updated, updated, len(batch) - len(changed)


def _find(
    connection: Connection, text: str, limit: int, after: tuple[int, str] | None
) -> Sequence[RowMapping]:
    statement = select(table).order_by(table.c.position, table.c.sku).limit(limit)
    if text:
        statement = statement.where(table.c.search_text.contains(text, autoescape=True))
    if after is not None:
        statement = statement.where(tuple_(table.c.position, table.c.sku) > tuple_(*after))
    return connection.execute(statement).mappings().all()


def _get(connection: Connection, sku: str) -> RowMapping | None:
    return connection.execute(select(table).where(table.c.sku == sku)).mappings().one_or_none()


def _product(row: RowMapping) -> Product:
    return Product(**{field: row[field] for field in _FIELDS})


def _search_text(product: Product) -> str:
    texts = (product.title, product.sku, product.handle, product.vendor, *product.tags)
    return SEPARATOR.join(_searchable(text) for text in texts)


def _searchable(text: str) -> str:
    """Return the text as it is compared: one Unicode form, without case, on one line."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _storable(text: str) -> bool:
    """Whether both databases can hold the text; what they cannot hold they do not have."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _encoded(row: RowMapping) -> str:
    return urlsafe_b64encode(msgspec.json.encode((row["position"], row["sku"]))).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, str]:
    try:
        position, sku = _CURSOR.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise _invalid(f"the cursor {quoted(cursor)} is not from a list of products") from error
    if not 0 <= position < 2**63 or not _storable(sku):
        raise _invalid(f"the cursor {quoted(cursor)} is not from a list of products")
    return position, sku


def _invalid(sentence: str) -> Problem:
    return Problem(Code.INVALID_MESSAGE, sentence)
