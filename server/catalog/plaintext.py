"""A shop's HTML and loose text as plain text: nothing of it is ever shown as markup again."""

from __future__ import annotations

import re
from html import unescape

from selectolax.lexbor import LexborHTMLParser

# Their content is no text that a buyer should read.
DROPPED = ["script", "style", "template", "noscript", "iframe", "object", "svg", "head", "title", "textarea"]
BLOCKS = (
    "address article aside blockquote br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3"
    " h4 h5 h6 header hr li main nav ol p pre section summary table tr ul"
)
CELLS = "td th"
BREAK = "\ue000"  # stands for a line break while white space is collapsed; removed from what comes in

# Parsing takes the square of the nesting; what goes deeper is read as text with its tags cut out.
DEEPEST = 500
# Tags that need no end, so that many of them are not deep.
UNNESTED = frozenset(
    [
        "br",
        "img",
        "hr",
        "input",
        "meta",
        "link",
        "wbr",
        "source",
        "col",
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "tbody",
        "thead",
        "tfoot",
        "option",
    ]
)

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*+>?")
_CONTROL = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x9f{BREAK}]")
_SPACE = re.compile(r"\s+")


def one_line(text: str) -> str:
    """Return the text without control characters, on one line, with single spaces."""
    return _SPACE.sub(" ", _CONTROL.sub("", text)).strip()


def from_html(html: str) -> str:
    """Return what a reader of the HTML would see: one line a block, no empty lines, entities decoded.

    Text without any tag keeps its own lines. Scripts, styles and the like are dropped with their content.
    """
    clean = _CONTROL.sub("", html)
    if "<" not in clean:
        return _lines(unescape(clean).splitlines())
    if _depth(clean) > DEEPEST:
        return _lines(unescape(_TAG.sub("\n", clean)).splitlines())
    tree = LexborHTMLParser(clean)
    tree.strip_tags(DROPPED, recursive=True)
    for node in tree.css(", ".join(BLOCKS.split())):
        node.insert_before(BREAK)
        node.insert_after(BREAK)
    for node in tree.css(", ".join(CELLS.split())):
        node.insert_after(" ")
    root = tree.body or tree.root
    return _lines(root.text(separator="").split(BREAK)) if root else ""


def _depth(html: str) -> int:
    """Return how deep the tags go at most, counted without building anything."""
    depth = deepest = 0
    for closing, name in _TAG.findall(html):
        if name.lower() not in UNNESTED:
            depth = max(0, depth - 1) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _lines(lines: list[str]) -> str:
    return "\n".join(line for line in map(one_line, lines) if line)
