"""The host's and the viewer's page in every language, and the files that they are made of.

Each page is made once per language, when the server starts, from its HTML file: `{{key}}` becomes the sentence of that
key, escaped; `lang` and `dir`, the words for the page's scripts, and the addresses of its files with their version are
put in here. Files under a version never change and are kept by browsers for a year. Pages are asked for each time,
and answered with 304 while they are the same.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from server.api.headers import host_policy, viewer_policy
from server.api.shelf import ASK_FIRST, FOR_EVER, Sheet, Shelf, respond, sheet
from server.api.words import chosen, direction, languages, words

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.api.words import Words
    from server.settings import Settings

WEB = Path(__file__).resolve().parents[1] / "web"
PAGES = ("viewer", "host")
# Anybody's page may load these: they hold nothing but this project, and a module is only loaded with leave.
PUBLIC = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
VERSIONED = re.compile(r"(?P<version>[0-9a-f]{16})/(?P<name>.+)")
IMPORTS = re.compile(r"""^(?:import|export)\s[^"';]*?["'](\.{1,2}/[^"']+\.m?js)["'];?$""", re.MULTILINE)
SCRIPT = re.compile(r'<script type="module" src="/static/([^"]+)"')

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Edition:
    """The files, the languages with their own names, and each page in each of them, by itself and embedded."""

    shelf: Shelf
    languages: dict[str, str]
    pages: dict[tuple[str, str, bool], Sheet]


class Press:
    """Holds the pages and files as they are sent; with `watch` they are made anew when a file has changed."""

    def __init__(self, folder: Path, *, watch: bool) -> None:
        self._folder = folder
        self._watch = watch
        self._stamp = _stamp(folder)
        self._edition = printed(folder)

    @property
    def now(self) -> Edition:
        """What was made last."""
        return self._edition

    def page(self, name: str, language: str, *, embedded: bool) -> Sheet:
        """Return a page in a language that is known."""
        if self._watch:
            self._renew()
        return self._edition.pages[name, language, embedded]

    def _renew(self) -> None:
        """Make all anew if a file has changed; while one is being written, what was made last stays."""
        try:
            stamp = _stamp(self._folder)
            if stamp != self._stamp:
                self._edition = printed(self._folder)
                self._stamp = stamp
        except (OSError, ValueError) as error:
            log.warning("pages.unreadable", reason=str(error))


def printed(folder: Path) -> Edition:
    """Return what is made of a folder's files. Raises OSError or ValueError for one that cannot be read."""
    shelf, known = Shelf(folder), languages(folder / "words")
    pages = {
        (name, language, embedded): _page(folder, shelf, known, (name, language), embedded=embedded)
        for name in PAGES
        for language in known
        for embedded in (False, True)
    }
    return Edition(shelf, known, pages)


def _page(
    folder: Path, shelf: Shelf, known: dict[str, str], which: tuple[str, str], *, embedded: bool
) -> Sheet:
    name, language = which
    said = words(folder / "words", language, name)
    template = (folder / f"{name}.html").read_text(encoding="utf-8")
    attributes = f'lang="{language}" dir="{direction(language)}"' + (" data-embedded" if embedded else "")
    page = filled(re.sub(r"<html[^>]*>", f"<html {attributes}>", template, count=1), said)
    block = {"language": language, "direction": direction(language), "languages": known, "words": said}
    head = [f'  <link rel="modulepreload" href="/static/{path}">\n' for path in _modules(shelf, page)]
    head.append(f'  <script type="application/json" id="words">{_inert(block)}</script>\n')
    page = page.replace("</head>", f"{''.join(head)}</head>", 1)
    page = re.sub(r'((?:href|src)=")/static/', rf"\g<1>/static/{shelf.version}/", page)
    return sheet(page.encode(), "text/html")


def _inert(content: object) -> str:
    """Return JSON that nothing in it can end the script element of, in which it stands."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _modules(shelf: Shelf, page: str) -> list[str]:
    """Return the modules that a page's own import, directly or not: they are fetched at once, not in turn."""
    entries = SCRIPT.findall(page)
    found: list[str] = []
    waiting = list(entries)
    while waiting:
        name = waiting.pop(0)
        if name in found or name not in shelf.sheets:
            continue
        found.append(name)
        source = shelf.sheets[name].plain.decode()
        waiting += [
            posixpath.normpath(f"{posixpath.dirname(name)}/{path}").lstrip("/")
            for path in IMPORTS.findall(source)
        ]
    return [name for name in found if name not in entries]


def _stamp(folder: Path) -> int:
    """Return a number that changes when a file does, or when there is one more or one less."""
    return sum(hash((path, path.stat().st_mtime_ns)) for path in folder.rglob("*"))


def filled(page: str, said: Words) -> str:
    """Return HTML with each `{{key}}` replaced by its sentence, as text; by the key itself where there is none."""

    def sentence(match: re.Match[str]) -> str:
        found = said.get(match["key"], match["key"])
        return html.escape(found if isinstance(found, str) else found["other"])

    return re.sub(r"\{\{\s*(?P<key>[\w.-]+)\s*\}\}", sentence, page)


def routes(settings: Settings) -> list[BaseRoute]:
    """Return the routes of the pages. They hold no secrets: the token comes in the link's fragment."""
    press = Press(WEB, watch=not settings.production)
    policies = {
        ("host", False): host_policy(),
        ("viewer", False): viewer_policy(settings, framed=False),
        ("viewer", True): viewer_policy(settings, framed=True),
    }

    def answer(request: Request, name: str, *, embedded: bool) -> Response:
        language = chosen(
            request.query_params.get("lang"),
            request.headers.get("accept-language", ""),
            list(press.now.languages),
        )
        headers = {
            "Cache-Control": ASK_FIRST,
            "Content-Language": language,
            "Content-Security-Policy": policies[name, embedded],
            "Vary": "Accept-Language",
        }
        return respond(request, press.page(name, language, embedded=embedded), headers)

    async def host(request: Request) -> Response:
        return answer(request, "host", embedded=False)

    async def watch(request: Request) -> Response:
        return answer(request, "viewer", embedded=request.query_params.get("embed") == "1")

    async def icon(_request: Request) -> Response:
        return RedirectResponse("/static/icon.svg")

    async def file(request: Request) -> Response:
        path = request.path_params["path"]
        match = VERSIONED.fullmatch(path)
        name = match["name"] if match else path
        shelf = press.now.shelf
        found = shelf.sheets.get(name)
        if found is None:
            raise HTTPException(404)
        # While servers of two versions stand behind one address, a page of the one may ask the other.
        kept = FOR_EVER if match and match["version"] == shelf.version else ASK_FIRST
        return respond(request, found, {**PUBLIC, "Cache-Control": kept})

    return [
        Route("/host/{show}", host),
        Route("/watch/{show}", watch),
        Route("/favicon.ico", icon),
        Route("/static/{path:path}", file, name="static"),
    ]
