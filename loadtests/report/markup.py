"""SVG and HTML as text: whatever comes from a run is escaped here and nowhere left out."""

from __future__ import annotations

from html import escape

XML_NEVER = {number: "\N{REPLACEMENT CHARACTER}" for number in range(32) if chr(number) not in "\t\n\r"}


def text(words: object) -> str:
    """Return words as they may stand between tags and inside an attribute's quotes."""
    return escape(str(words).translate(XML_NEVER))


def tag(name: str, *inside: str, **attributes: str | float) -> str:
    """Return an element; `inside` is markup already, attributes are not (`class_` for `class`, `_` for `-`)."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>" if inside else f"<{name}{given}/>"


def label(x: float, y: float, words: object, anchor: str = "start", class_: str = "") -> str:
    """Return a text of a plot."""
    named = {"class_": class_} if class_ else {}
    return tag("text", text(words), x=x, y=y, text_anchor=anchor, **named)


def hint(words: str) -> str:
    """Return what a reader is told who rests on an element."""
    return tag("title", text(words))


def _value(value: str | float) -> str:
    return text(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
