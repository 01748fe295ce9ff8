"""Shopify's product CSV, old headers and new."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog.feed import Feed, Product
from server.catalog.shopify import IMAGE_LIMIT, read
from server.errors import Code, Problem
from tests.catalog.feeds import feed_file, mug, read_rows_of

OLD = """\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,\
Variant SKU,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Image Position,Variant Image
mug,Mug,"<p>Holds
<b>tea</b></p>",Kiln,Cups,"cup, clay",TRUE,Colour,Blue,Size,Large,MUG-BL,4,9.99,12.00,https://x.test/1.jpg,1,https://x.test/b.jpg
mug,,,,,,,,Red,,Small,,-2,8,,https://x.test/3.jpg,3,
mug,,,,,,,,,,,,,,,https://x.test/2.jpg,2,
lamp,Lamp,,Oak,,,FALSE,Title,Default Title,,,,,59.90,0,,,
"""

NEW = """\
Title,URL handle,Description,Vendor,Type,Tags,Status,SKU,Option1 name,Option1 value,Option2 name,Option2 value,\
Price,Compare-at price,Inventory quantity,Product image URL,Image position,Variant image URL
Mug,mug,"<p>Holds
<b>tea</b></p>",Kiln,Cups,"cup, clay",Active,MUG-BL,Colour,Blue,Size,Large,9.99,12.00,4,https://x.test/1.jpg,1,https://x.test/b.jpg
,mug,,,,,,,,Red,,Small,8,,-2,https://x.test/3.jpg,3,
,mug,,,,,,,,,,,,,,https://x.test/2.jpg,2,
Lamp,lamp,,Oak,,,Draft,,Title,Default Title,,,59.90,0,,,,
"""

PICTURES = ["https://x.test/1.jpg", "https://x.test/2.jpg", "https://x.test/3.jpg"]
EXPECTED = [
    Product(
        sku="MUG-BL",
        handle="mug",
        title="Mug",
        description="Holds tea",
        vendor="Kiln",
        options={"Colour": "Blue", "Size": "Large"},
        unit_price=999,
        currency="EUR",
        compare_at_price=1200,
        images=["https://x.test/b.jpg", *PICTURES],
        inventory_quantity=4,
        tags=["cup", "clay"],
    ),
    Product(
        sku="mug-red-small",
        handle="mug",
        title="Mug",
        description="Holds tea",
        vendor="Kiln",
        options={"Colour": "Red", "Size": "Small"},
        unit_price=800,
        currency="EUR",
        images=PICTURES,
        inventory_quantity=-2,
        tags=["cup", "clay"],
    ),
    Product(
        sku="lamp",
        handle="lamp",
        title="Lamp",
        description="",
        vendor="Oak",
        options={},
        unit_price=5990,
        currency="EUR",
        images=[],
        tags=[],
    ),
]


def tried(data: bytes) -> Feed | Code:
    """Return what became of a file: a feed, or the code of the problem."""
    try:
        return read(data, "EUR")
    except Problem as problem:
        return problem.code


def reasons(feed: Feed) -> list[tuple[int, str]]:
    """Return the rejected rows as pairs."""
    return [(rejected.line, rejected.reason) for rejected in feed.rejected]


@pytest.mark.parametrize("text", [OLD, NEW], ids=["old headers", "new headers"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_both_generations_of_headers_give_the_same(text: str, line_end: str, mark: bytes) -> None:
    """Variants inherit from their handle's first row, pictures go by position, hidden products come in too."""
    feed = read(mark + text.replace("\n", line_end).encode(), "EUR")
    assert reasons(feed) == []
    assert feed.products == EXPECTED


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_understood(delimiter: str) -> None:
    """Spreadsheets of some countries save with semicolons, others with tabs."""
    text = (
        delimiter.join(["Handle", "Title", "Variant Price"]) + "\n" + delimiter.join(["mug", "Mug", "9.99"])
    )
    assert [product.unit_price for product in read(text.encode(), "EUR").products] == [999]


def test_headers_are_found_in_any_order_and_case() -> None:
    """Columns are known by name alone; unknown ones are passed over."""
    feed = read(b"VARIANT PRICE,colour of the box, title ,Handle\n9.99,red,Mug,mug\n", "EUR")
    assert [(product.sku, product.title) for product in feed.products] == [("mug", "Mug")]


def test_a_new_file_may_leave_the_handle_out() -> None:
    """Where there is a title and no handle, the handle is made of the title."""
    feed = read("Title,Price\nBig Mug №2!,5\n,6\n".encode(), "EUR")
    assert [product.handle for product in feed.products] == ["big-mug-2"]
    assert reasons(feed) == [(3, "has no handle and no title")]


def test_prices_are_read_in_the_given_currency() -> None:
    """The same text is 1200 minor units of JPY and 120000 of USD; none given is refused."""
    assert read_rows_of(mug(Variant_Price="1200"), currency="jpy").products[0].unit_price == 1200
    product = read_rows_of(mug(Variant_Price="1200"), currency="USD").products[0]
    assert (product.unit_price, product.currency) == (120_000, "USD")
    for currency in (None, "", "EUA"):
        with pytest.raises(Problem, match="currency"):
            read(b"Handle,Title,Variant Price\nmug,Mug,1\n", currency)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (mug(Variant_Price="9.999"), "price: '9.999' has 3 decimals, EUR has 2"),
        (mug(Variant_Price="-1"), "price: '-1' is not a price: expected digits and a point, such as 9.99"),
        (
            mug(Variant_Price="free"),
            "price: 'free' is not a price: expected digits and a point, such as 9.99",
        ),
        (
            mug(Variant_Compare_At_Price="1e2"),
            "compare-at price: '1e2' is not a price: expected digits and a point, such as 9.99",
        ),
        (mug(Variant_Inventory_Qty="1.5"), "the inventory quantity '1.5' is not a whole number"),
        (mug(Title="T" * 256), "the title has 256 characters, at most 255 are taken"),
        (mug(Title=""), "no row of the handle has a title"),
        (mug(Handle="h" * 256), "the handle has 256 characters, at most 255 are taken"),
        (mug(Variant_SKU="s" * 256), "the SKU has 256 characters, at most 255 are taken"),
        (mug(Tags="t" * 256), "the tag has 256 characters, at most 255 are taken"),
        (mug(Tags=",".join(map(str, range(251)))), "there are 251 tags, at most 250 are taken"),
        (
            mug(**{"Body_(HTML)": "x" * 20_001}),
            "the description has 20001 characters, at most 20000 are taken",
        ),
        (
            mug(Image_Src="javascript:alert(1)"),
            "the image 'javascript:alert(1)' is not an http or https address",
        ),
        (mug(Variant_Image="data:x"), "the image 'data:x' is not an http or https address"),
        (mug(Variant_Price=""), "has neither a price nor an image"),
        (mug(Variant_Price="", Variant_SKU="M1"), "the SKU 'M1' has no price"),
        (mug(Option1_Name="Size", Option1_Value="★"), "has no SKU, and none can be made of '★'"),
    ],
)
def test_a_bad_row_says_why_and_stops_nobody(row: dict[str, str], reason: str) -> None:
    """Each kind of bad row is left out with its line and a sentence with the numbers; its neighbours come in."""
    before, after = mug(Handle="first"), mug(Handle="last")
    feed = read_rows_of(before, row, after)
    assert [product.sku for product in feed.products] == ["first", "last"]
    assert reasons(feed) == [(3, reason)]


def test_a_bad_first_row_still_describes_its_handle() -> None:
    """A variant inherits the title of a first row that was left out for its own price."""
    first = mug(Option1_Name="Size", Option1_Value="S", Variant_Price="x")
    feed = read_rows_of(first, {"Handle": "mug", "Option1 Value": "M", "Variant Price": "5"})
    assert [(product.sku, product.title, product.options) for product in feed.products] == [
        ("mug-m", "Mug", {"Size": "M"})
    ]
    assert [line for line, _ in reasons(feed)] == [2]


def test_lines_are_physical_lines() -> None:
    """A cell of three lines shifts the rows after it by two."""
    tall = mug(**{"Body_(HTML)": "one\ntwo\nthree"})
    feed = read_rows_of(tall, mug(Handle="second", Variant_Price="x"))
    assert [line for line, _ in reasons(feed)] == [5]


def test_a_sku_comes_once() -> None:
    """A SKU that a file names twice, or that is made twice, is taken from its first line."""
    sized = {"Option1 Name": "Size", "Variant Price": "5", "Title": "Mug"}
    feed = read_rows_of(
        mug(Variant_SKU="A"),
        mug(Variant_SKU="A", Handle="cup"),
        {"Handle": "pot", "Option1 Value": "5 L"} | sized,
        {"Handle": "pot", "Option1 Value": "5-L"} | sized,
        {"Handle": "pot-5-l", "Title": "Pot", "Variant Price": "1"},
    )
    assert [product.sku for product in feed.products] == ["A", "pot-5-l"]
    assert reasons(feed) == [
        (3, "the SKU 'A' is on line 2 already"),
        (5, "the SKU 'pot-5-l' is on line 4 already"),
        (6, "the SKU 'pot-5-l' is on line 4 already"),
    ]


def test_pictures() -> None:
    """Extra pictures count once, spaces and missing schemes are mended, the 101st is left out, none sells alone."""
    rows = [mug(Image_Src="//x.test/a b.jpg"), {"Handle": "mug", "Image Src": "https://x.test/a%20b.jpg"}]
    rows += [{"Handle": "mug", "Image Src": f"/static/{number}.svg"} for number in range(IMAGE_LIMIT - 1)]
    rows += [{"Handle": "ghost", "Image Src": "https://x.test/g.jpg"}]
    feed = read_rows_of(*rows)
    (product,) = feed.products
    assert len(product.images) == IMAGE_LIMIT - 1
    assert product.images[:2] == ["https://x.test/a%20b.jpg", "/static/0.svg"]
    assert reasons(feed) == [
        (102, "the handle has 100 images already, more are not taken"),
        (103, "'ghost' has a picture and no row with a price"),
    ]


def test_a_half_written_file_gives_its_whole_rows() -> None:
    """Cut in its last row, in a quoted cell or between cells, a file loses that row alone, with the reason."""
    data = feed_file([mug(Handle="one", Vendor="Kiln"), mug(Handle="two", Vendor='Big, "bold"\nKiln')])
    assert len(read(data, "EUR").products) == 2
    for cut, sentence in ((b"Big", "ends inside a quoted field"), (b"two", "has 1 cells, the header has 4")):
        feed = read(data[: data.index(cut) + len(cut)], "EUR")
        assert [product.sku for product in feed.products] == ["one"]
        assert [(rejected.line, rejected.reason[: len(sentence)]) for rejected in feed.rejected] == [
            (3, sentence)
        ]


def test_every_cut_of_a_file_is_read_or_refused() -> None:
    """Whatever byte a file ends at, its whole rows come in, at most one is left out, and nothing else happens."""
    data = OLD.replace("Kiln", "Köln").encode()
    full = [product.sku for product in EXPECTED]
    for length in range(data.index(b"\n") + 1, len(data)):
        feed = read(data[:length], "EUR")
        skus = [product.sku for product in feed.products]
        assert skus == full[: len(skus)]
        assert len(feed.rejected) <= 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "the file starts with a JPEG image, not CSV"),
        (b"", "the file is empty"),
        (b",,,\n,,\n", "the first row is no Shopify header"),
        (b"name,amount\nmug,1\n", "the first row is no Shopify header, it begins with 'name', 'amount'"),
        (
            b"<html><body>Not found</body></html>",
            "the first row is no Shopify header, it begins with '<html>",
        ),
        (b"Handle,Title\nmug,Mug\n", "the first row is no Shopify header"),
    ],
)
def test_a_file_of_no_use_is_refused_as_a_whole(data: bytes, sentence: str) -> None:
    """What is no product export is `invalid-message` with what was found instead."""
    with pytest.raises(Problem, match=re.escape(sentence)) as refused:
        read(data, "EUR")
    assert refused.value.code is Code.INVALID_MESSAGE


GOOD = st.builds(
    lambda price, title, body: mug(Title=title, Variant_Price=price, **{"Body_(HTML)": body}),
    st.decimals(0, 9999, places=2).map(str),
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20),
    st.text(st.sampled_from('<p>ab</p>\n\r", '), max_size=40),
)
BAD = st.sampled_from(
    [
        mug(Variant_Price="x"),
        mug(Title=""),
        mug(Variant_Price=""),
        mug(Variant_Inventory_Qty="?"),
        {"Title": "\x07"},
    ]
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.booleans(), GOOD, BAD), max_size=10), st.sampled_from(["\n", "\r\n", "\r"]))
def test_good_products_come_in_whatever_stands_between(
    parts: list[tuple[bool, dict[str, str], dict[str, str]]], line_end: str
) -> None:
    """Of any mix of good and bad rows, exactly the good ones become products and the bad ones are listed."""
    columns = {"Handle": "", "Title": "", "Variant Price": "", "Body (HTML)": "", "Variant Inventory Qty": ""}
    rows = [columns | (good if is_good else bad) for is_good, good, bad in parts]
    for number, row in enumerate(rows):
        row["Handle"] = row["Handle"] and f"h{number}"
    feed = read(feed_file([columns, *rows], line_end, quote_all=True), "EUR")
    assert [product.sku for product in feed.products] == [f"h{n}" for n, part in enumerate(parts) if part[0]]
    assert len(feed.rejected) == sum(not part[0] for part in parts)
    assert feed.rejected == sorted(feed.rejected, key=lambda rejected: rejected.line)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from('Handle,Title,Price\n\r"ü;\t '), max_size=200).map(str.encode)
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever is uploaded, and whatever follows a good header, ends in a feed or in a problem of the table."""
    for file in (data, b"Handle,Title,Price\n" + data):
        assert isinstance(tried(file), Feed) or tried(file) is Code.INVALID_MESSAGE
