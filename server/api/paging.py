"""Lists in pages: `{items, next_cursor}` everywhere, with cursors that are opaque to the caller."""

from __future__ import annotations

import base64
import binascii
from typing import Generic, TypeVar

from msgspec import Struct

from server.protocol.codec import invalid

MAX_CURSOR_LENGTH = 512

T = TypeVar("T")


class Page(Struct, Generic[T], kw_only=True):
    """A part of a list; `next_cursor` is null at its end."""

    items: list[T]
    next_cursor: str | None


def cursor(*place: object) -> str:
    """Return the opaque cursor of a place in a list."""
    text = "\n".join(str(part) for part in place)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(text: str | None, parts: int) -> tuple[str, ...] | None:
    """Return the place that a cursor names, its first part a number; None without one; raise `invalid-message`."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place = tuple(raw.decode().split("\n"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        place = ()
    whole = (
        len(place) == parts and place[0].isascii() and place[0].isdecimal() and len(place[0]) < len("1" * 16)
    )
    if len(text) > MAX_CURSOR_LENGTH or not whole:
        raise invalid("cursor: not one of ours; take `next_cursor` of the page before as it is.")
    return place
