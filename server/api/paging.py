"""Lists in pages: `{items, next_cursor}` everywhere, with cursors that are opaque to the caller."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from server import ids
from server.protocol.codec import invalid

PAGE, MAX_PAGE = 50, 200  # items, where nothing is said and at most
MAX_CURSOR_LENGTH = 512

Id = Annotated[str, Meta(pattern=ids.SHAPE)]  # in a cursor: it goes to the store as it is

T = TypeVar("T")


class Page(Struct, Generic[T], kw_only=True):
    """A part of a list; `next_cursor` is null at its end."""

    items: list[T]
    next_cursor: str | None


def cursor(*place: int | str) -> str:
    """Return the opaque cursor of a place in a list: its sort keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def after(text: str | None, kind: type[T]) -> T | None:
    """Return the place, a tuple of the given type, that a cursor names; None without one; else `invalid-message`."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(
            text[:MAX_CURSOR_LENGTH] + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError):
        raise invalid("cursor: not one of ours; take `next_cursor` of the page before as it is.") from None
