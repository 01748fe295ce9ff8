"""A page that stands for itself: it has its style within, no script, and may ask nobody for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.report.lines import hatches
from loadtests.report.markup import tag, text
from loadtests.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, *inside: str) -> str:
    """Return the whole page around the markup of its parts."""
    head = "\n".join(
        (
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE}</style>",
        )
    )
    main = "\n".join(each for each in inside if each)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n'
        f"<body>\n{hatches()}\n<main>\n{main}\n</main>\n</body>\n</html>\n"
    )


def keep(page: str, path: Path) -> None:
    """Write a page; what no text can hold becomes a question mark."""
    path.write_bytes(page.encode("utf-8", "replace"))


def card(title: str, *inside: str, class_: str = "") -> str:
    """Return a part of the page under a heading."""
    return tag("section", tag("h2", text(title)), *inside, class_=f"card {class_}".strip())


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", *, ends_in_words: bool = False
) -> str:
    """Return a table of markup cells, the first of a row its name; on a narrow screen a row is a block.

    Cells are numbers and stand right; the last of a row may be words.
    """
    titles = "".join(tag("th", text(name), scope="col") for name in head)
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, data_name=name) if cell else "<td></td>"
                for name, cell in zip(head[1:], row[1:], strict=True)
            ),
        )
        for row in rows
    ]
    under = tag("p", text(caption), class_="note") if caption else ""
    whole = tag(
        "table",
        tag("thead", tag("tr", titles)),
        tag("tbody", *body),
        class_="stacks told" if ends_in_words else "stacks",
    )
    return tag("div", whole, class_="wide") + under


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and what they are, both plain words."""
    return tag(
        "dl", *(tag("dt", text(name)) + tag("dd", text(words)) for name, words in rows), class_="facts"
    )
