"""The formats by name, and the sample feed."""

from __future__ import annotations

from pathlib import Path

import pytest

import server
from server.catalog import shopify
from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED, reader
from server.errors import Code, Problem


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("google", "google feeds are not read yet; export as Shopify CSV"),
        ("meta", "meta feeds are not read yet; export as Shopify CSV"),
        ("woo", "'woo' is no feed format: expected one of shopify"),
    ],
)
def test_a_format_that_cannot_be_read_says_what_can(name: str, sentence: str) -> None:
    """Known and unknown formats without a reader are `invalid-message` with the way out."""
    with pytest.raises(Problem) as refused:
        reader(name)
    assert refused.value.code is Code.INVALID_MESSAGE
    assert refused.value.detail == sentence


def test_shopify_can_be_read() -> None:
    """The one format of today."""
    assert reader("shopify") is shopify.read


def test_the_sample_feed_is_good() -> None:
    """Our own feed has 12 products with 23 SKUs, nothing rejected, and every picture that it names is there."""
    feed = shopify.read(SAMPLE_FEED.read_bytes(), SAMPLE_CURRENCY)
    assert feed.rejected == []
    assert len(feed.products) == 23
    assert len({product.handle for product in feed.products}) == 12
    assert all(product.images and product.description for product in feed.products)
    assert {len(product.options) for product in feed.products} == {0, 1, 2}
    web = Path(server.__file__).parent / "web"
    named = {image for product in feed.products for image in product.images}
    assert {image for image in named if not (web / image.removeprefix("/static/")).is_file()} == set()
