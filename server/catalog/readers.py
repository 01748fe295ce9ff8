"""Which feed formats can be read, by the name that `format=` gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.catalog import shopify
from server.catalog.feed import quoted
from server.errors import Code, Problem

if TYPE_CHECKING:
    from server.catalog.feed import Reader

SAMPLE_FEED = Path(__file__).parent / "sample" / "products.csv"  # a small shop of our own, prices in EUR
SAMPLE_CURRENCY = "EUR"

READERS: dict[str, Reader] = {"shopify": shopify.read}
NOT_YET = ("google", "meta")


def reader(name: str) -> Reader:
    """Return the reader of a format. Raises `invalid-message` for one that cannot be read.

    A reader takes the file's bytes and a currency and computes for up to some seconds (100,000 rows): call it
    in a thread. What it promises stands at `Reader`.
    """
    found = READERS.get(name)
    if found is not None:
        return found
    if name in NOT_YET:
        raise Problem(Code.INVALID_MESSAGE, f"{name} feeds are not read yet; export as Shopify CSV")
    known = ", ".join(READERS)
    raise Problem(Code.INVALID_MESSAGE, f"{quoted(name)} is no feed format: expected one of {known}")
