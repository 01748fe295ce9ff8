"""The cells of a feed as checked values: each within its bounds, or a reason why its row is left out."""

from __future__ import annotations

import re

from server.catalog.feed import quoted
from server.catalog.money import minor_units
from server.catalog.plaintext import from_html, one_line
from server.errors import Problem

NAME_LIMIT = 255  # characters of a title, handle, SKU, vendor, tag, option name or option value
DESCRIPTION_LIMIT = 20_000  # characters of text
URL_LIMIT = 2_048
TAG_LIMIT = 250

_INTEGER = re.compile(r"-?[0-9]{1,12}")
_URL = re.compile(r"(?:https?://|/(?!/))[^\s<>\"'\\`]+", re.IGNORECASE)
_NOT_IN_NAME = re.compile(r"[\W_]+")


class BadRow(Exception):  # noqa: N818  what is wrong is the row's, and expected
    """The reason why a row is left out."""


def name(text: str, what: str) -> str:
    """Return a short text on one line, at most 255 characters; may be empty."""
    value = one_line(text)
    if len(value) > NAME_LIMIT:
        raise BadRow(f"the {what} has {len(value)} characters, at most {NAME_LIMIT} are taken")
    return value


def description(html: str) -> str:
    """Return a description as plain text, at most 20,000 characters."""
    value = from_html(html)
    if len(value) > DESCRIPTION_LIMIT:
        raise BadRow(f"the description has {len(value)} characters, at most {DESCRIPTION_LIMIT} are taken")
    return value


def tags(text: str) -> list[str]:
    """Return the comma-separated tags, each once, in their order; at most 250."""
    values = list(dict.fromkeys(tag for part in text.split(",") if (tag := name(part, "tag"))))
    if len(values) > TAG_LIMIT:
        raise BadRow(f"there are {len(values)} tags, at most {TAG_LIMIT} are taken")
    return values


def price(text: str, currency: str, what: str) -> int:
    """Return a price in minor units."""
    try:
        return minor_units(text, currency)
    except Problem as problem:
        raise BadRow(f"{what}: {problem.detail}") from problem


def quantity(text: str) -> int | None:
    """Return a stock count, which a shop may have oversold to below zero; None where it says nothing."""
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise BadRow(f"the inventory quantity {quoted(text)} is not a whole number")
    return int(text)


def url(text: str) -> str:
    """Return a picture's web address or path on this server; empty where there is none."""
    address = text.replace(" ", "%20")
    if address.startswith("//"):
        address = f"https:{address}"
    if address and (len(address) > URL_LIMIT or not _URL.fullmatch(address)):
        raise BadRow(f"the image {quoted(text)} is not an http or https address")
    return address


def hyphenated(text: str) -> str:
    """Return the text in lower case, hyphens for all but letters and digits: `Oak / 5 m`, oak-5-m."""
    return _NOT_IN_NAME.sub("-", text.lower()).strip("-")
