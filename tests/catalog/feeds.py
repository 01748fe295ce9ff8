"""Shopify files for tests, with only the columns that a test cares about."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Literal

from server.catalog.shopify import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from server.catalog.feed import Feed


def feed_file(rows: Iterable[Mapping[str, str]], line_end: str = "\n", *, quote_all: bool = False) -> bytes:
    """Return a file with the columns of all rows, in the order in which they first come."""
    listed = [dict(row) for row in rows]
    columns = list(dict.fromkeys(column for row in listed for column in row))
    text = io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(text, columns, restval="", lineterminator=line_end, quoting=quoting)
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue().encode()


def read_rows_of(*rows: Mapping[str, str], currency: str = "EUR") -> Feed:
    """Read a file with these rows; `Handle`, `Title` and `Variant Price` are there in any case."""
    columns = {"Handle": "", "Title": "", "Variant Price": ""}
    return read(feed_file([columns | dict(row) for row in rows]), currency)


def mug(**changes: str) -> dict[str, str]:
    """Return the row of a product without variants; a change's name is a column with spaces as underscores."""
    row = {"Handle": "mug", "Title": "Mug", "Variant Price": "9.99"}
    return row | {name.replace("_", " "): value for name, value in changes.items()}
