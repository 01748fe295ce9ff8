"""Shopify's product CSV, with its old headers (`Handle`, `Variant SKU` …) or its new (`URL handle`, `SKU` …).

A product is all rows of one handle: the first tells title, description, vendor, tags and the options' names;
every row with a price is a variant, that is one SKU; a row without a price is a further picture. What is bad
in a row costs that row alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server.catalog import values
from server.catalog.feed import Feed, Product, Rejected, quoted
from server.catalog.money import currency_code
from server.catalog.rows import Row, decode, read_rows
from server.catalog.values import BadRow
from server.errors import Code, Problem

IMAGE_LIMIT = 100  # of one handle
OPTIONS = (1, 2, 3)

# Column -> the names it goes by, in lower case. Both generations share most of them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "description": ("body (html)", "description"),
    "vendor": ("vendor",),
    "tags": ("tags",),
    "sku": ("variant sku", "sku"),
    "price": ("variant price", "price"),
    "compare_at": ("variant compare at price", "compare-at price"),
    "inventory": ("variant inventory qty", "inventory quantity"),
    "image": ("image src", "product image url"),
    "position": ("image position",),
    "variant_image": ("variant image", "variant image url"),
    **{f"name{number}": (f"option{number} name",) for number in OPTIONS},
    **{f"value{number}": (f"option{number} value",) for number in OPTIONS},
}
NEEDED = ("title", "price")
DELIMITERS = (",", ";", "\t")
LAST = 10**6  # the place of a picture that names none


@dataclass(slots=True)
class _Line:
    """One row by column; a column that the file lacks is empty."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(slots=True)
class _Group:
    """All rows of one handle. `head` is the row that describes the product: the first that has a title."""

    handle: str
    lines: list[_Line] = field(default_factory=list)

    @property
    def head(self) -> _Line:
        return next((line for line in self.lines if line["title"]), self.lines[0])


@dataclass(slots=True)
class _Shared:
    """What all variants of a handle have in common."""

    title: str
    description: str
    vendor: str
    tags: list[str]
    images: list[str]


def read(data: bytes, currency: str | None) -> Feed:
    """Read a Shopify product CSV whose prices are in `currency`.

    Raises `invalid-message` where the file as a whole is of no use (not text, no known header, no currency)
    and `payload-too-large` above 100,000 rows.
    """
    if not currency:
        raise _refused("Shopify's prices name no currency: say which, for example currency=EUR")
    code = currency_code(currency)
    feed = Feed()
    taken: dict[str, int] = {}
    for group in _groups(decode(data), feed):
        _read_group(group, code, taken, feed)
    feed.rejected.sort(key=lambda rejected: rejected.line)
    return feed


def _groups(text: str, feed: Feed) -> list[_Group]:
    """Gather the rows by handle, in the order of first sight; reject those without a form or a handle."""
    delimiter, columns = _header(text)
    groups: dict[str, _Group] = {}
    rows = read_rows(text, delimiter)
    next(rows)
    for row in rows:
        try:
            line = _line(row, columns)
            handle = _handle(line)
            groups.setdefault(handle, _Group(handle)).lines.append(line)
        except BadRow as bad:
            feed.rejected.append(Rejected(row.line, str(bad)))
    return list(groups.values())


def _header(text: str) -> tuple[str, dict[str, int]]:
    """Return the delimiter and where each known column stands."""
    begins = ""
    for delimiter in DELIMITERS:
        row = next(read_rows(text, delimiter), Row(1, []))
        begins = begins or ", ".join(quoted(cell) for cell in row.cells[:3])
        names = [cell.strip().lower() for cell in row.cells]
        found = {
            column: next(iter([names.index(name) for name in known if name in names]), None)
            for column, known in COLUMNS.items()
        }
        columns = {column: index for column, index in found.items() if index is not None}
        if all(column in columns for column in NEEDED):
            return delimiter, columns
    raise _refused(
        f"the first row is no Shopify header, it begins with {begins}: a product export has the columns"
        " Handle, Title and Variant Price, or Title, URL handle and Price"
    )


def _line(row: Row, columns: dict[str, int]) -> _Line:
    if row.problem:
        raise BadRow(row.problem)
    return _Line(row.line, {column: row.cells[index].strip() for column, index in columns.items()})


def _handle(line: _Line) -> str:
    """Return the row's handle; where a new file leaves it out, one made of the title."""
    handle = values.name(line["handle"] or values.hyphenated(line["title"]), "handle")
    if not handle:
        raise BadRow("has no handle and no title")
    return handle


def _read_group(group: _Group, currency: str, taken: dict[str, int], feed: Feed) -> None:
    """Turn one handle's rows into products; `taken` are the file's SKUs so far with their lines."""
    variants, images = _sorted_out(group, feed)
    shared: _Shared | BadRow
    try:
        shared = _shared(group.head, images)
    except BadRow as bad:
        shared = bad
    for line in variants:
        try:
            product = _product(group, line, shared, currency)
            _take(product.sku, line.number, taken)
        except BadRow as bad:
            feed.rejected.append(Rejected(line.number, str(bad)))
        else:
            feed.products.append(product)


def _take(sku: str, line: int, taken: dict[str, int]) -> None:
    if sku in taken:
        raise BadRow(f"the SKU {quoted(sku)} is on line {taken[sku]} already")
    taken[sku] = line


def _sorted_out(group: _Group, feed: Feed) -> tuple[list[_Line], list[str]]:
    """Return the rows that are variants, and the pictures of all rows in their places; rejects the rest."""
    variants: list[_Line] = []
    pictures: list[tuple[int, str]] = []
    for line in group.lines:
        try:
            url = values.url(line["image"])
            if not line["price"]:
                _check_picture(line, url, len(pictures))
        except BadRow as bad:
            feed.rejected.append(Rejected(line.number, str(bad)))
            continue
        if line["price"]:
            variants.append(line)
        if url and len(pictures) < IMAGE_LIMIT:
            pictures.append((_place(line["position"]), url))
    if pictures and not any(line["price"] for line in group.lines):
        reason = f"{quoted(group.handle)} has a picture and no row with a price"
        feed.rejected.append(Rejected(group.lines[0].number, reason))
    pictures.sort(key=lambda picture: picture[0])
    return variants, list(dict.fromkeys(url for _, url in pictures))


def _place(position: str) -> int:
    """Return where a picture stands among those of its handle."""
    return min(int(position), LAST) if position.isdecimal() and len(position) <= len(str(LAST)) else LAST


def _check_picture(line: _Line, url: str, count: int) -> None:
    """Refuse a row without a price that is no picture, or one picture too many."""
    if line["sku"]:
        raise BadRow(f"the SKU {quoted(line['sku'])} has no price")
    if not url:
        raise BadRow("has neither a price nor an image")
    if count >= IMAGE_LIMIT:
        raise BadRow(f"the handle has {count} images already, more are not taken")


def _shared(head: _Line, images: list[str]) -> _Shared:
    """Return what the handle's rows share. The reason for a refusal names the row that it comes from."""
    title = values.name(head["title"], "title")
    if not title:
        raise BadRow("no row of the handle has a title")
    return _Shared(
        title=title,
        description=values.description(head["description"]),
        vendor=values.name(head["vendor"], "vendor"),
        tags=values.tags(head["tags"]),
        images=images,
    )


def _product(group: _Group, line: _Line, shared: _Shared | BadRow, currency: str) -> Product:
    """Return one variant; what is wrong with its handle is wrong with it."""
    if isinstance(shared, BadRow):
        raise BadRow(str(shared))
    options = _options(line, group.head)
    own_image = values.url(line["variant_image"])
    images = [own_image, *shared.images] if own_image else shared.images
    compare_at = values.price(line["compare_at"], currency, "compare-at price") if line["compare_at"] else 0
    return Product(
        sku=values.name(line["sku"], "SKU") or _made_sku(group.handle, options),
        handle=group.handle,
        title=shared.title,
        description=shared.description,
        vendor=shared.vendor,
        options=options,
        unit_price=values.price(line["price"], currency, "price"),
        currency=currency,
        compare_at_price=compare_at or None,
        images=list(dict.fromkeys(images))[:IMAGE_LIMIT],
        inventory_quantity=values.quantity(line["inventory"]),
        tags=shared.tags,
    )


def _options(line: _Line, head: _Line) -> dict[str, str]:
    """Return the variant's options by name. Shopify writes `Title: Default Title` where there are none."""
    options: dict[str, str] = {}
    for number in OPTIONS:
        value = values.name(line[f"value{number}"], "option value")
        if value:
            label = line[f"name{number}"] or head[f"name{number}"] or f"Option {number}"
            options[values.name(label, "option name")] = value
    return {} if options == {"Title": "Default Title"} else options


def _made_sku(handle: str, options: dict[str, str]) -> str:
    """Return the SKU of a variant that has none: the handle, and its option values if it has any."""
    suffix = "-".join(part for value in options.values() if (part := values.hyphenated(value)))
    if options and not suffix:
        raise BadRow(f"has no SKU, and none can be made of {quoted(' / '.join(options.values()))}")
    return values.name(f"{handle}-{suffix}" if suffix else handle, "SKU")


def _refused(sentence: str) -> Problem:
    return Problem(Code.INVALID_MESSAGE, sentence)
