"""The pages and their files: in the reader's language, kept by browsers as long as they are true, and safe."""

from __future__ import annotations

import http.client
import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from starlette.applications import Starlette
from starlette.middleware import Middleware

from server.api import pages
from server.api.headers import SecureHeaders, host_policy, viewer_policy
from server.settings import Settings, SettingsError
from tests.server import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server import ServerProcess

SHOP = "https://shop.example"
LANGUAGES = ["en", "ar", "de", "el", "es", "hi"]
PATHS = ("/watch/sh_1", "/watch/sh_1?embed=1", "/host/sh_1")


@pytest.fixture
async def site() -> AsyncIterator[httpx.AsyncClient]:
    """Give the pages of a server that one shop may embed."""
    app = Starlette(
        routes=pages.routes(Settings(frame_ancestors=(SHOP, "https://*.shop.example"))),
        middleware=[Middleware(SecureHeaders)],
    )
    headers = {"Accept-Encoding": "identity", "Accept-Language": ""}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test", headers=headers
    ) as client:
        yield client


def the(html: LexborHTMLParser, query: str) -> LexborNode:
    """Return the first element of a page that the query names; there must be one."""
    found = html.css_first(query)
    assert found is not None, query
    return found


def lang(page: httpx.Response) -> str:
    """Return the language that a page says it is in; its header must agree."""
    html = the(LexborHTMLParser(page.text), "html")
    assert html.attributes["lang"] == page.headers["content-language"]
    return page.headers["content-language"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, ar;q=0.9, de;q=0.95", "de"),
        ("en;q=0.1, hi; q=0.5 , el;q=0.4", "hi"),
        ("de;q=0, es;q=0.001", "es"),
        ("fr-CA, zh", "en"),
        ("*", "en"),
        ("fr, *;q=0.1, el;q=0.05", "en"),
        ("de;q=much, el;q=0.2", "el"),
        ("ar-EG,ar;q=0.9,en;q=0.8", "ar"),
        (";;;,,q=1", "en"),
        ("de-" + "x" * 5000, "de"),
        (",".join(["fr"] * 5000 + ["de"]), "en"),  # behind more than any browser sends nobody looks
    ],
)
async def test_the_browser_is_answered_in_its_language(
    site: httpx.AsyncClient, accept: str, expected: str
) -> None:
    """The language with the most weight that there is, by its region too; none that is wanted: English."""
    assert lang(await site.get("/watch/sh_1", headers={"Accept-Language": accept})) == expected


async def test_the_address_decides_over_the_browser(site: httpx.AsyncClient) -> None:
    """`?lang=` wins where there is such a language; else the browser's is spoken."""
    german = {"Accept-Language": "de"}
    assert lang(await site.get("/host/sh_1?lang=el", headers=german)) == "el"
    assert lang(await site.get("/host/sh_1?lang=es-MX", headers=german)) == "es"
    for unknown in ("xx", "", "../../etc", "%00", "\u202e"):
        assert lang(await site.get("/host/sh_1", params={"lang": unknown}, headers=german)) == "de"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_is_whole_in_every_language(site: httpx.AsyncClient, path: str, language: str) -> None:
    """Nothing is left to be filled in, lines begin where they should, and the page's scripts find the words."""
    page = await site.get(path, params={"lang": language, **dict(httpx.URL(path).params)})
    assert "{{" not in page.text
    html = LexborHTMLParser(page.text)
    attributes = the(html, "html").attributes
    assert attributes["dir"] == ("rtl" if language == "ar" else "ltr")
    assert ("data-embedded" in attributes) == ("embed" in path)
    block = json.loads(the(html, "script#words").text())
    assert (block["language"], block["direction"]) == (language, attributes["dir"])
    assert list(block["languages"]) == LANGUAGES
    assert block["languages"]["de"] == "Deutsch"
    assert block["languages"]["es"] == "Español"
    assert block["words"]["connection.live"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_needs_nothing_that_the_policy_forbids(site: httpx.AsyncClient, path: str) -> None:
    """No style and no script stands in a page, every file is this server's own, and the policy says as much."""
    page = await site.get(path)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy.split()
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy.split("; "))
    html = LexborHTMLParser(page.text)
    assert html.css("style, [style], base, iframe, object") == []
    assert [node.id for node in html.css("script:not([src])")] == ["words"]
    for node in html.css("*"):
        assert not [name for name in node.attributes if name.startswith("on")], node.html
        for name in ("src", "href"):
            assert (node.attributes.get(name) or "/static/").startswith("/static/"), node.html


async def test_only_the_embedded_page_may_be_framed_and_only_by_those_named(site: httpx.AsyncClient) -> None:
    """The console, the viewer's page by itself and all files may be in nobody's frame."""
    framed = {
        path: (await site.get(path)).headers["content-security-policy"].partition("frame-ancestors ")[2]
        for path in (*PATHS, "/static/icon.svg", "/host/sh_1?embed=1", "/watch/sh_1?embed=0", "/nothing")
    }
    assert framed.pop("/watch/sh_1?embed=1") == f"{SHOP} https://*.shop.example"
    assert set(framed.values()) == {"'none'"}


def test_without_the_setting_nobody_may() -> None:
    """By default the embedded page may be framed by none either."""
    assert viewer_policy(Settings(), framed=True).endswith("frame-ancestors 'none'")


@pytest.mark.parametrize(
    "site",
    [
        "*",
        "shop.example",
        "https://",
        "https://a b",
        "https://a;script-src *",
        "https://a'",
        "https://a/p",
        "null",
    ],
)
@pytest.mark.parametrize("name", ["LIVEDROP_FRAME_ANCESTORS", "LIVEDROP_VIDEO_ORIGINS"])
def test_a_setting_cannot_change_the_policy_otherwise(name: str, site: str) -> None:
    """Only an origin, with a star for its subdomains or ports at most, is taken for one."""
    with pytest.raises(SettingsError, match=name):
        Settings.load({name: site})


def test_the_console_speaks_to_this_server_alone() -> None:
    """Its token is a host's: whatever got into the page could send it nowhere."""
    directives = dict(part.partition(" ")[::2] for part in host_policy().split("; "))
    assert directives["connect-src"] == directives["media-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"


def test_videos_come_from_where_the_setting_says() -> None:
    """Any https address by default, the named ones alone where some are; this machine only in development."""
    directives = dict(
        part.partition(" ")[::2] for part in viewer_policy(Settings(), framed=False).split("; ")
    )
    here = "http://127.0.0.1:* http://localhost:*"
    assert directives["media-src"] == f"'self' blob: https: {here}"
    assert directives["connect-src"] == f"'self' https: {here}"
    narrow = Settings.load(
        {
            "LIVEDROP_VIDEO_ORIGINS": "https://v.example,https://*.cdn.example:*",
            "LIVEDROP_ENV": "production",
            "LIVEDROP_SECRET": SECRET,
            "REDIS_URL": "redis://:pw@127.0.0.1",
        }
    )
    directives = dict(part.partition(" ")[::2] for part in viewer_policy(narrow, framed=False).split("; "))
    assert directives["media-src"] == "'self' blob: https://v.example https://*.cdn.example:*"
    assert directives["connect-src"] == "'self' https://v.example https://*.cdn.example:*"


async def test_files_are_kept_for_ever_under_their_version(site: httpx.AsyncClient) -> None:
    """Every file that a page names is there under the version, to be kept; without it, or with another, to be asked."""
    html = LexborHTMLParser((await site.get("/watch/sh_1")).text)
    named = [node.attributes.get("href") or node.attributes["src"] for node in html.css("link, script[src]")]
    assert any(str(path).endswith("/viewer.js") for path in named)
    for path in map(str, named):
        assert re.match(r"/static/[0-9a-f]{16}/", path), path
        file = await site.get(path)
        assert (file.status_code, file.headers["cache-control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )
        assert file.headers["x-content-type-options"] == "nosniff"
    bare = re.sub(r"[0-9a-f]{16}/", "", str(named[0]))
    other = re.sub(r"[0-9a-f]{16}", "0" * 16, str(named[0]))
    for path in (bare, other):
        file = await site.get(path)
        assert (file.status_code, file.headers["cache-control"]) == (200, "no-cache")


async def test_a_shop_may_load_the_element(site: httpx.AsyncClient) -> None:
    """A module of another site is only loaded with leave: files have it, pages do not."""
    file = await site.get("/static/client/livedrop-watch.js", headers={"Origin": SHOP})
    assert file.headers["access-control-allow-origin"] == "*"
    assert file.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "access-control-allow-origin" not in (await site.get("/watch/sh_1")).headers


@pytest.mark.parametrize(
    "path", ["/watch/sh_1", "/host/sh_1?lang=ar", "/static/style.css", "/static/icon.svg"]
)
async def test_what_is_the_same_is_not_sent_again(site: httpx.AsyncClient, path: str) -> None:
    """Who has it already is told 304 with the same tag; another language is another content."""
    whole = await site.get(path)
    tag = whole.headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*", tag.removesuffix('"') + '-gzip"'):
        again = await site.get(path, headers={"If-None-Match": condition})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert again.headers[name] == whole.headers[name]
    assert (await site.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    if "static" not in path:
        other = await site.get(path, params={"lang": "el"}, headers={"If-None-Match": tag})
        assert (other.status_code, whole.headers["cache-control"]) == (200, "no-cache")
        assert whole.headers["vary"] == "Accept-Language, Accept-Encoding"


@pytest.mark.parametrize("path", ["/watch/sh_1", "/static/style.css", "/static/sample/mug.svg"])
async def test_text_is_sent_compressed_to_who_takes_it(site: httpx.AsyncClient, path: str) -> None:
    """The compressed content is the same content, much shorter, and has a tag of its own."""
    plain = await site.get(path)
    packed = await site.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content  # the client has unpacked it
    assert int(packed.headers["content-length"]) < 0.7 * len(plain.content)
    assert "content-encoding" not in plain.headers
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "Accept-Encoding" in packed.headers["vary"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_weighs_less_than_120_kib(site: httpx.AsyncClient, path: str, language: str) -> None:
    """With all that it names, as it is sent to a browser: scripts, styles and the words of its language."""
    packed = {"Accept-Encoding": "gzip"}
    page = await site.get(path, params={"lang": language, **dict(httpx.URL(path).params)}, headers=packed)
    nodes = LexborHTMLParser(page.text).css("link[href], script[src], img[src]")
    named = {str(node.attributes.get("href") or node.attributes.get("src")) for node in nodes}
    files = [await site.get(name, headers=packed) for name in sorted(named)]
    assert len(files) > 10
    weight = sum(int(each.headers["content-length"]) for each in (page, *files))
    assert weight < 120 * 1024, f"{weight / 1024:.0f} KiB"


def test_nothing_outside_of_the_folder_is_served(server: ServerProcess) -> None:
    """Dots, coded or not, absolute paths, NULs and pages' templates are no files; the answer is a problem."""
    parts = [
        "../settings.py",
        "%2e%2e/settings.py",
        "..%2fsettings.py",
        "..\\settings.py",
        "%2e%2e%2f%2e%2e%2fREADME.md",
    ]
    parts += [
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "sample/../../settings.py",
        "style.css%00.js",
        "",
        ".",
        "sample",
        "sample/",
    ]
    parts += ["viewer.html", "host.html", "0123456789abcdef/../style.css", "0123456789abcdef//etc/passwd"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for part in parts:
        connection.request("GET", f"/static/{part}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 404, part
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(body)["code"] == "not-found"
    connection.request("GET", "/static/style.css")
    assert connection.getresponse().status == 200
    connection.close()


async def test_head_says_the_same_without_the_content(server: ServerProcess) -> None:
    """HEAD gives a page's and a file's headers."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in ("/watch/sh_1", "/static/style.css"):
            head, whole = await client.head(path), await client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["etag"] == whole.headers["etag"]
