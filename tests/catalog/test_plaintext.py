"""HTML into plain text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog.plaintext import BREAK, from_html, one_line


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("<p>One<br>Two<br/>Three</p>", "One\nTwo\nThree"),
        ("<p>So <b>very</b>\n  <i>fine</i></p>", "So very fine"),
        ("<ul><li>a<li>b</ul>after", "a\nb\nafter"),
        (
            "<table><tr><td>Wax</td><td>soy</td></tr><tr><td>Wick</td><td>cotton</td></tr></table>",
            "Wax soy\nWick cotton",
        ),
        ("a<script>alert(1)</script><style>p{}</style><!-- note -->b", "ab"),
        ("<svg><text>x</text></svg><iframe src=//x>y</iframe>z", "z"),
        ("<p>5 &lt; 6 &amp; 7&nbsp;cm &euro;</p>", "5 < 6 & 7 cm €"),
        ("<img src=x onerror=alert(1)>", ""),
        ("<p>open <b>tags", "open tags"),
        ("<frameset><frame></frameset>", ""),
        ("no tags &amp;\nown lines\n\n\nkept", "no tags &\nown lines\nkept"),
        ("bell\x07 and &#27;[31m &#0; end", "bell and [31m \ufffd end"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    """Blocks and breaks are lines, scripts and tags are gone, entities are characters."""
    assert from_html(html) == text


def test_deep_nesting_is_read_without_building_it() -> None:
    """20,000 nested elements give their text at once; many list items and breaks are not deep."""
    assert from_html("<div>" * 20_000 + "x" + "</div>" * 20_000) == "x"
    assert from_html("<p>a<br>" * 2_000) == "\n".join(["a"] * 2_000)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text() | st.text(st.sampled_from("<>/&;pbr \n\x00\x1b\ue000ü=\"'!-")))
def test_whatever_comes_in_plain_lines_go_out(html: str) -> None:
    """No control character, no empty line, no white space at a line's ends, for any text."""
    text = from_html(html)
    assert BREAK not in text
    for line in text.split("\n") if text else []:
        assert line == one_line(line) != ""
