"""What the pages are printed from: sentences as text, files under a version, compressed once."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from server.api.pages import PAGES, WEB, Press
from server.api.shelf import Shelf, takes_gzip

if TYPE_CHECKING:
    from pathlib import Path


def the(html: LexborHTMLParser, query: str) -> LexborNode:
    """Return the first element of a page that the query names; there must be one."""
    found = html.css_first(query)
    assert found is not None, query
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a small folder of pages."""
    (tmp_path / "words" / "en").mkdir(parents=True)
    (tmp_path / "words" / "de").mkdir()
    (tmp_path / "words/en/common.json").write_text('{"hello": "Hello <b>&\\"", "only": "Only English"}')
    (tmp_path / "words/de/common.json").write_text('{"hello": "</script><!-- Grüß Gott"}')
    for name in PAGES:
        (tmp_path / f"{name}.html").write_text(
            '<!doctype html><html lang="en"><head><script type="module" src="/static/a.js"></script></head>'
            '<body><p title="{{hello}}">{{ hello }}</p><i>{{only}}</i><u>{{nobody.wrote-it}}</u></body></html>'
        )
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport { c } from "./sub/c.js";\n')
    (tmp_path / "b.js").write_text('import "./a.js";\nexport const b = () => import("./later.js");\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.js").write_text('import {\n  d,\n} from "../d.mjs";\nexport const c = d;\n')
    (tmp_path / "d.mjs").write_text("export const d = 1;\n")
    (tmp_path / "later.js").write_text("export const e = 1;\n")
    return tmp_path


def test_sentences_are_text_wherever_they_stand(folder: Path) -> None:
    """Markup in a sentence stays text in elements, attributes and the scripts' words; English fills the gaps."""
    press = Press(folder, watch=False)
    page = press.page("viewer", "de", embedded=False).plain.decode()
    html = LexborHTMLParser(page)
    paragraph = the(html, "p")
    assert paragraph.text() == paragraph.attributes["title"] == "</script><!-- Grüß Gott"
    assert (the(html, "i").text(), the(html, "u").text()) == ("Only English", "nobody.wrote-it")
    words = json.loads(the(html, "#words").text())["words"]
    assert words == {"hello": "</script><!-- Grüß Gott", "only": "Only English"}
    assert page.count("</script>") == 2
    english = LexborHTMLParser(press.page("viewer", "en", embedded=False).plain.decode())
    assert the(english, "p").attributes["title"] == 'Hello <b>&"'


def test_all_modules_of_a_page_are_fetched_at_once(folder: Path) -> None:
    """What the script imports, directly or not, is named in the page, each once; what is loaded later is not."""
    page = LexborHTMLParser(Press(folder, watch=False).page("host", "en", embedded=False).plain.decode())
    named = [str(node.attributes["href"]).split("/", 3)[3] for node in page.css("link[rel=modulepreload]")]
    assert sorted(named) == ["b.js", "d.mjs", "sub/c.js"]


def test_the_version_is_that_of_the_content(folder: Path) -> None:
    """Equal folders have equal versions; any file that changes, comes or goes makes another one."""
    first = Shelf(folder).version
    assert Shelf(folder).version == first
    (folder / "d.mjs").write_text("export const d = 2;\n")
    second = Shelf(folder).version
    (folder / "d.mjs").rename(folder / "e.mjs")
    third = Shelf(folder).version
    (folder / "e.mjs").unlink()
    assert len({first, second, third, Shelf(folder).version}) == 4
    assert re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize("watch", [True, False])
def test_in_development_a_change_is_seen_at_once(folder: Path, watch: bool) -> None:  # noqa: FBT001  both ways
    """With `watch` the next page is made of the files as they are then, without it of those at the start."""
    press = Press(folder, watch=watch)
    before = press.page("viewer", "en", embedded=False)
    (folder / "later.js").write_text("export const e = 2;\n")
    (folder / "words/en/common.json").write_text('{"hello": "Hi"}')
    after = press.page("viewer", "en", embedded=False)
    assert (after != before) == watch
    assert ("Hi" in after.plain.decode()) == watch


def test_a_file_in_the_midst_of_being_written_breaks_no_page(folder: Path) -> None:
    """In development the pages stay as they were until the file can be read."""
    press = Press(folder, watch=True)
    before = press.page("viewer", "en", embedded=False)
    (folder / "words/en/common.json").write_text('{"hello": "H')
    assert press.page("viewer", "en", embedded=False) == before
    (folder / "words/en/common.json").write_text('{"hello": "Hallo"}')
    assert "Hallo" in press.page("viewer", "en", embedded=False).plain.decode()


def test_compression_is_the_same_every_time() -> None:
    """Two processes send the same bytes under the same tag: no clock is in them."""
    one, two = Shelf(WEB).sheets, Shelf(WEB).sheets
    assert one == two
    for name, sheet in one.items():
        assert sheet.packed is None or gzip.decompress(sheet.packed) == sheet.plain, name


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("gzip", True),
        ("GZIP ; q=0.1", True),
        ("deflate, *", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("x-gzip, br", False),
        ("", False),
    ],
)
def test_who_takes_gzip(accept: str, takes: bool) -> None:  # noqa: FBT001  the value under test
    """Gzip is sent to who names it, or anything, with any weight but nothing."""
    assert takes_gzip(accept) is takes
