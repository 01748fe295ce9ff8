"""The feed readers: any file is products within their bounds, rows left out with a reason, or one refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from server.catalog.money import MOST
from server.catalog.readers import READERS, SAMPLE_FEED
from server.catalog.values import DESCRIPTION_LIMIT, NAME_LIMIT, TAG_LIMIT
from server.errors import Code, Problem
from tests.fuzz.mutation import changed

if TYPE_CHECKING:
    from random import Random

    from server.catalog.feed import Feed, Product

MOST_BYTES = 32 * 1024
LONGEST_REASON = 1_000
CURRENCIES = ("EUR", "JPY", "KWD", None)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
LINE_END = re.compile(r"\r\n|\r|\n")
SMALL = b"""Handle,Title,Body (HTML),Vendor,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
mug,Enamel Mug,<p>Blue &amp; <b>bold</b></p><script>x</script>,Shop,"a, b",Size,Small,MUG-S,12.50,https://a.example/1.png
mug,,,,,,Large,MUG-L,14,
lamp,"Lamp ""Desk""\r\n5 m",,Shop,,Title,Default Title,,40.00,//a.example/2.png
"""
NEWER = (
    b"Title;URL handle;Description;SKU;Price;Compare-at price;Inventory quantity\nCup;cup;Text;CUP;3.5;4;-2\n"
)
WORDS = (
    b",", b";", b"\t", b'"', b'""', b"\r\n", b"\n", b"\r", b"\n\n", b'",', b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\x00",
    b"\xe2\x80\xae", b"\xc2\xb2", b"\xd9\xa3", b"<p>", b"</p>", b"<div>", b"<td>", b"<!--", b"&#0;", b"&#x110000;",
    b"&amp;",
    b"<script>", b"<![CDATA[", b"9.99", b"9,99", b"1e5", b"-1", b"0.001", b".", b"NaN", b"https://a.example/a b.png",
    b"javascript:alert(1)", b"//x", b"Default Title", b"mug", b"MUG-S", b"PK\x03\x04", b"\xff\xd8\xff", b"=1+1",
    b"Option2 Name", b"Variant Price", b"Price", b"Image Position",
)  # fmt: skip


class Files:
    """An input's first byte chooses the reader and the currency; the file is behind it."""

    def first(self) -> list[bytes]:
        """Return small files, whole and as other shops write them."""
        sample = SAMPLE_FEED.read_bytes()[:4096]
        files = (SMALL, NEWER, sample, SMALL.replace(b"\n", b"\r\n"), NEWER.replace(b";", b"\t"))
        return [bytes((number,)) + each for number in range(len(READERS)) for each in files]

    def make(self, chance: Random, kept: list[bytes]) -> bytes:
        """Return a changed file."""
        return changed(chance, kept, WORDS, MOST_BYTES)

    def look(self, given: bytes) -> str:
        """Read it and hold what comes of it to its promise."""
        choice, data = (given[0] if given else 0), given[1:]
        names = sorted(READERS)
        currency = CURRENCIES[choice // len(names) % len(CURRENCIES)]
        try:
            feed = READERS[names[choice % len(names)]](data, currency)
        except Problem as refused:
            return _refused(refused)
        _check(feed, data)
        return " ".join(sorted({_shape(each.reason) for each in feed.rejected})) + f" {bool(feed.products)}"

    def most_memory(self, given: bytes) -> int:
        """Return what its reading may take: a cell of one character is some ten objects on its way to a product."""
        return 4 * 2**20 + 400 * len(given)


def _refused(problem: Problem) -> str:
    assert problem.code in {Code.INVALID_MESSAGE, Code.PAYLOAD_TOO_LARGE}, problem.code
    assert 0 < len(problem.detail) <= LONGEST_REASON
    return _shape(problem.detail)


def _shape(sentence: str) -> str:
    """Return a sentence without what it quotes and counts."""
    return re.sub(r"\d+|'.*'|\".*\"|0x[0-9a-f]+", "#", sentence)


def _check(feed: Feed, data: bytes) -> None:
    """Hold a feed to what every reader promises."""
    lines = 1 + len(LINE_END.findall(data.decode("utf-8", "replace")))
    told = [each.line for each in feed.rejected]
    assert told == sorted(told), "rejected rows are not in the order of their lines"
    assert all(1 <= line <= lines for line in told), f"a line of {lines} that is not there: {told}"
    assert all(0 < len(each.reason) <= LONGEST_REASON for each in feed.rejected)
    skus = [product.sku for product in feed.products]
    assert len(set(skus)) == len(skus), "a SKU twice"
    for product in feed.products:
        _check_product(product)


def _check_product(product: Product) -> None:
    assert 0 <= product.unit_price <= MOST, product.unit_price
    assert product.compare_at_price is None or 0 < product.compare_at_price <= MOST
    for name in (product.sku, product.title, product.handle):
        assert 0 < len(name) <= NAME_LIMIT, f"a name of {len(name)} characters"
    assert len(product.description) <= DESCRIPTION_LIMIT
    assert len(product.tags) <= TAG_LIMIT
    options = [*product.options, *product.options.values()]
    for text in (product.sku, product.title, product.vendor, product.description, *product.tags, *options):
        assert not CONTROL.search(text), f"a control character in {text[:40]!r}"
    for url in product.images:
        assert url.lower().startswith(("http://", "https://", "/")), f"an image at {url[:40]!r}"
        assert not url.startswith("//"), f"an image at {url[:40]!r}"
